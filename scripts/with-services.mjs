// Runs a command with databases of its own: `node scripts/with-services.mjs node bench/run.js`. Sets TEST_PG_URL,
// TEST_MYSQL_URL and REDIS_SERVER_BIN for it, and ends with its exit code.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { provideDatabases, provideRedis } from "./services/client.mjs";

const [command, ...args] = process.argv.slice(2);
process.stderr.write(`${await provideRedis()}\n`);
const { report, missing, stop } = await provideDatabases("postgres", "mariadb");
for (const line of [...report, ...missing]) process.stderr.write(`${line}\n`);

// Ctrl-C reaches the command too, which decides; this process stays to hand on how it ended.
process.on("SIGINT", () => undefined);
const child = spawn(command, args, { stdio: "inherit" });
process.on("SIGTERM", () => child.kill("SIGTERM"));
const [code, signal] = await once(child, "exit");
await stop();
process.exitCode = code ?? (signal === "SIGINT" ? 130 : 1);
