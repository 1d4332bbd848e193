import { afterEach, describe, expect, it } from "@jest/globals";
import { Redis } from "ioredis";
import { Column, DataSource, Entity, MoreThan, PrimaryColumn } from "typeorm";
import {
  attachCache,
  CacheKey,
  Cached,
  RedisStore,
  type CachedRepository,
  type CacheOptions,
  type CoherentCache,
} from "typeorm-coherent";
import { quarantineOver } from "../../support/cache-harness";
import { redisForBlock } from "../../support/redis-for-block";

@Entity()
@Cached()
class Account {
  @PrimaryColumn() id!: number;
  @CacheKey() @Column() tenant!: number;
  @Column() role!: string;
}

const SECRET = "a secret of thirty-two bytes, 01";
const NEXT = "a secret of thirty-two bytes, 02";

type Accounts = CachedRepository<Account>;
const roles = (accounts: readonly Account[]) => accounts.map(({ role }) => role).join();

const READS: Record<string, (accounts: Accounts) => Promise<unknown>> = {
  "a row": async (accounts) => (await accounts.findOneByOrFail({ id: 1 })).role,
  "a list": async (accounts) => roles(await accounts.findBy({ tenant: 1 })),
  "a number": (accounts) => accounts.countBy({ tenant: 1 }),
  "a statement": async (accounts) => roles(await accounts.find({ where: { id: MoreThan(0) }, order: { id: "ASC" } })),
};

describe("whoever can write to Redis", () => {
  let redis: Redis;
  let url: string;
  redisForBlock((client, server) => {
    redis = client;
    ({ url } = server);
  });
  const opened: { cache: CoherentCache; client: Redis; dataSource: DataSource }[] = [];
  afterEach(async () => {
    for (const { cache, client, dataSource } of opened.splice(0)) {
      await cache.close();
      client.disconnect();
      await dataSource.destroy();
    }
  });

  async function open(options: CacheOptions) {
    const dataSource = new DataSource({
      type: "better-sqlite3",
      database: ":memory:",
      entities: [Account],
      synchronize: true,
    });
    await dataSource.initialize();
    await dataSource.getRepository(Account).insert([
      { id: 1, tenant: 1, role: "guest" },
      { id: 2, tenant: 2, role: "admin" },
    ]);
    const client = new Redis(url);
    const store = new RedisStore(client);
    const warnings: string[] = [];
    const logger = { warn: (message: string) => void warnings.push(message) };
    const cache = await attachCache(dataSource, { namespace: "shop", lockTtl: 60, store, logger, ...options });
    opened.push({ cache, client, dataSource });
    await quarantineOver(store, ["account"]);
    return { cache, accounts: cache.repository(Account), warnings };
  }

  /** Writes something else into each entry, with everything around it as it was. */
  async function forge(change: (text: string, key: string) => string): Promise<number> {
    const keys = await redis.keys("shop:*:e:*");
    for (const key of keys) {
      const text = (await redis.get(key))!;
      await redis.set(key, change(text, key), "KEEPTTL");
    }
    return keys.length;
  }
  const promoted = (text: string) => text.replace('"guest"', '"admin"').replace(/\n1(?=$|\n[\w-]{22}$)/, "\n9");

  it.each(Object.entries(READS))("changes what is served of %s, unless entries are signed", async (_, read) => {
    const plain = await open({});
    const honest = await read(plain.accounts);
    expect(await forge(promoted)).toBe(1);
    expect(await read(plain.accounts)).not.toEqual(honest);

    await redis.flushall();
    const signed = await open({ entrySecret: SECRET });
    expect(await read(signed.accounts)).toEqual(honest);
    expect(await read(signed.accounts)).toEqual(honest);
    expect(signed.cache.stats().hits).toBe(1);
    for (const _time of [1, 2]) {
      expect(await forge(promoted)).toBe(1);
      expect(await read(signed.accounts)).toEqual(honest);
    }
    expect(signed.cache.stats().misses).toMatchObject({ unsigned: 2, corrupt: 0 });
    expect(signed.warnings).toEqual([expect.stringContaining("not signed with the entrySecret")]);
    expect(await read(signed.accounts)).toEqual(honest);
    expect(signed.cache.stats().hits).toBe(2);
  });

  it("moves an entry with its tokens to another key, unless entries are signed", async () => {
    /** Puts the row of account 2 into the place of account 1: under its key, for its query, and with its tags. */
    async function move(): Promise<void> {
      const find = async (end: string) => (await redis.keys(`shop:*${end}`))[0]!;
      const [from, to] = [await find(":e:Account@*id=2"), await find(":e:Account@*id=1")];
      const query = to.slice(to.indexOf(":e:") + 3);
      const lines = (await redis.get(from))!.split("\n");
      await redis.set(to, [lines[0], query, ...lines.slice(2)].join("\n"), "KEEPTTL");
      await redis.set(await find(":t:id=1"), (await redis.get(await find(":t:id=2")))!);
    }
    const roleOf = async (accounts: Accounts, id: number) => (await accounts.findOneByOrFail({ id })).role;
    for (const entrySecret of [undefined, SECRET]) {
      await redis.flushall();
      const { accounts, cache } = await open(entrySecret === undefined ? {} : { entrySecret });
      for (const id of [1, 2]) await roleOf(accounts, id);
      await move();
      expect(await roleOf(accounts, 1)).toBe(entrySecret === undefined ? "admin" : "guest");
      expect(cache.stats().misses.unsigned).toBe(entrySecret === undefined ? 0 : 1);
    }
  });

  it("is told from a process that signs with an older secret, as long as that is known", async () => {
    const role = READS["a row"]!;
    const old = await open({ entrySecret: SECRET });
    await role(old.accounts);
    const both = await open({ entrySecret: [NEXT, SECRET] });
    await role(both.accounts);
    expect(both.cache.stats()).toMatchObject({ hits: 1, misses: { unsigned: 0 } });
    const only = await open({ entrySecret: NEXT });
    await role(only.accounts);
    expect(only.cache.stats()).toMatchObject({ hits: 0, misses: { unsigned: 1 } });
    await role(both.accounts);
    expect(both.cache.stats().hits).toBe(2);
  });

  it("is checked once for a copy in the process, and every time for what Redis answers", async () => {
    const { accounts, cache } = await open({ entrySecret: SECRET, defaults: { near: { mode: "verify" } } });
    const role = READS["a row"]!;
    for (const _time of [1, 2, 3]) await role(accounts);
    expect(cache.stats()).toMatchObject({ hits: 2, nearHits: { verify: 1 } });
    await forge(promoted);
    // The copy is older than the forgery, and its tokens are still good.
    expect(await role(accounts)).toBe("guest");
    expect(cache.stats().nearHits.verify).toBe(2);
  });
});
