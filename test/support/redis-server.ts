import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";

/** A Redis server of one test: nobody else uses it, so it may be stopped, frozen and killed. */
export interface RedisServer {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** Ends it politely: it saves what it is configured to save. */
  stop(): Promise<void>;
  /** SIGSTOP freezes it with its connections open, SIGCONT lets it go on, SIGKILL is a crash. */
  kill(signal: NodeJS.Signals): Promise<void>;
  /** Stops it if it runs, and starts it again on the same port and directory. */
  restart(): Promise<void>;
}

/**
 * Starts a Redis server on a free port with its own directory; it persists nothing unless `args` say so. With `sentinel`, the lines of
 * its configuration, it is a Sentinel.
 *
 * @throws Error if there is no redis-server (REDIS_SERVER_BIN, or on the PATH), or if it does not answer
 */
export async function startRedis(
  options: { readonly args?: readonly string[]; readonly sentinel?: readonly string[] } = {},
): Promise<RedisServer> {
  const directory = mkdtempSync(join(tmpdir(), "coherent-redis-"));
  const port = await freePort();
  const place = ["--port", String(port), "--bind", "127.0.0.1", "--dir", directory];
  const args =
    options.sentinel === undefined
      ? [...place, "--save", "", ...(options.args ?? [])]
      : [configuration(directory, options.sentinel), "--sentinel", ...place];
  let child = await start(args, port);

  const end = async (signal: NodeJS.Signals) => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, "exit");
    child.kill("SIGCONT");
    child.kill(signal);
    await exit;
  };
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    get pid() {
      return child.pid!;
    },
    async stop() {
      await end("SIGTERM");
      rmSync(directory, { recursive: true, force: true });
    },
    async kill(signal) {
      if (signal === "SIGKILL" || signal === "SIGTERM") await end(signal);
      else child.kill(signal);
    },
    async restart() {
      await end("SIGTERM");
      child = await start(args, port);
    },
  };
}

/** Polls until the condition holds. */
export async function until(condition: () => boolean | Promise<boolean>, limit = 10_000): Promise<void> {
  const end = performance.now() + limit;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`Not within ${limit} ms: ${condition.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** A Sentinel rewrites the file that it was started with. */
function configuration(directory: string, lines: readonly string[]): string {
  const file = join(directory, "sentinel.conf");
  writeFileSync(file, `${lines.join("\n")}\n`);
  return file;
}

async function start(args: readonly string[], port: number): Promise<ChildProcess> {
  const child = spawn(binary(), args, { stdio: ["ignore", "pipe", "pipe"] });
  const reaper = killWithThisProcess(child.pid!);
  let output = "";
  child.stdout.on("data", (chunk: Buffer) => (output = (output + chunk.toString()).slice(-4000)));
  child.stderr.on("data", (chunk: Buffer) => (output = (output + chunk.toString()).slice(-4000)));
  child.once("exit", () => reaper.kill("SIGKILL"));
  await until(async () => {
    if (child.exitCode !== null) throw new Error(`redis-server ended with ${child.exitCode}:\n${output}`);
    return answers(port);
  });
  return child;
}

/**
 * A process that waits for the end of its input, which comes however this one ends: a crashed test run leaves nothing
 * behind. Detached, because Ctrl-C goes to the whole process group. (Jest hands tests a copy of `process`, whose exit
 * handlers never run.)
 */
function killWithThisProcess(pid: number): ChildProcess {
  const reaper = spawn("sh", ["-c", `read -r end; kill -9 ${pid}`], {
    stdio: ["pipe", "ignore", "ignore"],
    detached: true,
  });
  reaper.unref();
  reaper.stdin.on("error", () => undefined);
  (reaper.stdin as Socket).unref();
  return reaper;
}

/** True once PING is answered with PONG, so not while it still loads its data. */
function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => socket.write("PING\r\n"));
    const settle = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(500, () => settle(false));
    socket.once("error", () => settle(false));
    socket.once("data", (chunk) => settle(chunk.toString().startsWith("+PONG")));
  });
}

/** A port that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("No free port.");
  return address.port;
}

function binary(): string {
  const named = process.env["REDIS_SERVER_BIN"];
  if (named !== undefined) return named;
  const folders = (process.env["PATH"] ?? "").split(delimiter);
  const found = folders.map((folder) => join(folder, "redis-server")).find((file) => existsSync(file));
  if (found === undefined) throw new Error("There is no redis-server on the PATH; set REDIS_SERVER_BIN.");
  return found;
}
