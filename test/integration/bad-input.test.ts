import { Redis } from "ioredis";
import {
  Column,
  DataSource,
  Entity,
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
  RedisStore,
  type CacheOptions,
} from "typeorm-coherent";
import { quarantineOver } from "../support/cache-harness";
import { databases, type Entities, type TestDatabase } from "../support/databases";
import { startRedis } from "../support/redis-server";

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

@ViewEntity({ expression: "SELECT 1 AS one" })
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
    ["a view", [View], "CONFIG_INVALID", /View is a view.*Take @Cached off/],
  ] as const)("%s", async (_, entities, code, message) => {
    const error = await failure(attach([...entities]));
    expect(error).toBeInstanceOf(CacheConfigError);
    expect(error).toMatchObject({ code, message: expect.stringMatching(message) as string });
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
      const isolated = jest.requireActual<typeof import("typeorm-coherent")>("typeorm-coherent");
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
    ["a timeout above half of the lock", { storeTimeout: 1500, lockTtl: 2000 }, /storeTimeout .* lockTtl/],
    ["a lock that is too short", { lockTtl: 5 }, /lockTtl/],
    ["something that is no store", { store: {} }, /RedisStore/],
    ["a key builder that is no function", { keyBuilder: "key" }, /keyBuilder/],
    ["an empty namespace", { namespace: "" }, /namespace/],
    ["entities of the wrong kind", { entities: 7 }, /entities/],
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

describe("a store with foreign values, or none", () => {
  it("takes what is not its own for a miss, counts it, and fills again", async () => {
    const server = await startRedis();
    const client = new Redis(server.url);
    try {
      const dataSource = await sqlite.open([Plain]);
      const plains = dataSource.getRepository(Plain);
      await plains.save({ name: "right" });
      const store = new RedisStore(client);
      const cache = await attachCache(dataSource, { store, namespace: "bad", lockTtl: 60, storeTimeout: 29 });
      await quarantineOver(store, ["plain"]);
      const read = () => cache.repository(Plain).findOneBy({ id: 1 });
      await read();
      const [key] = (await client.keys("*:e:*")) as [string];
      const good = (await client.get(key)) as string;

      const garbage = [
        "",
        "garbage",
        good.slice(0, -5),
        good.replace(/^1/, "9"),
        good.replace(/\[\[.*/s, "[[1]]"),
        `${good}]`,
      ];
      for (const value of garbage) {
        await client.set(key, value);
        expect(await read()).toEqual({ id: 1, name: "right" });
        expect(await client.get(key)).not.toBe(value);
      }
      expect(cache.stats().misses.corrupt).toBe(garbage.length);
      await client.del(key);
      await client.hset(key, "a", "hash");
      expect(await read()).toEqual({ id: 1, name: "right" });
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
