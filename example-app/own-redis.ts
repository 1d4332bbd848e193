import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { Redis } from "ioredis";
import { UsageError } from "./flags";

/** A Redis of this program's own, gone when it ends. */
export interface OwnRedis {
  readonly url: string;
  readonly isRunning: boolean;
  /** Ends it with all that it holds. */
  stop(): Promise<void>;
  /** Starts it again, empty, on the same port. */
  start(): Promise<void>;
}

/** Of a client that connects once. The last: milliseconds for which it would keep the process from ending. */
export const ONCE = { lazyConnect: true, retryStrategy: () => null, disconnectTimeout: 100 };

/** @throws UsageError if there is no redis-server */
export async function startOwnRedis(): Promise<OwnRedis> {
  const port = await freePort();
  let server: ChildProcess | undefined;
  process.once("exit", () => server?.kill());
  const own = {
    url: `redis://127.0.0.1:${port}`,
    get isRunning() {
      return server !== undefined;
    },
    async stop() {
      const ending = server;
      server = undefined;
      if (ending === undefined || ending.exitCode !== null) return;
      const exit = once(ending, "exit");
      ending.kill();
      await exit;
    },
    async start() {
      if (server !== undefined) return;
      const started = await serverAt(port, own.url);
      server = started;
      started.once("exit", () => {
        if (server === started) server = undefined;
      });
    },
  };
  await own.start();
  return own;
}

async function serverAt(port: number, url: string): Promise<ChildProcess> {
  const binary = process.env["REDIS_SERVER_BIN"] ?? "redis-server";
  const server = spawn(binary, ["--port", String(port), "--bind", "127.0.0.1", "--save", ""], { stdio: "ignore" });
  const failed = once(server, "error").then(() => {
    throw new UsageError("There is no redis-server on the PATH; name a Redis with --redis redis://localhost:6379.");
  });
  await Promise.race([answering(url), failed]);
  failed.catch(() => undefined);
  return server;
}

async function answering(url: string): Promise<void> {
  for (let attempt = 0; ; attempt += 1) {
    const redis = new Redis(url, { ...ONCE, maxRetriesPerRequest: 0 });
    redis.on("error", () => undefined);
    try {
      await redis.ping();
      return;
    } catch (error) {
      if (attempt === 100) throw error;
      await delay(50);
    } finally {
      redis.disconnect();
    }
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}
