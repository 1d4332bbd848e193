import { inspect } from "node:util";
import { Column, Entity, In, MoreThan, PrimaryColumn, type DataSource } from "typeorm";
import {
  CacheKey,
  Cached,
  MemoryStore,
  type CachedRepository,
  type CacheEvents,
  type CacheOptions,
  type CoherentCache,
  type ReadRequest,
} from "typeorm-coherent";
import { attachMemory } from "../support/cache-harness";
import { describeEachDatabase } from "../support/databases";
import { until } from "../support/redis-server";

@Entity()
@Cached()
class Balance {
  @PrimaryColumn() id!: number;
  @CacheKey() @Column() owner!: number;
  @Column({ type: "varchar", length: 60 }) note!: string;
  @Column({ default: 0 }) cents!: number;
}

type Balances = CachedRepository<Balance>;
type Checked = CacheEvents["checked"];

/** Each sees a change of the row 1, and of how many rows owner 1 has. */
const READS: Record<string, (balances: Balances) => Promise<unknown>> = {
  "a row": (balances) => balances.findOneBy({ id: 1 }),
  "whether there is one": (balances) => balances.existsBy({ id: 1 }),
  "several rows": (balances) => balances.findBy({ id: In([1, 2]) }),
  "a list": (balances) => balances.findBy({ owner: 1 }),
  "a number": (balances) => balances.countBy({ owner: 1 }),
  "a statement": (balances) => balances.find({ where: { cents: MoreThan(-1) } }),
};

