// Two processes on one database and one Redis, and a third that writes past both: `npm run example:cluster -- [--redis URL]`.
import "reflect-metadata";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { InvalidatedEvent } from "typeorm-coherent";
import { createDataSource } from "../database";
import { OWN_REDIS, parseFlags, UsageError } from "../flags";
import { startOwnRedis } from "../own-redis";
import { Watch } from "../watch";
import { Instance } from "./process";

const PRODUCT = 17;
/** Milliseconds after which an event that has not come is missing. */
const PATIENCE = 5000;

const HELP = `Two processes of the shop on one SQLite file and one Redis, a third program that writes past both, and the events.

Usage: npm run example:cluster -- [flags]

  --redis URL        the Redis (default: a redis-server of its own, which must be on the PATH)
  --typeorm LINE     1 for TypeORM 1.x with better-sqlite3 (default), 0.3 for TypeORM 0.3 with sqlite3
  --help             this text

Exit code: 0 if both served what was right every time, 1 if not, 2 for a wrong flag.`;

const print = (line = "") => void process.stdout.write(`${line}\n`);
const price = (cents: number) => (cents / 100).toFixed(2);

async function main(args: readonly string[]): Promise<number> {
  const { redis, help, serve, database: file } = parseFlags(args);
  if (help) return (print(HELP), 0);
  if (serve || file !== undefined) throw new UsageError("--serve and --database are flags of npm run example.");
  const own = redis === undefined || redis === OWN_REDIS ? await startOwnRedis() : undefined;
  const url = own?.url ?? redis!;
  const folder = mkdtempSync(join(tmpdir(), "coherent-cluster-"));
  const database = join(folder, "shop.db");
  const instances: Instance[] = [];
  /** By instance, in order. */
  const heard = new Map<string, InvalidatedEvent[]>();
  let wrong = 0;

  const start = async (name: string) => {
    const events: InvalidatedEvent[] = [];
    heard.set(name, events);
    const typeorm = args.filter((argument, at) => argument.startsWith("--typeorm") || args[at - 1] === "--typeorm");
    const instance = new Instance(name, url, database, typeorm, (event) => {
      events.push(event);
      if (event.table !== "product") return;
      const rows = event.rows === null ? "any row" : event.rows.map((row) => Object.values(row).join("/")).join(", ");
      print(`      → ${name} hears: ${event.operation} ${event.table} ${rows}${event.own ? ", its own" : ""}`);
    });
    instances.push(instance);
    await instance.ready();
    print(`   ${name} is up, process ${instance.pid}`);
    return instance;
  };
  const check = async (instance: Instance, expected: number) => {
    const { priceCents, outcome } = await instance.ask({ do: "read", product: PRODUCT });
    const isRight = priceCents === expected;
    if (!isRight) wrong += 1;
    print(`   ${isRight ? "✓" : "✗"} ${instance.name} reads ${price(priceCents)} (${outcome})`);
  };
  /** Until every instance has heard of the product again. */
  const passed = async (before: readonly number[]) => {
    const end = performance.now() + PATIENCE;
    const counts = () => [...heard.values()].map((events) => events.filter(({ table }) => table === "product").length);
    while (counts().some((count, at) => count <= before[at]!)) {
      if (performance.now() > end) {
        wrong += 1;
        return print("   ✗ an event is missing");
      }
      await delay(5);
    }
  };
  const soFar = () => [...heard.values()].map((events) => events.filter(({ table }) => table === "product").length);

  try {
    print(`Two processes on ${database} and ${own === undefined ? url : "a Redis of their own"}`);
    // One after the other: the first fills the shop.
    const a = await start("A");
    const b = await start("B");
    const foreign = createDataSource(database, new Watch().logger);
    await foreign.initialize();
    await delay(2100); // What is new in Redis is not filled at once; see docs/consistency.md.
    const { priceCents: first } = await a.ask({ do: "read", product: PRODUCT });

    print("\n1. Both read product 17, and share what is cached");
    for (const instance of [a, b, a, b]) await check(instance, first);

    for (const [number, writer] of [a, b].entries()) {
      const cents = first + 100 * (number + 1);
      print(
        `\n${number + 2}. ${writer.name} sets the price to ${price(cents)}; COMMIT returns, and nobody reads anything older`,
      );
      const before = soFar();
      await writer.ask({ do: "setPrice", product: PRODUCT, priceCents: cents });
      for (const instance of [a, b]) await check(instance, cents);
      await passed(before);
    }

    const cents = first + 900;
    print(`\n4. A third program (process ${process.pid}, without the cache) says UPDATE … SET priceCents = ${cents}`);
    const before = soFar();
    await foreign.query(`UPDATE product SET priceCents = ${cents} WHERE id = ${PRODUCT}`);
    await passed(before);
    for (const instance of [a, b, a, b]) await check(instance, cents);
    await foreign.destroy();
    print(`\n${wrong === 0 ? "Every value was right." : `${wrong} values or events were wrong.`}`);
    return wrong === 0 ? 0 : 1;
  } finally {
    for (const instance of instances) await instance.close();
    await own?.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

main(process.argv.slice(2)).then(
  (exitCode) => (process.exitCode = exitCode),
  (error: unknown) => {
    const isUsage = error instanceof UsageError;
    process.stderr.write(`${isUsage ? error.message : error instanceof Error ? error.stack : String(error)}\n`);
    process.exitCode = isUsage ? 2 : 1;
  },
);
