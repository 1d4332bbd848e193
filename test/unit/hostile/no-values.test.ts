import { afterEach, describe, expect, it } from "@jest/globals";
import { inspect } from "node:util";
import { Redis, type RedisOptions } from "ioredis";
import { Column, DataSource, Entity, PrimaryColumn } from "typeorm";
import {
  attachCache,
  Cached,
  RedisStore,
  type CacheEventName,
  type CacheOptions,
  type CoherentCache,
} from "typeorm-coherent";
import { withoutValues } from "../../../src/store/redis/without-values";
import { quarantineOver } from "../../support/cache-harness";
import { redisForBlock } from "../../support/redis-for-block";
import { startRedis, until } from "../../support/redis-server";

@Entity()
@Cached({ strategy: "write-through" })
class Patient {
  @PrimaryColumn() id!: number;
  @Column() diagnosis!: string;
}

const VALUE = "a-value-that-nobody-may-see";
const SECRET = "entry-secret-that-nobody-may-see";
const CHANNEL_SECRET = "channel-secret-that-nobody-may-see";
const PASSWORD = "password-that-nobody-may-see";

const EVENTS = Object.keys({
  ...{ hit: 0, miss: 0, fill: 0, unfilled: 0, bypass: 0, lock: 0, invalidate: 0, writeThrough: 0, storeError: 0 },
  ...{ storeState: 0, staleHit: 0, nearHit: 0, checked: 0, invalidated: 0, gap: 0, rejected: 0, closed: 0 },
} satisfies Record<CacheEventName, number>) as CacheEventName[];

describe("logs, events and numbers", () => {
  let redis: Redis;
  let url: string;
  redisForBlock((client, server) => {
    redis = client;
    ({ url } = server);
  });
  const closing: (() => unknown)[] = [];
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });

  /** A cache, and everything that it says to anybody. */
  async function open(at: string, options: CacheOptions & { redis?: RedisOptions } = {}) {
    const said: unknown[] = [];
    const dataSource = new DataSource({
      ...{ type: "better-sqlite3", database: ":memory:", synchronize: true },
      entities: [Patient],
    });
    await dataSource.initialize();
    closing.push(() => dataSource.destroy());
    await dataSource.getRepository(Patient).insert({ id: 1, diagnosis: VALUE });
    const client = new Redis(at, { lazyConnect: true, ...options.redis });
    closing.push(() => client.disconnect());
    const store = new RedisStore(client);
    const cache = await attachCache(dataSource, {
      ...{ namespace: "shop", lockTtl: 60, store, entrySecret: SECRET, channel: { secret: CHANNEL_SECRET } },
      logger: { warn: (...args) => void said.push(args) },
      debug: (line) => said.push(line),
      ...options,
    });
    closing.push(() => cache.close());
    for (const name of EVENTS) cache.on(name, (event) => said.push([name, event]));
    return { cache, store, said, patients: cache.repository(Patient) };
  }

  function expectNothing(said: readonly unknown[], cache: CoherentCache): void {
    const text = inspect([said, cache.stats()], { depth: 20, showHidden: true, maxArrayLength: null });
    for (const hidden of [VALUE, SECRET, CHANNEL_SECRET, PASSWORD]) expect(text).not.toContain(hidden);
  }

  it("tell no value of a row and no secret, whatever happens", async () => {
    const { cache, store, said, patients } = await open(url);
    await quarantineOver(store, ["patient"]);
    const read = async () => (await patients.findOneByOrFail({ id: 1 })).diagnosis;
    for (const _time of [1, 2]) expect(await read()).toBe(VALUE);
    await patients.save({ id: 1, diagnosis: `${VALUE}, again` });
    expect(await read()).toContain(VALUE);
    said.push(await cache.explain(Patient, "findOne", { where: { id: 1 } }));
    for (const change of [(text: string) => text.replace(VALUE, "something"), (text: string) => `WRONG${text}`]) {
      const [key] = await redis.keys("shop:*:e:*");
      await redis.set(key!, change((await redis.get(key!))!));
      await read();
    }
    await redis.publish("shop:changes", `no-mac {"table":"patient","diagnosis":"${VALUE}"}`);
    await until(() => cache.stats().rejected.unsigned > 0);
    const { misses, hits, writeThroughs } = cache.stats();
    expect({ hits, writeThroughs, misses }).toMatchObject({ misses: { unsigned: 1, corrupt: 1 } });
    expectNothing(said, cache);
  });

  it("do not tell the entry that a server refuses, which ioredis hangs on the error", async () => {
    // May write everything but entries.
    const rules = "on nopass %R~* ~*:t:* ~*:g ~*:s ~*:n &* +@all".split(" ");
    await redis.call("ACL", "SETUSER", "app", ...rules);
    const { cache, store, said, patients } = await open(url, { redis: { username: "app", password: "any" } });
    await quarantineOver(store, ["patient"]);
    expect((await patients.findOneByOrFail({ id: 1 })).diagnosis).toBe(VALUE);
    await until(() => cache.stats().storeErrors > 0);
    expect(inspect(said, { depth: 10 })).toMatch(/NOPERM[^]*command: { name: 'set' }/);
    expectNothing(said, cache);
  });

  it("do not tell what a server repeats that does not know a command", async () => {
    const refused = await redis.call("NOSUCHCOMMAND", "key", VALUE).catch((error: unknown) => error);
    expect(inspect(refused)).toContain(VALUE);
    expect(inspect(withoutValues(refused))).toMatch(/unknown command 'NOSUCHCOMMAND'$/m);
    expect(inspect(refused)).not.toContain(VALUE);
  });

  it("do not tell the password that a server refuses", async () => {
    const server = await startRedis({ args: ["--user", "app", "on", ">right", "~*", "&*", "+@all"] });
    closing.push(() => server.stop());
    const { cache, said } = await open(server.url, { redis: { username: "app", password: PASSWORD } });
    await until(() => said.length > 0);
    expect(inspect(said, { depth: 5 })).toMatch(/WRONGPASS/);
    expectNothing(said, cache);
  });
});
