// npm run bench:feeds -- [--quick]: how late each change feed is, and what the channel costs a write.
import "reflect-metadata";
import { once } from "node:events";
import { parseArgs } from "node:util";
import { Redis } from "ioredis";
import { DataSource } from "typeorm";
import { attachCache, RedisStore, RedisStreamFeed, type CacheOptions, type CoherentCache } from "typeorm-coherent";
import { databases } from "../test/support/databases";
import { startRedis } from "../test/support/redis-server";
import { measure, median } from "./measure";
import { newProducts, Product } from "./product";

const { values } = parseArgs({ options: { quick: { type: "boolean", default: false } } });
const WRITES = values.quick ? 50 : 300;
const ROUNDS = values.quick ? 3 : 15;
const NAMESPACE = "bench";

/** Milliseconds from when a write was committed, or its message was sent, to when the cache has obeyed it, one after the other. */
async function lags(cache: CoherentCache, write: (id: number) => Promise<unknown>): Promise<string> {
  const times: number[] = [];
  let arrived: (() => void) | undefined;
  const stop = cache.on("invalidated", ({ rows }) => {
    if (rows?.length === 1) arrived?.();
  });
  for (let turn = 0; turn < WRITES + 20; turn += 1) {
    const come = new Promise<void>((resolve) => (arrived = resolve));
    await write((turn % 100) + 1);
    const committed = performance.now();
    await come;
    if (turn >= 20) times.push(performance.now() - committed);
  }
  stop();
  times.sort((left, right) => left - right);
  const at = (share: number) => `${times[Math.floor(share * (times.length - 1))]!.toFixed(2)} ms`;
  return `p50 ${at(0.5)}, p99 ${at(0.99)}`;
}

async function main(): Promise<void> {
  const redis = await startRedis();
  const client = new Redis(redis.url);
  await once(client, "ready");
  const available = databases();
  const print = (name: string, text: string) => process.stdout.write(`${name.padEnd(34)} ${text}\n`);
  const attach = (dataSource: DataSource, options: CacheOptions = {}) =>
    attachCache(dataSource, {
      store: new RedisStore(client),
      namespace: NAMESPACE,
      entities: { Product: { keys: ["sku"] } },
      lockTtl: 200,
      storeTimeout: 90,
      ...options,
    });
  try {
    for (const database of available) {
      const dataSource = await database.open([Product], database.name === "sqlite" ? { file: true } : {});
      await dataSource.getRepository(Product).insert(newProducts().slice(0, 100));
      if (database.name === "sqlite") {
        print("channel, per save", await channelCost(dataSource, attach));
        for (const line of await nearHits(dataSource, attach)) print(...line);
        const cache = await attach(dataSource);
        const tell = (id: number) => JSON.stringify({ table: "product", id });
        const products = cache.repository(Product);
        print("event of a save", await lags(cache, (id) => products.update(id, { stock: id })));
        print("message over pub/sub", await lags(cache, (id) => client.publish(`${NAMESPACE}:changes`, tell(id))));
        await cache.feeds.add(new RedisStreamFeed(client));
        const stream = `${NAMESPACE}:changes:stream`;
        print("message in a stream", await lags(cache, (id) => client.xadd(stream, "*", "message", tell(id))));
        await cache.close();
      }
      await feedLag(dataSource, attach, print);
    }
  } finally {
    client.disconnect();
    await redis.stop();
    for (const database of available) await database.cleanup();
  }
}

/** A write of another program, until the cache has obeyed. */
async function feedLag(
  dataSource: DataSource,
  attach: (dataSource: DataSource) => Promise<CoherentCache>,
  print: (name: string, text: string) => void,
): Promise<void> {
  const { options } = dataSource;
  const foreign = await new DataSource({ ...options, synchronize: false }).initialize();
  const write = (id: number) => foreign.query(`UPDATE product SET stock = stock + 1 WHERE id = ${id}`);
  for (const every of options.type === "postgres" ? [undefined] : [100, 10]) {
    const cache = await attach(dataSource);
    if (every === undefined) await cache.feeds.postgres();
    else await cache.feeds.polling({ every });
    const how = every === undefined ? "NOTIFY" : `polled every ${every} ms`;
    print(`${options.type}, ${how}`, await lags(cache, write));
    await cache.close();
  }
  await foreign.destroy();
}

/** A hit by primary key, one at a time: from the store, and from copies. */
async function nearHits(
  dataSource: DataSource,
  attach: (dataSource: DataSource, options: CacheOptions) => Promise<CoherentCache>,
): Promise<[string, string][]> {
  const { options } = dataSource;
  const sources: DataSource[] = [];
  const caches: CoherentCache[] = [];
  const cases = await Promise.all(
    [undefined, "verify" as const, "trust" as const].map(async (mode) => {
      const own = await new DataSource({ ...options, synchronize: false }).initialize();
      sources.push(own);
      const near = mode === undefined ? {} : { near: { mode } };
      const cache = await attach(own, { namespace: `${NAMESPACE}-${mode}`, defaults: near, entities: { Product: {} } });
      caches.push(cache);
      const products = cache.repository(Product);
      await new Promise((resolve) => setTimeout(resolve, 300)); // The quarantine of a new table.
      for (let id = 1; id <= 100; id += 1) await products.findOneBy({ id });
      return { name: mode ?? "RedisStore", run: (turn: number) => products.findOneBy({ id: (turn % 100) + 1 }) };
    }),
  );
  const series = await measure(cases, { inFlight: [1], rounds: ROUNDS, time: 150 });
  for (const cache of caches) await cache.close();
  for (const source of sources) await source.destroy();
  return series.map(({ name, samples }) => {
    const [p50, p99] = [samples.map((sample) => sample.p50), samples.map((sample) => sample.p99)];
    return [`hit, ${name}`, `p50 ${median(p50).toFixed(1)} µs, p99 ${median(p99).toFixed(1)} µs`];
  });
}

/** The same write with and without the channel, in turns. */
async function channelCost(
  dataSource: DataSource,
  attach: (dataSource: DataSource, options: CacheOptions) => Promise<CoherentCache>,
): Promise<string> {
  const { options } = dataSource;
  const sources: DataSource[] = [];
  const caches: CoherentCache[] = [];
  const cases = await Promise.all(
    [true, false].map(async (channel) => {
      const own = await new DataSource({ ...options, synchronize: false }).initialize();
      sources.push(own);
      const cache = await attach(own, { channel, namespace: `${NAMESPACE}-${channel}` });
      caches.push(cache);
      const products = cache.repository(Product);
      return { name: String(channel), run: (turn: number) => products.update((turn % 100) + 1, { stock: turn }) };
    }),
  );
  const [on, off] = await measure(cases, { inFlight: [1], rounds: ROUNDS, time: 250 });
  for (const cache of caches) await cache.close();
  for (const source of sources) await source.destroy();
  const p50 = (series: typeof on) => series!.samples.map((sample) => sample.p50);
  const ratios = p50(on).map((time, round) => time / p50(off)[round]!);
  return `p50 ${median(p50(on)).toFixed(0)} µs with, ${median(p50(off)).toFixed(0)} µs without, ratio ${median(ratios).toFixed(2)}`;
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exitCode = 1;
});
