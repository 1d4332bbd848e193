// npm run endurance -- --operations 1000000 [--rows 12000] [--faults]: reads and writes in a process of their own, and what stays of them.
import "reflect-metadata";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { Redis } from "ioredis";
import { Column, DataSource, Entity, PrimaryGeneratedColumn } from "typeorm";
import { attachCache, CacheKey, Cached, RedisStore, type CoherentCache } from "../../src";
import { startRedis, until, type RedisServer } from "../support/redis-server";
import { slopeOf } from "./slope";

/** What is printed at the end, as JSON. */
export interface EnduranceReport {
  readonly operations: number;
  readonly failed: number;
  /** Bytes of the heap after a forced collection, at equal distances. */
  readonly heap: readonly number[];
  /** Bytes per operation, over the second half. */
  readonly slope: number;
  readonly unhandled: readonly string[];
  readonly outages: number;
  /** What keeps an event loop busy, after `cache.close()` and not before the cache was there. */
  readonly left: readonly string[];
  /** Connections that Redis still has, besides the user's own. */
  readonly connections: number;
  /** The data source and the user's client answer. */
  readonly usable: boolean;
}

@Entity()
@Cached({ strategy: "write-through", near: { mode: "verify" } })
class Thing {
  @PrimaryGeneratedColumn() id!: number;
  @CacheKey() @Column() shelf!: number;
  @Column() name!: string;
}

const LANES = 8;
const SAMPLES = 20;
/** Which turns of {@link operate} write. */
const WRITES = new Set([0, 1, 4]);

const { values } = parseArgs({
  options: {
    operations: { type: "string", default: "1000000" },
    // More than any list of ours remembers, so that all of them are full before the half.
    rows: { type: "string", default: "12000" },
    faults: { type: "boolean", default: false },
  },
});

async function main(): Promise<EnduranceReport> {
  const [operations, rows] = [Number(values.operations), Number(values.rows)];
  const unhandled: string[] = [];
  process.on("unhandledRejection", (reason) => unhandled.push(String(reason)));
  const server = await startRedis();
  const client = new Redis(server.url, { retryStrategy: () => 20 });
  client.on("error", () => undefined);
  await client.ping();
  const dataSource = new DataSource({
    type: "better-sqlite3",
    database: ":memory:",
    entities: [Thing],
    synchronize: true,
  });
  await dataSource.initialize();
  await dataSource.query(
    `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${rows}) INSERT INTO thing SELECT i, i % 100, 'new' FROM n`,
  );
  const before = resources();
  const cache = await attachCache(dataSource, {
    store: new RedisStore(client),
    lockTtl: 400,
    logger: { warn: () => undefined },
  });
  const heap: number[] = [];
  let failed = 0;
  // One connection is all that the driver has: two transactions at a time would be one.
  let writing: Promise<unknown> = Promise.resolve();
  for (let sample = 0; sample < SAMPLES; sample += 1) {
    const ending = values.faults ? await fault(sample, server, client) : undefined;
    const lanes = Array.from({ length: LANES }, async (_, lane) => {
      for (let done = lane; done < operations / SAMPLES; done += LANES) {
        const turn = sample * 7919 + done;
        const work = () => operate(dataSource, cache, rows, turn);
        const isWrite = WRITES.has(turn % 20);
        const doing = isWrite ? writing.then(work) : work();
        if (isWrite) writing = doing.catch(() => undefined);
        await doing.catch(() => (failed += 1));
      }
    });
    await Promise.all(lanes);
    await ending?.();
    if (values.faults) await until(() => cache.stats().storeState === "up", 20_000);
    heap.push(collected());
    process.stderr.write(`${((sample + 1) * operations) / SAMPLES} operations, heap ${heap.at(-1)} bytes\n`);
  }
  const { outages } = cache.stats();
  // One is under way when the cache is closed.
  const last = cache.repository(Thing).save({ id: 1, name: "last" });
  await Promise.all([cache.close(), last]);
  const report = {
    operations,
    failed,
    heap,
    slope: slopeOf(heap.slice(SAMPLES / 2)) / (operations / SAMPLES),
    unhandled,
    outages,
    ...(await rest(before, client, dataSource)),
  };
  client.disconnect();
  await dataSource.destroy();
  await server.stop();
  return report;
}

/** Mostly reads of rows, some of them not there; lists, writes and transactions that are undone. */
async function operate(dataSource: DataSource, cache: CoherentCache, rows: number, turn: number): Promise<void> {
  const things = cache.repository(Thing);
  const id = 1 + ((turn * 31) % rows);
  switch (turn % 20) {
    case 0:
      return void (await things.save({ id, name: `written in ${turn}` }));
    case 1:
      return void (await things.update(id, { name: `updated in ${turn}` }));
    case 2:
      return void (await things.find({ where: { shelf: turn % 100 }, take: 3 }));
    case 3:
      return void (await things.findOneBy({ id: rows + id }));
    case 4:
      return dataSource
        .transaction(async (manager) => {
          await manager.update(Thing, id, { name: "never" });
          throw new Undone();
        })
        .catch((error: unknown) => {
          if (!(error instanceof Undone)) throw error;
        });
    default:
      return void (await things.findOneBy({ id }));
  }
}

class Undone extends Error {}

/** @returns what ends it */
async function fault(turn: number, server: RedisServer, client: Redis): Promise<() => Promise<unknown>> {
  switch (turn % 5) {
    case 0:
      await server.kill("SIGKILL");
      return () => server.restart();
    case 1:
      await server.kill("SIGSTOP");
      return () => server.kill("SIGCONT");
    case 2: {
      const timer = setInterval(() => void client.client("KILL", "TYPE", "normal").catch(() => undefined), 50);
      return async () => clearInterval(timer);
    }
    case 3:
      await client.config("SET", "maxmemory", "1");
      return () => client.config("SET", "maxmemory", "0");
    default:
      return () => Promise.resolve();
  }
}

/** The smallest of several looks: what was just given back is collected in the next. */
function collected(): number {
  const looks = [0, 0, 0].map(() => {
    globalThis.gc!();
    return process.memoryUsage().heapUsed;
  });
  return Math.min(...looks);
}

function resources(): string[] {
  return process.getActiveResourcesInfo().filter((name) => name !== "Immediate");
}

async function rest(before: readonly string[], client: Redis, dataSource: DataSource) {
  const names = [...before];
  // A socket is closed in the next turn of the event loop, or when the other side has heard.
  const difference = () => resources().filter((name) => !take(names, name));
  const look = () => {
    names.splice(0, names.length, ...before);
    return difference();
  };
  const others = async () => ((await client.client("LIST")) as string).trim().split("\n").length - 1;
  await until(async () => look().length === 0 && (await others()) === 0, 3000).catch(() => undefined);
  await delay(0);
  const usable =
    (await client.ping()) === "PONG" &&
    (await dataSource.getRepository(Thing).findOneByOrFail({ id: 1 })).name === "last";
  return { left: look(), connections: await others(), usable };
}

function take(names: string[], name: string): boolean {
  const at = names.indexOf(name);
  if (at >= 0) names.splice(at, 1);
  return at >= 0;
}

if (globalThis.gc === undefined) throw new Error("Start Node with --expose-gc: npm run endurance does.");
main().then(
  (report) => process.stdout.write(`${JSON.stringify(report)}\n`),
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    process.exitCode = 1;
  },
);
