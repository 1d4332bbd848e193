import { randomUUID } from "node:crypto";
import Redis from "ioredis";
import type { DataSourceOptions } from "typeorm";
import { RedisStore } from "typeorm-coherent";
import { encodeEntry } from "../../src/core/entry";
import { fullCache } from "../cases/full-cache";
import { ROW } from "../cases/reading";
import { median } from "../measure";
import { Places } from "../places";
import { Product } from "../product";

/** What the steps of the protocol cost, measured on this machine; microseconds of CPU time. */
export interface Costs {
  /** Of the Redis server, for one command each: a hit by primary key, a PREPARE, a fill, a LOCK and an UNLOCK of one row. */
  readonly hit: number;
  readonly prepare: number;
  readonly fill: number;
  readonly lock: number;
  readonly unlock: number;
  /** Of the Redis server, for handing one message to one of those who listen. */
  readonly delivery: number;
  /** Of the process that reads: a hit in Redis, and one of a trusted copy. */
  readonly readerHit: number;
  readonly readerCopy: number;
}

const ROWS = 3000;
const ROUNDS = 11;
const IN_FLIGHT = 32;
const SUBSCRIBERS = 50;
const TTL = 600_000;
const GROUP = "public.product";
const PAYLOAD = JSON.stringify([[1, "A-1", "x".repeat(180)]]);

/** @param url of a Redis server that nobody else uses */
export async function measureCosts(url: string): Promise<Costs> {
  const client = new Redis(url);
  const stores = Array.from({ length: IN_FLIGHT }, () => new RedisStore(client));
  const context = { namespace: `simulate-${randomUUID()}`, lockTtl: 100, timeout: 5000 };
  const [store] = stores;
  for (const one of stores) await one.open(context, [GROUP]);
  const server = async (work: Work) => median(await rounds(() => serverTime(client), stores, work));
  try {
    await until(async () => !(await store!.prepare([`${GROUP}|`], TTL)).includes(""));
    const prepare = await server((one, row) => one.prepare(tagsOf(row), TTL));
    const tokens = await Promise.all(Array.from({ length: ROWS }, (_, row) => store!.prepare(tagsOf(row), TTL)));
    const fill = await server((one, row) => one.fill([fillOf(row, tokens[row]!)]));
    const hit = await server(async (one, row) => mustHit(await one.read([requestOf(row)])));
    const locks: number[] = [];
    const unlocks: number[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      const [clock, own] = [() => serverTime(client), (row: number) => tagsOf(row).slice(1)];
      const holder = (row: number) => `holder-${row}`;
      locks.push(await once(clock, stores, (one, row) => one.lock(own(row), holder(row), [], TTL)));
      unlocks.push(
        await once(clock, stores, (one, row) =>
          one.unlock({ tags: own(row), holder: holder(row), token: "t", tagTtl: TTL, watched: [], entries: [] }),
        ),
      );
    }
    const delivery = await deliveryCost(url, client);
    const readers = { readerHit: await readerCost(url, "redis"), readerCopy: await readerCost(url, "trust") };
    return { hit, prepare, fill, lock: median(locks), unlock: median(unlocks), delivery, ...readers };
  } finally {
    for (const one of stores) await one.close();
    client.disconnect();
  }
}

type Work = (store: RedisStore, row: number) => Promise<unknown>;

/** The same number of calls, a few at once, each from a store of its own as from a process of its own: none shares its command with another. */
async function once(clock: () => Promise<number>, stores: readonly RedisStore[], work: Work): Promise<number> {
  const begun = await clock();
  let row = 0;
  await Promise.all(
    stores.map(async (store) => {
      while (row < ROWS) await work(store, row++);
    }),
  );
  return ((await clock()) - begun) / ROWS;
}

async function rounds(clock: () => Promise<number>, stores: readonly RedisStore[], work: Work): Promise<number[]> {
  await once(clock, stores, work);
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) times.push(await once(clock, stores, work));
  return times;
}

/** Microseconds of CPU time that the server has used for commands and connections. */
async function serverTime(client: Redis): Promise<number> {
  const info = await client.info("cpu");
  const of = (name: string) => Number(new RegExp(`^${name}:([\\d.]+)`, "m").exec(info)?.[1]);
  return 1e6 * (of("used_cpu_user_main_thread") + of("used_cpu_sys_main_thread"));
}

function processTime(): Promise<number> {
  const { user, system } = process.cpuUsage();
  return Promise.resolve(user + system);
}

/** Microseconds of CPU time of this process for a hit through the whole library. */
async function readerCost(url: string, kind: "redis" | "trust"): Promise<number> {
  const places = new Places(url, { sqlite: () => Promise.resolve(sqliteOptions()) });
  try {
    const { read } = await fullCache(places, kind, { ...ROW, shape: { ...ROW.shape, rows: ROWS } });
    const times: number[] = [];
    for (let round = -1; round < ROUNDS; round += 1) {
      const begun = await processTime();
      for (let turn = 0; turn < ROWS; turn += 1) await read(turn);
      if (round >= 0) times.push(((await processTime()) - begun) / ROWS);
    }
    return median(times);
  } finally {
    await places.close();
  }
}

function sqliteOptions(): DataSourceOptions {
  return { type: "better-sqlite3", database: ":memory:", entities: [Product], synchronize: true };
}

/**
 * What a message costs the server beyond what it costs with nobody there, for each who listens, while many send at once: what one listener
 * gets in one turn of the server goes out as one.
 */
async function deliveryCost(url: string, client: Redis): Promise<number> {
  const text = "x".repeat(200);
  const speakers = Array.from({ length: IN_FLIGHT }, () => new Redis(url));
  const publish = async () => {
    const begun = await serverTime(client);
    let turn = 0;
    await Promise.all(
      speakers.map(async (one) => {
        while (turn++ < ROWS) await one.publish("simulate", text);
      }),
    );
    return ((await serverTime(client)) - begun) / ROWS;
  };
  const alone = median([await publish(), await publish(), await publish()]);
  const listeners = Array.from({ length: SUBSCRIBERS }, () => new Redis(url));
  let heard = 0;
  await Promise.all(
    listeners.map((one) => {
      one.on("message", () => (heard += 1));
      return one.subscribe("simulate");
    }),
  );
  const before = heard;
  const heardBy = median([await publish(), await publish(), await publish()]);
  await until(() => Promise.resolve(heard - before === 3 * SUBSCRIBERS * ROWS));
  for (const one of [...listeners, ...speakers]) one.disconnect();
  return (heardBy - alone) / SUBSCRIBERS;
}

function tagsOf(row: number): string[] {
  return [`${GROUP}|`, `${GROUP}|id=${row}`];
}

function requestOf(row: number) {
  return { key: `row ${row}`, group: GROUP, query: `row ${row}`, tags: tagsOf(row) };
}

function fillOf(row: number, tokens: readonly string[]) {
  const value = encodeEntry({ query: `row ${row}`, rowTags: [], tokens, payload: PAYLOAD });
  return { key: `row ${row}`, group: GROUP, value, ttl: TTL };
}

function mustHit(answers: readonly { readonly outcome: string }[]): void {
  if (answers[0]?.outcome !== "hit") throw new Error("What was to be measured was no hit.");
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + 10_000;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error("The measurement did not come to its start.");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
