// npm run engines: installs the package as npm would publish it beside both lines of TypeORM, runs it on every line of Node.js, and prints
// a table. Ends with 1 if anything fails, and under CI=true also if a Node.js cannot be had.
import { startRedis } from "../support/redis-server";
import { appsFor, engineOf, LINES, tryEngine } from "./engines";
import { Packed } from "./packed";

async function main(): Promise<void> {
  const packed = new Packed();
  const redis = await startRedis();
  try {
    const apps = appsFor(packed);
    for (const line of LINES) {
      const engine = engineOf(line);
      if ("missing" in engine) {
        console.log(`${process.env["CI"] === "true" ? "FAILED" : "SKIPPED"}: ${engine.missing}`);
        if (process.env["CI"] === "true") process.exitCode = 1;
        continue;
      }
      for (const { version, app } of apps) {
        const label = `Node.js ${engine.version.padEnd(9)} TypeORM ${version.padEnd(8)}`;
        try {
          const { memory, redis: inRedis } = tryEngine(engine.binary, app, redis.url);
          const rounds = `memory ${memory.prices.join(" ")}, Redis ${inRedis.prices.join(" ")}, ${memory.sqlite}`;
          console.log(`${label} ok: every entry, ${rounds}`);
        } catch (error) {
          console.log(`${label} FAILED: ${String(error)}`);
          process.exitCode = 1;
        }
      }
    }
  } finally {
    await redis.stop();
    packed.remove();
  }
}

void main();
