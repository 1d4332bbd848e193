// How a test run or a benchmark gets its servers: environment variables out, one function to end them.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { findRedis } from "./redis.mjs";

const KEEPER = fileURLToPath(new URL("keeper.mjs", import.meta.url));

/**
 * Finds the Redis binary and sets REDIS_SERVER_BIN.
 *
 * @returns a line that says what was found
 */
export async function provideRedis() {
  const { binary, version } = await findRedis();
  process.env.REDIS_SERVER_BIN = binary;
  return `Redis ${version} (${binary}, started by each test on a free port)`;
}

/**
 * Gets databases and sets TEST_PG_URL and TEST_MYSQL_URL.
 *
 * @param asked "postgres", "mariadb"
 * @returns lines that say what was found and what is missing, and `stop`, which drops and ends everything
 * @throws if a server is there but cannot be used, and under CI=true if one is missing
 */
export async function provideDatabases(...asked) {
  // Detached: Ctrl-C goes to the whole process group, and must not end the one who cleans up.
  const keeper = spawn(process.execPath, [KEEPER, ...asked], { detached: true, stdio: ["pipe", "pipe", "inherit"] });
  const stop = async () => {
    if (keeper.exitCode !== null) return;
    keeper.ref();
    keeper.stdin.end();
    await once(keeper, "exit");
  };
  try {
    const [line] = await Promise.race([
      once(createInterface(keeper.stdout), "line"),
      once(keeper, "exit").then(() => Promise.reject(new Error("the process that holds the servers ended early"))),
    ]);
    const { env, report, missing, failed } = JSON.parse(line);
    if (failed.length > 0) throw new Error(failed.join("\n"));
    if (missing.length > 0 && process.env.CI === "true") {
      const error = new Error(missing.join("\n"));
      error.stack = error.message;
      throw error;
    }
    Object.assign(process.env, env);
    keeper.unref();
    keeper.stdin.unref();
    keeper.stdout.unref();
    return { report, missing, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
