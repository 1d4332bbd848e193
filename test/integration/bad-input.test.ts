import { Redis } from "ioredis";
import {
  Column,
  DataSource,
  Entity,
  In,
  JoinColumn,
  OneToMany,
  ManyToOne,
  PrimaryGeneratedColumn,
  ViewColumn,
  ViewEntity,
} from "typeorm";
import {
  attachCache,
  CacheConfigError,
  CacheError,
  CacheKey,
  Cached,
  CacheStateError,
  LockError,
  MemoryStore,
  RedisStore,
  StoreError,
  type CacheOptions,
  type EntityCacheOptions,
  type Store,
} from "typeorm-coherent";
import type * as Coherent from "typeorm-coherent";
import { quarantineOver } from "../support/cache-harness";
import { databases, type Entities, type TestDatabase } from "../support/databases";
import { startRedis, until } from "../support/redis-server";

@Entity()
@Cached()
class Plain {
  @PrimaryGeneratedColumn() id!: number;
  @CacheKey() @Column({ length: 40 }) name!: string;
}

@Entity()
@Cached()
class Typo {
  @PrimaryGeneratedColumn() id!: number;
}
CacheKey(["id", "nmae"])(Typo);

@Entity()
class Child {
  @PrimaryGeneratedColumn() id!: number;
  @ManyToOne(() => Parent, (parent) => parent.children) @JoinColumn() parent!: unknown;
}

@Entity()
@Cached()
class Parent {
  @PrimaryGeneratedColumn() id!: number;
  @CacheKey() @OneToMany(() => Child, (child) => child.parent) children!: Child[];
}

@ViewEntity({
  expression: "SELECT one FROM (SELECT 1 AS one) AS t WHERE one IN (SELECT 1 FROM (SELECT one() AS x) AS u)",
  synchronize: false,
})
@Cached()
class View {
  @ViewColumn() one!: number;
}

const [sqlite] = databases() as [TestDatabase];
afterEach(() => sqlite.cleanup());

async function failure(work: Promise<unknown> | (() => unknown)): Promise<CacheError> {
  try {
    await (typeof work === "function" ? work() : work);
  } catch (error) {
    expect(error).toBeInstanceOf(CacheError);
    return error as CacheError;
  }
  throw new Error("nothing was thrown");
}

const attach = async (entities: Entities, options?: CacheOptions) => attachCache(await sqlite.open(entities), options);

