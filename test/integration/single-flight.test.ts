import type { Redis } from "ioredis";
import { Column, DataSource, Entity, In, PrimaryColumn } from "typeorm";
import {
  attachCache,
  CacheKey,
  Cached,
  RedisStore,
  type CachedRepository,
  type CacheOptions,
  type CoherentCache,
} from "typeorm-coherent";
import { attachMemory, countStatements, quarantineOver } from "../support/cache-harness";
import { describeEachDatabase } from "../support/databases";
import { redisForBlock } from "../support/redis-for-block";
import { until } from "../support/redis-server";

@Entity()
@Cached({ singleFlight: "everywhere" })
class Report {
  @PrimaryColumn() id!: number;
  @CacheKey() @Column() year!: number;
  @Column({ default: 0 }) total!: number;
}

/** Each takes one statement. */
const READS: Record<string, (reports: CachedRepository<Report>) => Promise<unknown>> = {
  "a row": (reports) => reports.findOneBy({ id: 1 }),
  "no row": (reports) => reports.findOneBy({ id: 9 }),
  "whether a row is there": (reports) => reports.existsBy({ id: 1 }),
  "a list": (reports) => reports.findBy({ year: 2020 }),
  "a number": (reports) => reports.count(),
  "a statement": (reports) => reports.find({ order: { total: "DESC" }, where: { total: In([0, 1]) } }),
};

describeEachDatabase("one load for all processes", (database) => {
  const PROCESSES = 3;
  let client: Redis;
  let dataSources: DataSource[];
  let caches: CoherentCache[];
  let counts: ReturnType<typeof countStatements>[];

  const everywhere = (read: (reports: CachedRepository<Report>) => Promise<unknown>, times = 1) =>
    Promise.all(caches.flatMap((cache) => Array.from({ length: times }, () => read(cache.repository(Report)))));
  const selects = () => counts.reduce((sum, { selects }) => sum + selects.length, 0);

  /** Makes the loads of the first process wait until the result is called, and fail if it is called with an error. */
  function hold(): (error?: Error) => void {
    let release = (_error?: Error): void => undefined;
    const gate = new Promise<void>((resolve, reject) => (release = (error) => (error ? reject(error) : resolve())));
    const [dataSource] = dataSources;
    const create = dataSource!.createQueryRunner.bind(dataSource);
    dataSource!.createQueryRunner = (mode) => {
      const runner = create(mode);
      const query = runner.query.bind(runner) as (...args: unknown[]) => Promise<unknown>;
      // SQLite has one runner for all.
      if (!("isHeld" in runner)) {
        Object.assign(runner, {
          isHeld: true,
          query: async (...args: unknown[]) => (await gate, query(...args)),
        });
      }
      return runner;
    };
    return release;
  }

  async function setUp(more: CacheOptions = {}): Promise<void> {
    const options = await database.options([Report], { file: true });
    for (let at = 0; at < PROCESSES; at += 1) {
      const dataSource = await new DataSource(at === 0 ? options : { ...options, synchronize: false }).initialize();
      dataSources.push(dataSource);
      if (at === 0) await dataSource.getRepository(Report).insert({ id: 1, year: 2020 });
      const store = new RedisStore(client);
      caches.push(
        await attachCache(dataSource, { store, namespace: "reports", lockTtl: 700, storeTimeout: 300, ...more }),
      );
      await quarantineOver(store, [dataSource.getMetadata(Report).tablePath]);
    }
    counts = dataSources.map(countStatements);
  }

  redisForBlock((started) => (client = started));
  beforeEach(() => {
    [dataSources, caches] = [[], []];
  });
  afterEach(async () => {
    for (const cache of caches) await cache.close();
    for (const dataSource of dataSources) await dataSource.destroy();
    await database.cleanup();
  });

  it.each(Object.entries(READS))("%s", async (_, read) => {
    await setUp();
    const expected = await read(dataSources[0]!.getRepository(Report) as CachedRepository<Report>);
    counts.forEach((count) => count.reset());
    const found = await everywhere(read, 4);
    for (const one of found) expect(one).toEqual(expected);
    expect(selects()).toBe(1);
    const objects = found.filter((one) => typeof one === "object" && one !== null);
    expect(new Set(objects).size).toBe(objects.length);
    expect(caches.reduce((sum, cache) => sum + cache.stats().fills, 0)).toBe(1);
    expect(await client.keys("*}:f:*")).toEqual([]);
  });

  it("unless only those of one process are to share", async () => {
    await setUp({ entities: { Report: { singleFlight: "process" } } });
    await everywhere(READS["a row"]!, 4);
    expect(selects()).toBe(PROCESSES);
  });

  it("a load that began before a write is nobody's who reads after it", async () => {
    await setUp();
    const [, writer, reader] = caches;
    const release = hold();
    const slow = caches[0]!.repository(Report).findOneBy({ id: 1 });
    await until(async () => (await client.keys("*}:f:*")).length === 1);
    await writer!.repository(Report).update(1, { total: 5 });
    const late = reader!.repository(Report).findOneBy({ id: 1 });
    release();
    await slow;
    expect(await late).toMatchObject({ total: 5 });
    expect(await caches[0]!.repository(Report).findOneBy({ id: 1 })).toMatchObject({ total: 5 });
  });

  it("one that lasts too long is waited for no longer than the lock TTL", async () => {
    await setUp();
    const release = hold();
    const slow = caches[0]!.repository(Report).findOneBy({ id: 1 });
    await until(async () => (await client.keys("*}:f:*")).length === 1);
    expect(await caches[1]!.repository(Report).findOneBy({ id: 1 })).toMatchObject({ id: 1 });
    release();
    await slow;
  });

  it("one that fails fails for its process alone, and the next one loads", async () => {
    await setUp();
    const release = hold();
    const failing = caches[0]!.repository(Report).findOneBy({ id: 1 });
    await until(async () => (await client.keys("*}:f:*")).length === 1);
    const waiting = caches.slice(1).map((cache) => cache.repository(Report).findOneBy({ id: 1 }));
    release(new Error("no connection"));
    await expect(failing).rejects.toThrow("no connection");
    expect(await Promise.all(waiting)).toMatchObject([{ id: 1 }, { id: 1 }]);
    expect(selects()).toBe(1);
    expect(await client.keys("*}:f:*")).toEqual([]);
  });

  it("without Redis, each process loads for itself", async () => {
    await setUp({ storeTimeout: 20 });
    await client.client("PAUSE", 400);
    const found = await everywhere(READS["a row"]!);
    for (const one of found) expect(one).toMatchObject({ id: 1 });
  });

  it("over a store that has no claims, each process loads for itself", async () => {
    const dataSource = await database.open([Report]);
    await dataSource.getRepository(Report).insert({ id: 1, year: 2020 });
    const cache = await attachMemory(dataSource);
    const count = countStatements(dataSource);
    await Promise.all([1, 2].map(() => cache.repository(Report).findOneBy({ id: 1 })));
    expect(count.selects).toHaveLength(1);
    await cache.close();
  });
});
