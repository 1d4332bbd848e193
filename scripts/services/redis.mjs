// Redis: only the binary is looked for. Tests kill, flush and restart it, so each starts its own on a free port.
import { execFileSync } from "node:child_process";
import { findBinary } from "./server-process.mjs";
import { canUseApt, installWithApt, MissingService } from "./install.mjs";

/** Where the redis-server binary is. A REDIS_URL is never touched by the tests: they would flush it. */
export async function findRedis() {
  const named = process.env.REDIS_SERVER_BIN;
  const look = () => (named ? named : findBinary(["redis-server", "valkey-server"]));
  let binary = look();
  if (binary === undefined && canUseApt()) {
    await installWithApt("redis-server");
    binary = look();
  }
  if (binary === undefined) {
    throw new MissingService("Redis", { debian: "redis-server", brew: "redis" }, "REDIS_SERVER_BIN");
  }
  const text = execFileSync(binary, ["--version"], { encoding: "utf8" });
  return { binary, version: /v=(\S+)/.exec(text)?.[1] ?? text.trim() };
}
