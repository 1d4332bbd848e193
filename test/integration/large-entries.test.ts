import { compressSync, uncompressSync } from "lz4-napi";
import { Redis } from "ioredis";
import { Column, Entity, MoreThan, PrimaryColumn, type DataSource } from "typeorm";
import {
  attachCache,
  CacheKey,
  Cached,
  MemoryStore,
  RedisStore,
  type CacheOptions,
  type CachedRepository,
  type CoherentCache,
  type Compressor,
} from "typeorm-coherent";
import { attachMemory, quarantineOver } from "../support/cache-harness";
import { describeEachDatabase } from "../support/databases";
import { startRedis, type RedisServer } from "../support/redis-server";

@Entity()
@Cached({ strategy: "write-through" })
class Article {
  @PrimaryColumn() id!: number;
  @CacheKey() @Column() section!: number;
  @Column("text") body!: string;
}

const lz4: Compressor = {
  name: "lz4",
  compress: (bytes) => compressSync(bytes),
  decompress: (bytes) => uncompressSync(bytes),
};
const LONG = "What happened, and what became of it — 世界. ".repeat(1000);
const COMPRESSED: CacheOptions = { compression: { codec: lz4, above: 1000 } };

const READS: Record<string, (articles: CachedRepository<Article>) => Promise<unknown>> = {
  "a row": (articles) => articles.findOneBy({ id: 1 }),
  "whether there is one": (articles) => articles.existsBy({ id: 1 }),
  "a list": (articles) => articles.findBy({ section: 1 }),
  "a number": (articles) => articles.countBy({ section: 1 }),
  "a statement": (articles) => articles.find({ where: { id: MoreThan(0) }, order: { id: "ASC" } }),
};

describeEachDatabase("large entries", (database) => {
  let dataSource: DataSource;
  let cache: CoherentCache;
  let articles: CachedRepository<Article>;
  beforeEach(async () => {
    dataSource = await database.open([Article]);
    await dataSource.getRepository(Article).insert([
      { id: 1, section: 1, body: LONG },
      { id: 2, section: 1, body: "Short." },
    ]);
  });
  afterEach(async () => {
    await cache.close();
    await database.cleanup();
  });

  async function attach(options: CacheOptions): Promise<void> {
    cache = await attachMemory(dataSource, options);
    articles = cache.repository(Article);
  }

  it.each(Object.entries(READS))("%s comes back from a packed entry as from the database", async (_, read) => {
    await attach(COMPRESSED);
    const expected = await read(dataSource.getRepository(Article) as CachedRepository<Article>);
    for (const _time of [1, 2]) expect(await read(articles)).toEqual(expected);
    expect(cache.stats().hits).toBe(1);
  });

  it("is written through packed, and read", async () => {
    await attach(COMPRESSED);
    await articles.findOneBy({ id: 1 });
    await articles.save({ id: 1, body: `${LONG}And more.` });
    expect(cache.stats().writeThroughs).toBeGreaterThan(0);
    expect(await articles.findOneBy({ id: 1 })).toMatchObject({ body: `${LONG}And more.` });
    expect(cache.stats().hits).toBe(1);
  });

  it("is smaller in Redis, and a miss for a process without the codec", async () => {
    const server: RedisServer = await startRedis();
    const client = new Redis(server.url);
    try {
      const open = async (options: CacheOptions) => {
        const store = new RedisStore(client);
        const attached = await attachCache(dataSource, { store, namespace: "n", storeTimeout: 500, ...options });
        await quarantineOver(store, [dataSource.getMetadata(Article).tablePath]);
        return attached;
      };
      cache = await open(COMPRESSED);
      await cache.repository(Article).findOneBy({ id: 1 });
      const [entry] = await client.keys("*:e:*");
      expect(await client.strlen(entry!)).toBeLessThan(LONG.length / 10);
      await cache.close();
      cache = await open({ logger: { warn: () => undefined } });
      expect(await cache.repository(Article).findOneBy({ id: 1 })).toMatchObject({ body: LONG });
      expect(cache.stats().misses).toMatchObject({ corrupt: 1 });
      expect(await cache.repository(Article).findOneBy({ id: 1 })).toMatchObject({ body: LONG });
      expect(cache.stats().hits).toBe(1);
    } finally {
      await cache.close();
      client.disconnect();
      await server.stop();
    }
  });

  it("is not stored above maxEntryBytes, and is right all the same", async () => {
    await attach({ entities: { Article: { maxEntryBytes: 1000 } } });
    for (const read of Object.values(READS)) {
      const expected = await read(dataSource.getRepository(Article) as CachedRepository<Article>);
      for (const _time of [1, 2]) expect(await read(articles)).toEqual(expected);
    }
    // Of the row, of whether it is there, of the list and of the statement; a number is short.
    expect(cache.stats().unfilled["too-large"]).toBe(8);
    await articles.findOneBy({ id: 2 });
    await articles.save({ id: 2, body: LONG });
    expect(cache.stats().writeThroughs).toBe(0);
    expect(await articles.findOneBy({ id: 2 })).toMatchObject({ body: LONG });
  });

  it("counts bytes, not characters", async () => {
    await attach({ entities: { Article: { maxEntryBytes: 1000 } } });
    await articles.save([
      { id: 3, section: 3, body: "世".repeat(400) },
      { id: 4, section: 4, body: "w".repeat(400) },
    ]);
    for (const id of [3, 4, 3, 4]) await articles.findOneBy({ id });
    expect(cache.stats()).toMatchObject({ hits: 2, unfilled: { "too-large": 2 } });
  });

  it("fits once it is packed", async () => {
    await attach({ ...COMPRESSED, entities: { Article: { maxEntryBytes: 10_000 } } });
    for (const _time of [1, 2]) await articles.findOneBy({ id: 1 });
    expect(cache.stats().hits).toBe(1);
  });

  it.each([
    [{ defaults: { maxEntryBytes: 0 } }, /maxEntryBytes/],
    [{ defaults: { maxEntryBytes: "1MB" } }, /maxEntryBytes/],
    [{ compression: {} }, /compression.codec/],
    [{ compression: null }, /compression.codec/],
    [{ compression: { codec: { ...lz4, name: "a:b" } } }, /compression.codec/],
    [{ compression: { codec: lz4, above: -1 } }, /compression.above/],
  ])("refuses %j", async (options, message) => {
    await attach({});
    await cache.close();
    await expect(attachCache(dataSource, { store: new MemoryStore(), ...(options as object) })).rejects.toMatchObject({
      code: "CONFIG_INVALID",
      message: expect.stringMatching(message) as string,
    });
  });
});