describeEachDatabase("hits that are checked", (database) => {
  let dataSource: DataSource;
  let cache: CoherentCache;
  let balances: Balances;
  let events: Checked[];
  let warnings: unknown[][];

  async function setUp(options: CacheOptions = {}): Promise<void> {
    dataSource = await database.open([Balance]);
    await dataSource.getRepository(Balance).insert([
      { id: 1, owner: 1, note: "seen by nobody" },
      { id: 2, owner: 1, note: "seen by nobody" },
    ]);
    [events, warnings] = [[], []];
    const logger = { warn: (...args: unknown[]) => void warnings.push(args) };
    cache = await attachMemory(dataSource, { consistencyCheck: { sampleRate: 1 }, logger, ...options });
    cache.on("checked", (event) => events.push(event));
    balances = cache.repository(Balance);
  }
  afterEach(async () => {
    await cache.close();
    await database.cleanup();
  });

  /** Every hit was checked. */
  const settled = () => until(() => events.length === cache.stats().hits);

  /** Past the cache: on the driver's own connection, as another program would. */
  async function writeFromOutside(sql: string): Promise<void> {
    const { driver } = dataSource as any;
    if (database.name === "sqlite") {
      const connection = driver.databaseConnection;
      if (connection.prepare !== undefined && connection.exec.length < 2) connection.exec(sql);
      else
        await new Promise((resolve, reject) => connection.exec(sql, (e: Error | null) => (e ? reject(e) : resolve(0))));
    } else if (database.name === "postgres") await driver.master.query(sql);
    else
      await new Promise((resolve, reject) => driver.pool.query(sql, (e: Error | null) => (e ? reject(e) : resolve(0))));
  }

  it.each(Object.entries(READS))(
    "%s: a write past the cache is found, and named without its values",
    async (_, read) => {
      await setUp();
      for (const _time of [1, 2]) await read(balances);
      await settled();
      expect(new Set(events.map(({ outcome }) => outcome))).toEqual(new Set(["equal"]));
      await balances.update(2, { cents: 5 });
      await read(balances);
      await settled();

      await writeFromOutside("DELETE FROM balance WHERE id = 1");
      await read(balances);
      await settled();
      const found = events.filter(({ outcome }) => outcome === "mismatch");
      expect(found).toHaveLength(1);
      expect(found[0]).toMatchObject({
        entity: "Balance",
        key: expect.any(String),
        tags: expect.arrayContaining([expect.stringMatching(/^(s_\w+\.)?balance\|$/)]),
        age: expect.any(Number),
        sinceHit: expect.any(Number),
      });
      expect(cache.stats().consistency).toMatchObject({ mismatches: 1, atLeast: false });
      expect(warnings).toEqual([[expect.stringContaining("not what the database says"), expect.anything()]]);
      expect(inspect([events, warnings], { depth: 9 })).not.toContain("seen by nobody");
    },
  );

  it("the last invalidation is told with a mismatch", async () => {
    await setUp();
    await balances.update(1, { cents: 5 });
    await READS["a list"]!(balances);
    await writeFromOutside("UPDATE balance SET cents = 6 WHERE id = 2");
    await READS["a list"]!(balances);
    await until(() => events.length > 0);
    expect(events.at(-1)).toMatchObject({
      outcome: "mismatch",
      invalidated: { at: expect.any(Date), cause: expect.stringContaining("update") },
    });
  });

  it("writers beside them make no mismatch", async () => {
    await setUp({ defaults: { strategy: "write-through" } });
    const isOver = () => cache.stats().consistency.checked >= 60;
    const write = async () => {
      for (let cents = 1; !isOver(); cents += 1) {
        await balances.save({ id: 1 + (cents % 2), cents, note: `${cents}` });
        await new Promise((resolve) => setTimeout(resolve, 3));
      }
    };
    const read = async () => {
      while (!isOver()) {
        for (const one of Object.values(READS)) await one(balances);
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    await Promise.all([write(), read(), read()]);
    const { mismatches, checked, nines, atLeast } = cache.stats().consistency;
    expect({ mismatches, atLeast }).toEqual({ mismatches: 0, atLeast: true });
    expect(nines).toBeCloseTo(Math.log10(checked / 3));
  });
});

describeEachDatabase("a check", (database) => {
  /** Lets the test in before the looks of the checks, and not before those of reads. */
  class WatchedStore extends MemoryStore {
    before: (look: number) => Promise<void> = () => Promise.resolve();
    looks = 0;

    override async read(requests: readonly ReadRequest[]) {
      if (requests[0]?.wantsTokens === true) await this.before((this.looks += 1));
      return super.read(requests);
    }
  }
  let store: WatchedStore;
  let dataSource: DataSource;
  let cache: CoherentCache;
  const outcomes: string[] = [];
  beforeEach(async () => {
    dataSource = await database.open([Balance]);
    await dataSource.getRepository(Balance).insert({ id: 1, owner: 1, note: "" });
    store = new WatchedStore();
    cache = await attachMemory(dataSource, { store, consistencyCheck: { sampleRate: 1 } });
    outcomes.length = 0;
    cache.on("checked", (check) => {
      outcomes.push(check.outcome === "undecided" ? check.why : check.outcome);
    });
    await read();
  });
  afterEach(async () => {
    await cache.close();
    await database.cleanup();
  });
  const read = () => cache.repository(Balance).findOneBy({ id: 1 });

  it.each([1, 2])("comes to nothing if somebody writes before look %i", async (at) => {
    store.before = async (look) => {
      if (look === at) await dataSource.getRepository(Balance).update(1, { cents: at });
    };
    await read();
    await until(() => outcomes.length > 0);
    expect(outcomes).toEqual(["changed"]);
    expect(cache.stats().consistency).toMatchObject({ checked: 0, mismatches: 0, undecided: { changed: 1 } });
  });

  it("delays nobody, is made for two hits at once, and ends with the cache", async () => {
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    store.before = () => held;
    for (let times = 0; times < 5; times += 1) expect(await read()).toMatchObject({ id: 1 });
    expect(outcomes).toEqual(["dropped", "dropped", "dropped"]);
    let isClosed = false;
    const closing = cache.close().then(() => (isClosed = true));
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(isClosed).toBe(false);
    release();
    await closing;
    expect(outcomes).toEqual(["dropped", "dropped", "dropped", "equal", "equal"]);
  });

  it("fails no read if it fails", async () => {
    store.before = () => Promise.reject(new Error("away"));
    expect(await read()).toMatchObject({ id: 1 });
    await until(() => outcomes.length > 0);
    expect(cache.stats().consistency).toMatchObject({ undecided: { failed: 1 }, checked: 0 });
  });

  it("is never made inside of a transaction", async () => {
    const found = await dataSource.transaction(async (manager) => {
      await manager.getRepository(Balance).update(1, { cents: 9 });
      const seen = await read();
      return seen?.cents;
    });
    expect(found === 9 || found === 0).toBe(true);
    await until(() => outcomes.length === cache.stats().hits);
    expect(outcomes.every((outcome) => outcome !== "mismatch")).toBe(true);
    expect(cache.stats().consistency.mismatches).toBe(0);
  });
});
