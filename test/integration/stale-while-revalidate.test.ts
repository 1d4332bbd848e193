import { setTimeout as delay } from "node:timers/promises";
import { Column, Entity, In, PrimaryColumn, type DataSource } from "typeorm";
import { CacheKey, Cached, type CachedRepository, type CacheOptions, type CoherentCache } from "typeorm-coherent";
import { attachMemory, countStatements } from "../support/cache-harness";
import { describeEachDatabase } from "../support/databases";
import { until } from "../support/redis-server";

@Entity()
@Cached({ staleWhileRevalidate: "1h" })
class Price {
  @PrimaryColumn() id!: number;
  @CacheKey() @Column() list!: number;
  @Column({ default: 0 }) cents!: number;
}

type Read = (prices: CachedRepository<Price>) => Promise<number>;
const sum = (prices: readonly Price[]) => prices.reduce((total, { cents }) => total + cents, 0);

/** Each says 0 before the write and 7 after it. */
const READS: Record<string, Read> = {
  "a row": async (prices) => (await prices.findOneByOrFail({ id: 1 })).cents,
  "several rows": async (prices) => sum(await prices.findBy({ id: In([1, 2]) })),
  "a list": async (prices) => sum(await prices.findBy({ list: 1 })),
  "whether a row is there": async (prices) => ((await prices.existsBy({ id: 3 })) ? 7 : 0),
  "a number": async (prices) => ((await prices.countBy({ list: 2 })) > 0 ? 7 : 0),
  "a statement": async (prices) => sum(await prices.find({ order: { cents: "ASC" } })),
  "a query builder": async (prices) =>
    Number(
      (await prices.createQueryBuilder("p").select("MAX(p.cents)", "most").cache(true).getRawOne<{ most: string }>())
        ?.most,
    ),
};