describe("decorators that cannot be meant", () => {
  it.each([
    ["an unknown column in a key", [Typo], "KEY_COLUMN_UNKNOWN", /Typo.*"nmae".*columns are id/],
    [
      "a relation without a join column",
      [Parent, Child],
      "KEY_RELATION_WITHOUT_JOIN_COLUMN",
      /"children".*join column/,
    ],
    ["a view", [View], "CONFIG_INVALID", /View is a view.*calls one\(\).*dependsOn.*or take @Cached off/],
  ] as const)("%s", async (_, entities, code, message) => {
    const error = await failure(attach([...entities]));
    expect(error).toBeInstanceOf(CacheConfigError);
    expect(error).toMatchObject({ code, message: expect.stringMatching(message) as string });
  });

  it.each<[string, EntityCacheOptions, string, RegExp]>([
    ["an unknown key by option", { keys: ["nmae"] }, "KEY_COLUMN_UNKNOWN", /"nmae".*columns are id, name/],
    ["an unknown column in a composite key", { keys: [["name", "x.y"]] }, "KEY_COLUMN_UNKNOWN", /"x.y"/],
    ["a key that names a column twice", { keys: [["name", "name"]] }, "CONFIG_INVALID", /\[name, name\].*twice/],
    ["a key of nothing", { keys: [[]] }, "CONFIG_INVALID", /keys must be a list of property paths/],
    ["an empty name", { keys: [""] }, "CONFIG_INVALID", /keys must be a list of property paths/],
    ["a text for a list of keys", { keys: "name" as never }, "CONFIG_INVALID", /keys must be a list of property paths/],
    ["true for options", true as never, "CONFIG_INVALID", /Plain: .*object of options, or false/],
    ["null for options", null as never, "CONFIG_INVALID", /Plain: .*object of options, or false/],
    [
      "an unknown strategy",
      { strategy: "write-behind" as never },
      "CONFIG_INVALID",
      /Plain: strategy is 'write-behind'/,
    ],
    ["a duration of another kind", { ttl: 5n as never }, "CONFIG_INVALID", /ttl of Plain is 5n.*"10m"/],
    ["no duration", { negativeTtl: {} as never }, "CONFIG_INVALID", /negativeTtl of Plain/],
  ])("%s", async (_, settings, code, message) => {
    const error = await failure(attach([Plain], { entities: { Plain: settings } }));
    expect(error).toMatchObject({ code, entity: "Plain", message: expect.stringMatching(message) as string });
  });

  it("a setting that is there but undefined says nothing", async () => {
    const settings = { ttl: undefined, strategy: undefined, keys: undefined } as unknown as EntityCacheOptions;
    const cache = await attach([Plain], { entities: { Plain: settings }, defaults: { ttl: 7000 } });
    expect(await cache.explain(Plain, "find", { where: { name: "x" } })).toMatchObject({ cacheable: true, ttl: 7000 });
  });

  it("decorators that take something else than they should", async () => {
    class Target {}
    for (const decorate of [
      () => Cached("10m" as never)(Target),
      () => Cached(null as never)(Target),
      () => CacheKey([])(Target),
      () => CacheKey("name" as never)(Target),
      () => (CacheKey() as MethodDecorator)(Target, "name", {}),
      () => CacheKey()({}, Symbol("name")),
    ]) {
      const error = await failure(decorate);
      expect(error).toMatchObject({ code: "CONFIG_INVALID", message: expect.stringMatching(/^@Cache/) as string });
    }
  });

  it("@CacheKey with a list on a property, and without one on a class", async () => {
    expect(await failure(() => CacheKey(["a"])(Plain.prototype, "name"))).toMatchObject({ code: "CONFIG_INVALID" });
    expect(await failure(() => CacheKey()(Plain))).toMatchObject({ code: "CONFIG_INVALID" });
    expect(await failure(() => (Cached() as unknown as PropertyDecorator)(Plain.prototype, "name"))).toMatchObject({
      code: "CONFIG_INVALID",
    });
  });

  it("@Cached on a class that is no entity", async () => {
    await jest.isolateModulesAsync(async () => {
      // In a registry of its own: the class stays decorated for as long as its process lives.
      const isolated = jest.requireActual<typeof Coherent>("typeorm-coherent");
      class NoEntity {}
      isolated.Cached()(NoEntity);
      const work = isolated.attachCache(await sqlite.open([Plain]));
      await expect(work).rejects.toMatchObject({
        code: "NOT_AN_ENTITY",
        message: expect.stringMatching(/Add @Entity\(\)/) as string,
      });
    });
  });

  it("leave the data source as it was", async () => {
    const dataSource = await sqlite.open([Plain, Typo]);
    expect(await failure(attachCache(dataSource))).toMatchObject({ code: "KEY_COLUMN_UNKNOWN" });
    expect(dataSource.subscribers).toEqual([]);
    await dataSource.getRepository(Plain).save({ name: "x" });
    expect(await failure(attachCache(dataSource))).toMatchObject({ code: "KEY_COLUMN_UNKNOWN" });
  });
});

