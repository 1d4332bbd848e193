import { Column, DataSource, Entity, PrimaryColumn, type QueryRunner } from "typeorm";
import { CacheKey, Cached, MemoryStore, type CacheOptions, type CoherentCache } from "typeorm-coherent";
import { oneByOne, statementBarriers } from "../support/barriers";
import { attachMemory } from "../support/cache-harness";
import { describeEachDatabase } from "../support/databases";

@Entity()
@Cached({ strategy: "write-through" })
class Seat {
  @PrimaryColumn() id!: number;
  @CacheKey() @Column() hall!: number;
  @Column() price!: number;
}

// On SQLite all of a process share one connection, and so do those who share a query runner elsewhere. What they send at the
// same time may reach the database in another order than it was sent; every order here is forced by holding statements back
// between the library and the driver. A second data source over the same store stands for another process: it sees what is
// committed, and whatever it can fill while the others are under way must not outlive their COMMITs.
describeEachDatabase("several contexts on one connection", (database) => {
  let dataSource: DataSource;
  let other: DataSource;
  let cache: CoherentCache;
  let neighbour: CoherentCache;
  let hold: ReturnType<typeof statementBarriers>;
  let runner: QueryRunner;

  beforeAll(async () => {
    const options = await database.options([Seat], { file: true });
    dataSource = await new DataSource(options).initialize();
    other = await new DataSource({ ...options, synchronize: false }).initialize();
    // Readers and the one writer do not block each other.
    if (database.name === "sqlite") await dataSource.query("PRAGMA journal_mode = WAL");
    oneByOne(dataSource);
    hold = statementBarriers(dataSource);
    const shared: CacheOptions = { store: new MemoryStore(), namespace: "shared", lockTtl: 60_000 };
    cache = await attachMemory(dataSource, shared);
    neighbour = await attachMemory(other, shared);
  });
  afterAll(async () => {
    await dataSource.destroy();
    await other.destroy();
  });
  beforeEach(async () => {
    await dataSource.query("DELETE FROM seat");
    await dataSource.query("INSERT INTO seat (id, hall, price) VALUES (1, 1, 1), (2, 1, 1), (3, 2, 1)");
    runner = dataSource.createQueryRunner();
    await everywhere();
  });
  afterEach(async () => {
    // Whatever happened, everybody is served what is committed, at once and from then on.
    await runner.release();
    const expected = await everything(other);
    expect(await everywhere()).toEqual([expected, expected]);
    const { hits } = neighbour.stats();
    expect(await everywhere()).toEqual([expected, expected]);
    expect(neighbour.stats().hits - hits).toBe(7);
    expect(cache.stats().pending).toBe(0);
  });

  async function everything(by: DataSource | CoherentCache): Promise<unknown> {
    const seats = by instanceof DataSource ? by.getRepository(Seat) : by.repository(Seat);
    const found: unknown[] = [];
    for (const id of [1, 2, 3]) found.push(await seats.findOneBy({ id }));
    for (const hall of [1, 2]) {
      found.push(
        (await seats.findBy({ hall })).sort((left, right) => left.id - right.id),
        await seats.countBy({ hall }),
      );
    }
    return found;
  }
  const everywhere = async () => [await everything(cache), await everything(neighbour)];
  const run = (sql: string) => runner.query(sql) as Promise<unknown>;
  const raise = (id: number, price: number) => run(`UPDATE seat SET price = ${price} WHERE id = ${id}`);
  const BEGIN = /^(BEGIN|START TRANSACTION)/;
  const priceOf = async (id: number) => (await neighbour.repository(Seat).findOneByOrFail({ id })).price;

  it.each(["COMMIT", "ROLLBACK"])(
    "a statement of somebody else beside an open transaction goes the way of it: %s",
    async (end) => {
      await run("BEGIN");
      await raise(1, 10);
      await raise(2, 20);
      // Not committed yet: what is filled now must not stay.
      expect(await priceOf(2)).toBe(1);
      await run(end);
      expect(await priceOf(2)).toBe(end === "COMMIT" ? 20 : 1);
    },
  );

  it("a read beside an open transaction sees what it sees, and leaves nothing behind", async () => {
    await run("BEGIN");
    await raise(1, 10);
    await everywhere();
    await run("ROLLBACK");
    expect((await cache.repository(Seat).findOneByOrFail({ id: 1 })).price).toBe(1);
  });

  it.each(["COMMIT", "ROLLBACK"])("a write that a BEGIN overtakes is part of that transaction: %s", async (end) => {
    const held = hold(/^UPDATE/, "before");
    const write = raise(1, 10);
    await held.reached;
    await run("BEGIN");
    held.open();
    await write;
    expect(await priceOf(1)).toBe(1);
    await run(end);
    expect(await priceOf(1)).toBe(end === "COMMIT" ? 10 : 1);
  });

  it("a write that overtakes the BEGIN which was sent before it commits by itself", async () => {
    const held = hold(BEGIN, "before");
    const begin = run("BEGIN");
    await held.reached;
    await raise(1, 10);
    expect(await priceOf(1)).toBe(10);
    held.open();
    await begin;
    await run("ROLLBACK");
    expect(await priceOf(1)).toBe(10);
  });

  it("a write that overtakes the COMMIT which was sent before it is locked until that has arrived", async () => {
    await run("BEGIN");
    await raise(1, 10);
    const held = hold(/^COMMIT/, "before");
    const commit = run("COMMIT");
    await held.reached;
    await raise(2, 20);
    // Its sender thinks that it is done, but it is committed with the rest. A reader may load the old row now, but not keep it.
    const before = neighbour.stats().unfilled.locked;
    expect(await priceOf(2)).toBe(1);
    expect(neighbour.stats().unfilled.locked).toBe(before + 1);
    held.open();
    await commit;
    expect(await priceOf(2)).toBe(20);
  });

  it("a write that the ROLLBACK overtakes which was sent behind it commits by itself", async () => {
    await run("BEGIN");
    const held = hold(/^UPDATE/, "before");
    const write = raise(1, 10);
    await held.reached;
    await run("ROLLBACK");
    expect(await priceOf(1)).toBe(1);
    held.open();
    await write;
    expect(await priceOf(1)).toBe(10);
  });

  it("a write that the COMMIT overtakes which was sent behind it commits by itself", async () => {
    await run("BEGIN");
    await raise(2, 20);
    const held = hold(/^UPDATE/, "before");
    const write = raise(1, 10);
    await held.reached;
    await run("COMMIT");
    expect([await priceOf(1), await priceOf(2)]).toEqual([1, 20]);
    held.open();
    await write;
    expect(await priceOf(1)).toBe(10);
  });

  it("a write that overtakes a SAVEPOINT outlives the ROLLBACK TO it", async () => {
    await run("BEGIN");
    const held = hold(/^SAVEPOINT/, "before");
    const savepoint = run("SAVEPOINT here");
    await held.reached;
    await raise(1, 10);
    held.open();
    await savepoint;
    await raise(2, 20);
    await run("ROLLBACK TO SAVEPOINT here");
    expect([await priceOf(1), await priceOf(2)]).toEqual([1, 1]);
    await run("COMMIT");
    expect([await priceOf(1), await priceOf(2)]).toEqual([10, 1]);
  });

  it("a write that a ROLLBACK TO overtakes outlives it", async () => {
    await run("BEGIN");
    await run("SAVEPOINT here");
    const held = hold(/^UPDATE/, "before");
    const write = raise(1, 10);
    await held.reached;
    await run("ROLLBACK TO SAVEPOINT here");
    held.open();
    await write;
    expect(await priceOf(1)).toBe(1);
    await run("COMMIT");
    expect(await priceOf(1)).toBe(10);
  });

  it("a COMMIT that waits for its lock while more is written covers that too", async () => {
    await run("BEGIN");
    await raise(1, 10);
    const selects = hold(/^SELECT .*hall.* FROM .*seat/, "after");
    await run("UPDATE seat SET hall = 2 WHERE id = 1"); // Its key is read again before COMMIT.
    const commit = run("COMMIT");
    await selects.reached;
    await raise(3, 30);
    selects.open();
    await commit;
    expect([await priceOf(1), await priceOf(3)]).toEqual([10, 30]);
  });

  it("transactions of many contexts, one behind the other, while others write and read", async () => {
    const manager = runner.manager;
    const work = Array.from({ length: 12 }, (_, index) => async () => {
      const id = (index % 3) + 1;
      if (index % 4 === 0) return manager.update(Seat, id, { price: 100 + index });
      if (index % 4 === 1) return manager.update(Seat, { hall: 1 }, { hall: 2 });
      if (index % 4 === 2) return everywhere();
      return manager.save(Seat, { id, hall: 1, price: 200 + index });
    });
    // Savepoints of several contexts tangle, and TypeORM may fail over that; the cache must not care.
    await Promise.allSettled(work.map((one) => one()));
    for (let depth = 0; depth < 20 && runner.isTransactionActive; depth += 1) {
      await runner.rollbackTransaction().catch(() => undefined);
    }
    await run("ROLLBACK").catch(() => undefined);
  });
});
