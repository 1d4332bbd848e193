import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { Redis } from "ioredis";
import { UsageError } from "../flags";

/** A Redis of this program's own, gone when it ends. */
export interface OwnRedis {
  readonly url: string;
  stop(): void;
}

/** @throws UsageError if there is no redis-server */
export async function startOwnRedis(): Promise<OwnRedis> {
  const port = await freePort();
  const binary = process.env["REDIS_SERVER_BIN"] ?? "redis-server";
  const server = spawn(binary, ["--port", String(port), "--bind", "127.0.0.1", "--save", ""], { stdio: "ignore" });
  const failed = once(server, "error").then(() => {
    throw new UsageError("There is no redis-server on the PATH; name a Redis with --redis redis://localhost:6379.");
  });
  const stop = () => void server.kill();
  process.once("exit", stop);
  const url = `redis://127.0.0.1:${port}`;
  await Promise.race([answering(url), failed]);
  failed.catch(() => undefined);
  return { url, stop };
}

async function answering(url: string): Promise<void> {
  for (let attempt = 0; ; attempt += 1) {
    const redis = new Redis(url, { lazyConnect: true, retryStrategy: () => null, maxRetriesPerRequest: 0 });
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
