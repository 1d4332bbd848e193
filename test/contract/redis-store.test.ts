import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from "@jest/globals";
import { RedisStore } from "../../src/store/redis/redis-store";
import type { RedisLike } from "../../src/store/redis/redis-client";
import { until } from "../support/redis-server";
import { NearHarness, RedisHarness, type RedisSetup, timeOf } from "./redis-harness";
import { describeStore } from "./store-contract";
import { EPOCH, entryBy, LOCK_TTL, miss, request, ROW, type Setup, SKU, TAG_TTL, World } from "./world";

describeStore("RedisStore", new RedisHarness());
describeStore("RedisStore behind copies that are verified", new NearHarness());
describeStore("RedisStore with a key prefix", new RedisHarness({ keyPrefix: "{app}:" }));

describe("RedisStore", () => {
  const harness = new RedisHarness();
  const world = new World();
  let redis: Setup & RedisSetup;
  const { read, fill, unlock } = world;

  beforeAll(() => harness.start());
  afterAll(() => harness.stop());
  beforeEach(async () => {
    redis = await harness.setUp({ lockTtl: LOCK_TTL, timeout: 5000 });
    world.setup = redis;
  });
  afterEach(() => redis.tearDown());

  const ttlOf = (key: string) => redis.client.pttl(key);

  it("works with an ioredis Redis and with nothing else", () => {
    const typed: RedisLike = redis.client;
    expect(new RedisStore(typed).name).toBe("redis");
    for (const wrong of [
      undefined,
      {},
      "redis://localhost",
      { duplicate: true },
      { ...redis.client, isCluster: true },
    ]) {
      expect(() => new RedisStore(wrong as unknown as RedisLike)).toThrow(
        expect.objectContaining({ name: "CacheConfigError", code: "CONFIG_INVALID" }),
      );
    }
  });

  it("belongs to one cache", async () => {
    await expect(redis.store.open({ namespace: "again", lockTtl: LOCK_TTL, timeout: 100 }, [])).rejects.toMatchObject({
      code: "ALREADY_ATTACHED",
    });
  });

  it("closes its own connection and not the one that was passed in", async () => {
    const before = (await redis.client.client("LIST")) as string;
    await redis.store.close();
    await until(
      async () => ((await redis.client.client("LIST")) as string).split("\n").length < before.split("\n").length,
    );
    expect(await redis.client.ping()).toBe("PONG");
  });

  it("asks once for a hit whose row tags were guessed, twice for one whose were not", async () => {
    await fill("rows", [ROW]);
    const calls = async () =>
      Number(/cmdstat_mget:calls=(\d+)/.exec(await redis.client.info("commandstats"))?.[1] ?? 0);
    const start = await calls();
    expect(await read(redis.store, { rowTags: [ROW] })).toMatchObject({ outcome: "hit" });
    expect(await calls()).toBe(start + 1);
    expect(await read(redis.store)).toMatchObject({ outcome: "hit" });
    expect(await calls()).toBe(start + 3);
  });

  describe("time to live", () => {
    it("gives tags and entries theirs", async () => {
      await fill("value");
      expect(await ttlOf(redis.keys.tag(SKU))).toBeGreaterThan(TAG_TTL - 10_000);
      expect(await ttlOf(redis.keys.entry("shop.product", "k"))).toBeGreaterThan(TAG_TTL - 10_000);
    });

    it.each(["prepare", "lock"] as const)("keeps a guard that is in use, and no other, by %s", async (command) => {
      const guard = redis.keys.guard("shop.product");
      const days = 24 * 3_600_000;
      const use = () =>
        command === "prepare" ? redis.store.prepare([SKU], TAG_TTL) : redis.store.lock([SKU], "w", [], TAG_TTL);
      await redis.client.persist(guard);
      await use();
      expect(await ttlOf(guard)).toBeGreaterThan(29 * days);
      await redis.client.pexpire(guard, 14 * days);
      await use();
      expect(await ttlOf(guard)).toBeGreaterThan(29 * days);
      await redis.client.pexpire(guard, 16 * days);
      await use();
      expect(await ttlOf(guard)).toBeLessThan(17 * days);
    });

    it("lengthens the life of a tag that is used again, and never shortens it", async () => {
      await redis.store.prepare([SKU], 50_000);
      expect(await ttlOf(redis.keys.tag(SKU))).toBeLessThanOrEqual(50_000);
      await redis.store.prepare([SKU], 100_000);
      expect(await ttlOf(redis.keys.tag(SKU))).toBeGreaterThan(90_000);
      await redis.store.prepare([SKU], 50_000);
      expect(await ttlOf(redis.keys.tag(SKU))).toBeGreaterThan(90_000);
    });

    it("lets a lock outlast the mark on its tag", async () => {
      await redis.store.lock([SKU], "w", [], TAG_TTL);
      expect(await ttlOf(redis.keys.tag(SKU))).toBeGreaterThan(LOCK_TTL);
      await redis.client.pexpire(redis.keys.tag(SKU), 0);
      expect(await redis.other.prepare([SKU], TAG_TTL)).toEqual([""]);
    });
  });

  describe("guard", () => {
    it("holds only its quarantine once everything is unlocked", async () => {
      await redis.store.lock([SKU, ROW, EPOCH], "w1", [], TAG_TTL);
      await redis.other.lock([SKU], "w2", [], TAG_TTL);
      expect(await redis.client.hlen(redis.keys.guard("shop.product"))).toBe(4);
      await unlock(redis.store, "w1", [SKU, ROW, EPOCH]);
      await unlock(redis.other, "w2", [SKU]);
      expect(await redis.client.hkeys(redis.keys.guard("shop.product"))).toEqual(["q"]);
    });

    it("gets rid of the locks of writers that crashed, whether or not anybody asks for their tags again", async () => {
      const tags = Array.from({ length: 50 }, (_, id) => `shop.product|id=${id}`);
      for (const tag of tags) await redis.store.lock([tag], `w-${tag}`, [], TAG_TTL);
      await redis.age(LOCK_TTL + 1);
      for (let round = 0; round < 1000; round++) {
        await redis.store.lock([SKU], `r${round}`, [], TAG_TTL);
        await unlock(redis.store, `r${round}`, [SKU]);
        if ((await redis.client.hlen(redis.keys.guard("shop.product"))) === 1) break;
      }
      expect(await redis.client.hkeys(redis.keys.guard("shop.product"))).toEqual(["q"]);
    });

    it("keeps the locks of living writers while it does so", async () => {
      await redis.store.lock([ROW], "living", [], TAG_TTL);
      for (let round = 0; round < 50; round++) await redis.store.lock([SKU], "w", [], TAG_TTL);
      expect(await redis.other.prepare([ROW], TAG_TTL)).toEqual([""]);
    });

    it("takes the time from the server: a lock and a quarantine end by themselves", async () => {
      await redis.tearDown();
      redis = await harness.setUp({ lockTtl: 150, timeout: 5000 });
      await redis.client.del(redis.keys.guard("shop.product"));
      const start = await timeOf(redis.client);
      await until(async () => (await redis.store.prepare([SKU], TAG_TTL))[0] !== "");
      expect((await timeOf(redis.client)) - start).toBeGreaterThanOrEqual(149);

      const locking = await timeOf(redis.client);
      await redis.store.lock([SKU], "dead", [], TAG_TTL);
      await until(async () => (await redis.other.prepare([SKU], TAG_TTL))[0] !== "");
      expect((await timeOf(redis.client)) - locking).toBeGreaterThanOrEqual(149);
    });

    it("does not trust a token beside a lock whose holder died", async () => {
      await redis.store.lock([SKU], "dead", [], TAG_TTL);
      await redis.client.set(redis.keys.tag(SKU), "who set this");
      await redis.age(LOCK_TTL + 1);
      expect(await redis.store.prepare([SKU], TAG_TTL)).toEqual([expect.stringMatching(/^[\w-]{16}$/)]);
    });

    it.each(["soon", "9999999999999999", ""])("starts a new quarantine when its end is %p", async (end) => {
      await redis.client.hset(redis.keys.guard("shop.product"), "q", end);
      expect(await redis.store.prepare([SKU], TAG_TTL)).toEqual([""]);
      await redis.age(LOCK_TTL + 1);
      expect(await redis.store.prepare([SKU], TAG_TTL)).not.toEqual([""]);
    });
  });

  describe("values of a foreign type under our keys", () => {
    it("costs a miss if it is an entry", async () => {
      await redis.client.lpush(redis.keys.entry("shop.product", "k"), "x");
      expect(await read(redis.store)).toEqual(miss("absent"));
      await fill("ours again");
      expect(await read(redis.store)).toMatchObject({ outcome: "hit" });
    });

    it("costs a miss if it is a tag", async () => {
      await fill("old");
      await redis.client.del(redis.keys.tag(SKU));
      await redis.client.lpush(redis.keys.tag(SKU), "x");
      expect(await read(redis.store)).toEqual(miss("stale", []));
      expect(await redis.store.prepare([SKU], TAG_TTL)).not.toEqual([""]);
      expect(await read(redis.store)).toEqual(miss("stale", []));
    });

    it("is replaced by a lock, and refuses write-through if it came after the lock", async () => {
      const [epoch] = await redis.store.prepare([EPOCH], TAG_TTL);
      await redis.client.lpush(redis.keys.tag(SKU), "x");
      await redis.client.lpush(redis.keys.tag(ROW), "x");
      expect(await redis.store.lock([SKU], "w", [EPOCH, ROW], TAG_TTL)).toEqual([
        epoch,
        expect.stringMatching(/^[^!]/),
      ]);
      expect(await redis.client.get(redis.keys.tag(SKU))).toBe("!w");
      await redis.client.del(redis.keys.tag(SKU));
      await redis.client.lpush(redis.keys.tag(SKU), "x");
      expect(await unlock(redis.store, "w", [SKU], [entryBy("w", epoch!)])).toEqual({ held: true, written: 0 });
      expect(await redis.client.exists(redis.keys.tag(SKU))).toBe(0);
    });

    it.each(["prepare", "lock", "unlock"])("starts a quarantine if it is the guard, found by %s", async (finder) => {
      const guard = redis.keys.guard("shop.product");
      await redis.store.lock([SKU], "w", [], TAG_TTL);
      await redis.client.del(guard);
      await redis.client.set(guard, "x");
      if (finder === "prepare") expect(await redis.store.prepare([SKU], TAG_TTL)).toEqual([""]);
      if (finder === "lock") expect(await redis.store.lock([SKU], "w", [EPOCH], TAG_TTL)).toEqual([""]);
      if (finder === "unlock") {
        expect(await unlock(redis.store, "w", [SKU], [entryBy("w", "e")])).toEqual({ held: false, written: 0 });
      }
      expect(await redis.store.prepare([ROW], TAG_TTL)).toEqual([""]);
      await redis.age(2 * LOCK_TTL);
      expect(await redis.store.prepare([ROW, SKU], TAG_TTL)).not.toContain("");
    });

    it("takes a guard's field that says nothing for no lock", async () => {
      await redis.client.hset(redis.keys.guard("shop.product"), "t:sku=A", "nonsense");
      expect(await redis.store.prepare([SKU], TAG_TTL)).not.toEqual([""]);
    });
  });

  describe("a server in trouble", () => {
    it("gets the scripts again after it has lost them", async () => {
      await redis.store.prepare([SKU, "shop.order|"], TAG_TTL);
      await redis.client.script("FLUSH");
      expect(await redis.store.prepare([SKU, "shop.order|"], TAG_TTL)).not.toContain("");
      await redis.client.script("FLUSH");
      const both = Promise.all([
        redis.store.lock([SKU, "shop.order|"], "w", [], TAG_TTL),
        redis.other.lock([ROW], "x", [], TAG_TTL),
      ]);
      expect(await both).toEqual([[], []]);
    });

    it("still unlocks when its memory is full, and writes nothing through", async () => {
      const [epoch] = await redis.store.prepare([EPOCH], TAG_TTL);
      await redis.store.lock([SKU, ROW], "w", [], TAG_TTL);
      await redis.other.lock([ROW], "x", [], TAG_TTL);
      await redis.client.config("SET", "maxmemory", "1");
      try {
        await expect(redis.store.lock([EPOCH], "y", [], TAG_TTL)).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
        await expect(redis.store.prepare([SKU.replace("A", "B")], TAG_TTL)).rejects.toMatchObject({
          code: "STORE_UNAVAILABLE",
          message: expect.stringContaining("OOM"),
        });
        // The tag that another holds too comes first, so that its record is the first thing to be written.
        const answer = await unlock(redis.store, "w", [ROW, SKU], [entryBy("w", epoch!)]);
        expect(answer.held).toBe(true);
      } finally {
        await redis.client.config("SET", "maxmemory", "0");
      }
      expect(await redis.store.prepare([SKU, ROW], TAG_TTL)).toEqual([expect.stringMatching(/./), ""]);
      await unlock(redis.other, "x", [ROW]);
      expect(await redis.store.prepare([ROW], TAG_TTL)).not.toEqual([""]);
    });

    it("keeps its promise while it evicts whatever it likes", async () => {
      const { client, store } = redis;
      await client.config("SET", "maxmemory-policy", "allkeys-random");
      const used = Number(/used_memory:(\d+)/.exec(await client.info("memory"))![1]);
      await client.config("SET", "maxmemory", String(used + 200_000));
      let hits = 0;
      try {
        for (let version = 0; version < 400; version++) {
          await store.lock([SKU], `w${version}`, [], TAG_TTL).catch(() => undefined);
          await unlock(store, `w${version}`, [SKU]).catch(() => undefined);
          for (const payload of ["x".repeat(5000), `${version}`]) {
            const tokens = await store.prepare([EPOCH, SKU], TAG_TTL).catch(() => [""]);
            if (tokens.includes("")) await redis.age(LOCK_TTL + 1);
            else await fill(payload, [], { key: payload.length > 9 ? `pad${version}` : "k" }).catch(() => undefined);
          }
          const [answer] = await store.read([request()]);
          if (answer!.outcome !== "hit") continue;
          hits++;
          expect(answer!.payload).toBe(`${version}`);
        }
      } finally {
        await client.config("SET", "maxmemory", "0");
        await client.config("SET", "maxmemory-policy", "noeviction");
      }
      expect(Number(/evicted_keys:(\d+)/.exec(await client.info("stats"))![1])).toBeGreaterThan(0);
      expect(hits).toBeGreaterThan(50);
    });
  });

  it("does not load ioredis: whoever has no Redis need not install it", () => {
    jest.isolateModules(() => {
      jest.doMock("ioredis", () => {
        throw new Error("loaded");
      });
      expect(jest.requireActual("../../src/store/redis/redis-store")).toHaveProperty("RedisStore");
    });
    jest.dontMock("ioredis");
  });
});