describeEachDatabase("stale while revalidate", (database) => {
  let dataSource: DataSource;
  let cache: CoherentCache;
  let prices: CachedRepository<Price>;

  async function setUp(options: CacheOptions = {}): Promise<void> {
    dataSource = await database.open([Price]);
    cache = await attachMemory(dataSource, options);
    prices = cache.repository(Price);
    await dataSource.getRepository(Price).insert([
      { id: 1, list: 1 },
      { id: 2, list: 1 },
    ]);
  }
  const write = async () => {
    await prices.update(1, { cents: 7 });
    await prices.insert({ id: 3, list: 2 });
  };
  afterEach(async () => {
    await cache.close();
    await database.cleanup();
  });

  it.each(Object.entries(READS))("%s is served as it was, and loaded anew behind", async (_, read) => {
    await setUp();
    expect(await read(prices)).toBe(0);
    await write();
    const { hits, misses } = cache.stats();
    const { selects } = countStatements(dataSource);
    expect(await Promise.all([read(prices), read(prices), read(prices)])).toEqual([0, 0, 0]);
    expect(cache.stats()).toMatchObject({ hits, misses });
    expect(cache.stats().staleHits).toBeGreaterThanOrEqual(3);
    await until(async () => (await read(prices)) === 7);
    // One load for all of them, whose rows are asked for first where the query needs it.
    expect(selects.length).toBeLessThanOrEqual(2);
  });

  it("only for as long as was said, counted from the fill", async () => {
    await setUp({ entities: { Price: { staleWhileRevalidate: 150 } } });
    await prices.findOneByOrFail({ id: 1 });
    await write();
    await delay(200);
    expect((await prices.findOneByOrFail({ id: 1 })).cents).toBe(7);
    expect(cache.stats().staleHits).toBe(0);
  });

  it("also of what is older than its TTL", async () => {
    await setUp({ entities: { Price: { ttl: 30, staleWhileRevalidate: "1h" } } });
    await prices.findOneByOrFail({ id: 1 });
    await delay(60);
    expect((await prices.findOneByOrFail({ id: 1 })).cents).toBe(0);
    expect(cache.stats()).toMatchObject({ hits: 0, staleHits: 1 });
    await until(() => cache.stats().fills === 2);
    await prices.findOneByOrFail({ id: 1 });
    expect(cache.stats().hits + cache.stats().staleHits).toBe(2);
  });

  it("also of what is written through", async () => {
    await setUp({ entities: { Price: { strategy: "write-through", staleWhileRevalidate: "1h", ttl: "1h" } } });
    await prices.findOneByOrFail({ id: 1 });
    await prices.save({ id: 1, cents: 5 });
    expect(cache.stats().writeThroughs).toBeGreaterThan(0);
    expect((await prices.findOneByOrFail({ id: 1 })).cents).toBe(5);
    await dataSource.query(
      database.name === "sqlite" ? "UPDATE price SET cents = 6" : "UPDATE price SET cents = 6 WHERE 1 = 1",
    );
    expect((await prices.findOneByOrFail({ id: 1 })).cents).toBe(5);
    await until(async () => (await prices.findOneByOrFail({ id: 1 })).cents === 6);
  });

  it("of a near cache too", async () => {
    await setUp({ entities: { Price: { staleWhileRevalidate: "1h", near: { mode: "verify" } } } });
    await prices.findOneByOrFail({ id: 1 });
    await prices.findOneByOrFail({ id: 1 });
    await write();
    expect((await prices.findOneByOrFail({ id: 1 })).cents).toBe(0);
    await until(async () => (await prices.findOneByOrFail({ id: 1 })).cents === 7);
  });

  it("says so in an explanation", async () => {
    await setUp();
    for (const where of [{ id: 1 }, { cents: 0 }]) {
      const explained = await cache.explain(Price, "find", { where });
      expect(explained).toMatchObject({ cacheable: true, staleWhileRevalidate: 3_600_000 });
      expect(explained.text).toMatch(/although it is stale, up to 3600000 ms/);
    }
  });

  it("for nobody who has not asked for it", async () => {
    await setUp({ entities: { Price: { staleWhileRevalidate: false } } });
    await prices.findOneByOrFail({ id: 1 });
    await write();
    expect((await prices.findOneByOrFail({ id: 1 })).cents).toBe(7);
    expect(cache.stats().staleHits).toBe(0);
  });

  it("waits for the writer: what cannot be stored is not loaded", async () => {
    await setUp();
    await prices.findOneByOrFail({ id: 1 });
    const { selects } = countStatements(dataSource);
    await dataSource.transaction(async (manager) => {
      await manager.update(Price, 1, { cents: 7 });
      if (database.name === "sqlite") return; // Its one connection is the transaction's.
      selects.length = 0;
      expect((await prices.findOneByOrFail({ id: 1 })).cents).toBe(0);
    });
    if (database.name !== "sqlite") expect(cache.stats().hits + cache.stats().staleHits).toBe(1);
    await until(async () => (await prices.findOneByOrFail({ id: 1 })).cents === 7);
  });

  it("a load that fails behind the back leaves the entry as it is", async () => {
    await setUp();
    await prices.findOneByOrFail({ id: 1 });
    await write();
    const { manager } = dataSource;
    const create = manager.createQueryBuilder.bind(manager);
    manager.createQueryBuilder = () => {
      throw new Error("no connection");
    };
    expect((await prices.findOneByOrFail({ id: 1 })).cents).toBe(0);
    await until(() => cache.stats().unfilled.failed > 0);
    manager.createQueryBuilder = create;
    await until(async () => (await prices.findOneByOrFail({ id: 1 })).cents === 7);
  });

  it.each([
    [{ staleWhileRevalidate: -1 }, /staleWhileRevalidate/],
    [{ staleWhileRevalidate: "soon" }, /staleWhileRevalidate/],
    [{ singleFlight: "world" }, /singleFlight/],
  ])("refuses %j", async (options, message) => {
    await setUp();
    await cache.close();
    await expect(attachMemory(dataSource, { entities: { Price: options as never } })).rejects.toMatchObject({
      code: "CONFIG_INVALID",
      message: expect.stringMatching(message) as string,
    });
  });
});