describe("options that cannot be meant", () => {
  it.each<[string, unknown, RegExp]>([
    ["no duration", { defaults: { ttl: "soon" } }, /ttl.*soon/],
    ["a negative ttl", { defaults: { ttl: -1 } }, /ttl/],
    ["a ttl of nothing", { defaults: { ttl: 0 } }, /ttl/],
    ["jitter of more than all", { defaults: { jitter: 2 } }, /jitter/],
    ["an unknown strategy", { defaults: { strategy: "write-behind" } }, /write-through/],
    ["an unknown consistency", { consistency: "eventual" }, /"strict", "available" or "relaxed"/],
    ["write-through without locks", { consistency: "relaxed", defaults: { strategy: "write-through" } }, /relaxed/],
    ["negative entries that outlive rows", { defaults: { ttl: "1m", negativeTtl: "2m" } }, /negativeTtl/],
    ["a share of nothing", { consistencyCheck: { sampleRate: 0 } }, /consistencyCheck.*above 0 and at most 1/],
    ["a share of more than all", { consistencyCheck: { sampleRate: 2 } }, /sampleRate/],
    ["no share", { consistencyCheck: true }, /consistencyCheck is true/],
    ["a secret that is too short", { entrySecret: "hunter2" }, /entrySecret must be .* 32 bytes.*openssl rand/],
    ["no secret in a list", { entrySecret: [] }, /entrySecret must be/],
    ["a list with an empty secret", { entrySecret: ["x".repeat(32), ""] }, /entrySecret must be/],
    ["a timeout above half of the lock", { storeTimeout: 1500, lockTtl: 2000 }, /storeTimeout .* lockTtl/],
    ["a lock that is too short", { lockTtl: 5 }, /lockTtl/],
    ["something that is no store", { store: {} }, /RedisStore/],
    ["a key builder that is no function", { keyBuilder: "key" }, /keyBuilder/],
    ["an empty namespace", { namespace: "" }, /namespace/],
    ["entities of the wrong kind", { entities: 7 }, /entities is 7, but must be "decorated", "all" or an object/],
    ["a list of entities", { entities: [Plain] }, /entities is \[ .*but must be/],
    ["a store that lacks a method", { store: { read: () => [] } }, /new RedisStore\(new Redis\(url\)\)/],
    ["a logger without warn", { logger: {} }, /logger must have a method warn/],
    ["a timeout of no length", { storeTimeout: 0 }, /storeTimeout is 0/],
    ["a timeout of nothing", { storeTimeout: NaN }, /storeTimeout is NaN/],
    ["a duration of another kind", { lockTtl: 2000n }, /lockTtl is 2000n, but must be at least 20 milliseconds/],
    ["null for options", null, /takes an object/],
  ])("%s", async (_, options, message) => {
    const error = await failure(attach([Plain], options as CacheOptions));
    expect(error).toMatchObject({ code: "CONFIG_INVALID", message: expect.stringMatching(message) as string });
  });

  it("an entity that is not there", async () => {
    expect(await failure(attach([Plain], { entities: { Plian: {} } }))).toMatchObject({
      code: "NOT_AN_ENTITY",
      message: expect.stringMatching(/Plian.*Plain/) as string,
    });
  });

  it("a driver that is not followed", async () => {
    const mongo = { options: { type: "mongodb" } } as unknown as DataSource;
    expect(await failure(attachCache(mongo))).toMatchObject({ code: "DRIVER_UNSUPPORTED" });
  });

  it("a second cache on one data source", async () => {
    const dataSource = await sqlite.open([Plain]);
    const cache = await attachCache(dataSource);
    const error = await failure(attachCache(dataSource));
    expect(error).toBeInstanceOf(CacheStateError);
    expect(error.code).toBe("ALREADY_ATTACHED");
    await cache.close();
    await (await attachCache(dataSource)).close();
  });

  it("a closed cache", async () => {
    const cache = await attach([Plain]);
    await cache.close();
    for (const use of [() => cache.repository(Plain), () => cache.invalidate(Plain), () => cache.clear()]) {
      expect(await failure(use)).toMatchObject({ name: "CacheStateError", code: "CLOSED" });
    }
  });
});

describe("use at the wrong time or of the wrong thing", () => {
  it("an entity that is not cached", async () => {
    const cache = await attach([Plain, Child, Parent], { entities: { Parent: false } });
    for (const use of [
      () => cache.repository(Child),
      () => cache.repository(Parent),
      () => cache.invalidate("nothing"),
    ]) {
      const error = await failure(use);
      expect(error).toBeInstanceOf(CacheConfigError);
      expect(error).toMatchObject({
        code: "NOT_CACHED",
        message: expect.stringMatching(/Put @Cached\(\) on it/) as string,
      });
    }
  });

  it("before initialize(), whose own failure leaves a data source without a cache", async () => {
    const early = new DataSource(await sqlite.options([Plain]));
    const cache = await attachCache(early);
    for (const use of [() => cache.repository(Plain), () => cache.clear(), () => cache.explain(Plain, "find", {})]) {
      expect(await failure(use)).toMatchObject({ name: "CacheStateError", code: "NOT_INITIALIZED" });
    }
    await cache.close();
    await early.initialize();
    expect(early.subscribers).toEqual([]);
    await early.destroy();

    const wrong = new DataSource(await sqlite.options([Typo]));
    await attachCache(wrong);
    expect(await failure(wrong.initialize())).toMatchObject({ code: "KEY_COLUMN_UNKNOWN" });
    expect(wrong.isInitialized).toBe(false);
    await wrong.initialize(); // Without a cache it is a data source like any other.
    await wrong.getRepository(Typo).save({});
    await wrong.destroy();
  });

  it("a store that is another cache's stays that cache's", async () => {
    const store = new MemoryStore();
    const first = await attach([Plain], { store });
    await first.repository(Plain).save({ name: "x" });
    const other = await sqlite.open([Plain]);
    expect(await failure(attachCache(other, { store }))).toMatchObject({ code: "ALREADY_ATTACHED" });
    await first.repository(Plain).findOneBy({ id: 1 });
    expect(await first.explain(Plain, "findOne", { where: { id: 1 } })).toMatchObject({ present: [true] });
    await (await attachCache(other)).close();
  });

  it("closed twice, at once or later, and by destroy()", async () => {
    const dataSource = await sqlite.open([Plain]);
    const cache = await attachCache(dataSource);
    await Promise.all([cache.close(), cache.close()]);
    const second = await attachCache(dataSource);
    await cache.close();
    await second.repository(Plain).save({ name: "x" });
    await second.repository(Plain).findOneBy({ id: 1 });
    expect(second.stats().fills).toBe(1);
    await Promise.all([dataSource.destroy(), second.close()]);
    expect(dataSource.isInitialized).toBe(false);
  });

  it("a store that cannot be closed keeps nobody from detaching", async () => {
    const store = Object.assign(new MemoryStore(), { close: () => Promise.reject(new Error("stuck")) });
    const dataSource = await sqlite.open([Plain]);
    const cache = await attachCache(dataSource, { store });
    await expect(cache.close()).rejects.toThrow("stuck");
    await (await attachCache(dataSource)).close();
  });

  it("a repository of a closed cache goes on without it, and its reads are counted as such", async () => {
    const dataSource = await sqlite.open([Plain]);
    const cache = await attachCache(dataSource);
    const plains = cache.repository(Plain);
    await cache.close();
    await plains.save({ name: "x" });
    expect(await plains.findOneBy({ id: 1 })).toMatchObject({ name: "x" });
    expect(await plains.countBy({ name: "x" })).toBe(1);
    expect(cache.stats().bypasses).toEqual({ closed: 2 });
  });

  it("a logger and listeners that throw break nothing", async () => {
    const cache = await attach([Plain], {
      keyBuilder: () => "",
      logger: {
        warn: () => {
          throw new Error("disk full");
        },
      },
    });
    for (const name of ["bypass", "lock", "invalidate"] as const) {
      cache.on(name, () => {
        throw new Error("listener");
      });
    }
    await cache.repository(Plain).save({ name: "x" });
    expect(await cache.repository(Plain).findOneBy({ id: 1 })).toMatchObject({ name: "x" });
  });
});

describe("a store that fails", () => {
  /** Rejects every call of some methods. */
  const failing = (methods: readonly (keyof Store)[], error: Error): Store => {
    const store: Store = new MemoryStore();
    return Object.assign(store, Object.fromEntries(methods.map((name) => [name, () => Promise.reject(error)])));
  };
  const timeout = new StoreError("STORE_TIMEOUT", "too slow");

  it.each<[string, (keyof Store)[], Error]>([
    ["does not answer reads", ["read"], timeout],
    ["does not answer prepare", ["prepare"], timeout],
    ["does not answer fill", ["fill"], timeout],
    ["breaks its contract", ["read"], new TypeError("a bug in a store of the user's own")],
  ])("one that %s: the database answers, and the failure is told", async (_, methods, error) => {
    const dataSource = await sqlite.open([Plain]);
    await dataSource.getRepository(Plain).insert([{ name: "x" }, { name: "y" }]);
    const cache = await attachCache(dataSource, { store: failing(methods, error) });
    const failures: unknown[] = [];
    cache.on("storeError", (event) => failures.push(event));
    const plains = cache.repository(Plain);
    expect(await plains.findOneBy({ id: 1 })).toMatchObject({ name: "x" });
    expect(await plains.findBy({ name: "y" })).toHaveLength(1);
    expect(await plains.findBy({ id: In([1, 2, 3]) })).toHaveLength(2);
    expect(await plains.existsBy({ name: "z" })).toBe(false);
    expect(await plains.countBy({ name: "x" })).toBe(1);
    expect(failures).toEqual(Array(5).fill({ operation: methods[0], error }));
    expect(cache.stats()).toMatchObject({ storeErrors: 5, hits: 0 });
    if (methods[0] === "read") {
      expect(cache.stats().bypasses).toEqual({ "store-unavailable": 5 });
      const explained = await cache.explain(Plain, "find", { where: { id: 1 } });
      expect(explained).toMatchObject({ cacheable: false, reason: "store-unavailable" });
    }
  });

  it("strict writes fail with an error that says what to do, and have written nothing", async () => {
    const dataSource = await sqlite.open([Plain]);
    const cache = await attachCache(dataSource, { store: failing(["lock"], timeout), consistency: "strict" });
    const error = await failure(cache.repository(Plain).save({ name: "x" }));
    expect(error).toBeInstanceOf(LockError);
    expect(error).toMatchObject({
      code: "LOCK_FAILED",
      message: expect.stringMatching(/consistency "available"/) as string,
    });
    expect(error.cause).toBe(timeout);
    expect(await dataSource.getRepository(Plain).count()).toBe(0);
  });

  it("a lock that comes too late is none", async () => {
    // Half of the time that a lock lives has passed whenever one is answered.
    const inner: Store = new MemoryStore();
    const store = Object.assign(new MemoryStore(), {
      open: (...args: Parameters<Store["open"]>) => inner.open(...args),
      listen: (...args: Parameters<NonNullable<Store["listen"]>>) => inner.listen!(...args),
      lock: async (...args: Parameters<Store["lock"]>) => {
        const tokens = await inner.lock(...args);
        const end = performance.now() + 15;
        while (performance.now() < end);
        return tokens;
      },
      unlock: (...args: Parameters<Store["unlock"]>) => inner.unlock(...args),
    });
    const dataSource = await sqlite.open([Plain]);
    const cache = await attachCache(dataSource, { store, consistency: "strict", lockTtl: 20, storeTimeout: 9 });
    expect(await failure(cache.repository(Plain).save({ name: "x" }))).toMatchObject({
      name: "LockError",
      code: "LOCK_TOO_SLOW",
      message: expect.stringMatching(/half of lockTtl/) as string,
    });
    expect(await dataSource.getRepository(Plain).count()).toBe(0);
  });

  it("invalidate() and clear() reject, and are made up for", async () => {
    const dataSource = await sqlite.open([Plain]);
    const store: Store = new MemoryStore();
    const cache = await attachCache(dataSource, { store });
    const plains = cache.repository(Plain);
    await plains.save({ name: "x" });
    await plains.findOneBy({ id: 1 });
    const invalidate = store.invalidate.bind(store);
    store.invalidate = () => Promise.reject(timeout);
    for (const use of [cache.invalidate(Plain), cache.clear()]) {
      expect(await failure(use)).toMatchObject({ name: "StoreError", code: "STORE_TIMEOUT" });
    }
    expect(cache.stats().pending).toBeGreaterThan(0);
    expect(await plains.findOneBy({ id: 1 })).toMatchObject({ name: "x" });
    expect(cache.stats().bypasses["store-unavailable"]).toBe(1);
    store.invalidate = invalidate;
    await until(() => cache.stats().pending === 0);
    await plains.findOneBy({ id: 1 });
    expect(cache.stats().misses.stale).toBe(1);
  });

  it.each([
    ["no client", undefined],
    ["a url", "redis://localhost"],
    ["what only says that it is a cluster", { isCluster: true, duplicate: () => undefined }],
  ])("RedisStore with %s", async (_, client) => {
    expect(await failure(() => new RedisStore(client as never))).toMatchObject({
      code: "CONFIG_INVALID",
      message: expect.stringMatching(/RedisStore takes an ioredis/) as string,
    });
  });

  it("MemoryStore without room", async () => {
    for (const options of [{ maxEntries: 0 }, { maxBytes: -1 }, { maxEntries: 1.5 }]) {
      expect(await failure(() => new MemoryStore(options))).toMatchObject({ code: "CONFIG_INVALID" });
    }
  });
});

describe("a store with foreign values, or none", () => {
  it("takes what is not its own for a miss, counts it, and fills again", async () => {
    const server = await startRedis();
    const client = new Redis(server.url);
    try {
      const dataSource = await sqlite.open([Plain]);
      const plains = dataSource.getRepository(Plain);
      await plains.save({ name: "right" });
      const store = new RedisStore(client);
      const warnings: string[] = [];
      const cache = await attachCache(dataSource, {
        store,
        namespace: "bad",
        lockTtl: 60,
        storeTimeout: 29,
        logger: { warn: (message) => warnings.push(message) },
      });
      await quarantineOver(store, ["plain"]);
      const read = () => cache.repository(Plain).findOneBy({ id: 1 });
      await read();
      const [key] = (await client.keys("*:e:*")) as [string];
      const good = (await client.get(key)) as string;

      const [head, query, tokens, rowTags, payload] = good.split("\n") as [string, string, string, string, string];
      const entry = (...parts: string[]) => parts.join("\n");
      const garbage = [
        "",
        "garbage",
        "1\n",
        "{}",
        good.slice(0, -5),
        good.slice(0, 10),
        `${good}]`,
        entry("9", query, tokens, rowTags, payload),
        entry(head, query, tokens, "", "[[1]]"),
        entry(head, query, tokens, rowTags, "[]]"),
        entry(head, query, tokens, rowTags, "null"),
        entry(head, query, tokens, rowTags, '[["a"],["b"]]'),
        entry(head, query, tokens, rowTags, '[[1,["z","of no kind"]]]'),
        entry(head, query, tokens, rowTags, '[[1,["n","no number"]]]'),
        entry(head, query, `${tokens} one-more`, rowTags, payload),
        entry(head, query, tokens, "plain|id=7", payload),
        entry(head, query, "", rowTags, payload),
      ];
      for (const value of garbage) {
        const before = cache.stats();
        await client.set(key, value);
        expect(await read()).toEqual({ id: 1, name: "right" });
        const { misses, fills, hits } = cache.stats();
        expect({ value, corrupt: misses.corrupt }).toEqual({ value, corrupt: before.misses.corrupt + 1 });
        expect({ fills, hits }).toEqual({ fills: before.fills + 1, hits: before.hits });
        expect(await read()).toEqual({ id: 1, name: "right" });
        expect(cache.stats().hits).toBe(hits + 1);
      }
      // Another query's entry, and one under tokens that are no longer good.
      for (const [value, why] of [
        [entry(head, query.replace("row", "rows"), tokens, rowTags, payload), "collision"],
        [entry(head, query, tokens.replaceAll(/[A-Za-z]/g, "x"), rowTags, payload), "stale"],
      ] as const) {
        const before = cache.stats().misses[why];
        await client.set(key, value);
        expect(await read()).toEqual({ id: 1, name: "right" });
        expect(cache.stats().misses[why]).toBe(before + 1);
      }
      for (const spoil of [
        () => client.hset(key, "a", "hash"),
        () => client.lpush(key, "a list"),
        () => client.sadd(key, "a set"),
      ]) {
        await client.del(key);
        await spoil();
        expect(await read()).toEqual({ id: 1, name: "right" });
        expect(await client.type(key)).toBe("string");
      }
      // Once, not once a value.
      expect(warnings.filter((message) => message.includes("no entry of this cache"))).toHaveLength(1);
      await cache.close();
    } finally {
      client.disconnect();
      await server.stop();
    }
  });

  it("a number of rows that is none, a tag or a guard of another type", async () => {
    const server = await startRedis();
    const client = new Redis(server.url);
    try {
      const dataSource = await sqlite.open([Plain]);
      await dataSource.getRepository(Plain).save({ name: "right" });
      const store = new RedisStore(client);
      const cache = await attachCache(dataSource, {
        store,
        namespace: "bad",
        lockTtl: 60,
        storeTimeout: 29,
        logger: { warn: () => undefined },
      });
      await quarantineOver(store, ["plain"]);
      const plains = cache.repository(Plain);
      const count = () => plains.countBy({ name: "right" });
      await count();
      const [key] = (await client.keys("*:e:*count*")) as [string];
      const good = (await client.get(key)) as string;
      for (const number of ["", "-1", "1.5", "Infinity", "one", "1e3", " 1"]) {
        await client.set(key, good.replace(/\d+$/, number));
        expect(await count()).toBe(1);
        expect(await client.get(key)).not.toBe(good.replace(/\d+$/, number));
      }
      expect(cache.stats().misses.corrupt).toBe(7);

      const names = (await client.keys("*")).filter((name) => /:g$|:t:/.test(name));
      expect(names.length).toBeGreaterThan(1);
      for (const name of names) {
        await client.del(name);
        await client.rpush(name, "not", "ours");
        expect(await plains.findOneBy({ id: 1 })).toEqual({ id: 1, name: "right" });
        expect(await count()).toBe(1);
        await client.set(name, "a text of somebody else's");
        expect(await plains.findOneBy({ id: 1 })).toEqual({ id: 1, name: "right" });
        expect(await count()).toBe(1);
        await client.del(name);
      }
      await cache.close();
    } finally {
      client.disconnect();
      await server.stop();
    }
  });

  it("reads on from the database when the store hangs", async () => {
    const server = await startRedis();
    const client = new Redis(server.url);
    try {
      const dataSource = await sqlite.open([Plain]);
      await dataSource.getRepository(Plain).save({ name: "right" });
      const cache = await attachCache(dataSource, { store: new RedisStore(client), logger: { warn: () => undefined } });
      const codes: unknown[] = [];
      cache.on("storeError", ({ error }) => codes.push((error as CacheError).code));
      process.kill(server.pid, "SIGSTOP");
      expect(await cache.repository(Plain).findOneBy({ id: 1 })).toEqual({ id: 1, name: "right" });
      expect(codes).toContain("STORE_TIMEOUT");
      expect(cache.stats().bypasses["store-unavailable"]).toBe(1);
      process.kill(server.pid, "SIGCONT");
      await cache.close();
    } finally {
      process.kill(server.pid, "SIGCONT");
      client.disconnect();
      await server.stop();
    }
  });
});
