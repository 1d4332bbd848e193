import { In, type DataSource, type QueryRunner, type Repository } from "typeorm";
import type { CachedRepository, CoherentCache, UnfilledReason } from "typeorm-coherent";
import { attachMemory, countStatements } from "../support/cache-harness";
import { barrierStore, statementBarriers, type Barrier } from "../support/barriers";
import { describeEachDatabase } from "../support/databases";
import { Item, Owner, Seat, Word } from "../support/entities/item";
import { expectSame } from "../support/same-as";

type Read = (items: Repository<Item>) => Promise<unknown>;

/** One read of each kind whose result the write of `write` changes. */
const reads: Record<string, Read> = {
  "a row by primary key": (items) => items.findOneBy({ id: 1 }),
  "a row by unique key": (items) => items.findOneBy({ code: "A" }),
  "a row that is not there": (items) => items.findOneBy({ code: "NEW" }),
  "whether a row is there": (items) => items.existsBy({ code: "NEW" }),
  "a list": (items) => items.findBy({ shelf: 1 }),
  "a list in order": (items) => items.find({ where: { shelf: 1 }, order: { rank: "DESC" }, take: 1 }),
  "a list by relation": (items) => items.findBy({ owner: { id: 1 } }),
  "a number of rows": (items) => items.countBy({ shelf: 1 }),
  "a page under its SQL": (items) =>
    items.find({ where: { shelf: 1 }, select: { id: true, rank: true }, order: { rank: "DESC" }, take: 1 }),
  "a sum": (items) => items.sum("rank", { shelf: 1 }),
  // In an order of its own: a database need not keep to one.
  "several rows": async (items) => (await items.findBy({ id: In([1, 2]) })).sort((left, right) => left.id - right.id),
};

// Interleavings of one reader and one writer, each held up where it hurts: never is anything served that is older than the
// last COMMIT before the read began.
describeEachDatabase("races", (database) => {
  const store = barrierStore();
  let dataSource: DataSource;
  let cache: CoherentCache;
  let items: CachedRepository<Item>;
  let plain: Repository<Item>;
  let statements: ReturnType<typeof countStatements>;
  let atStatement: ReturnType<typeof statementBarriers>;

  beforeAll(async () => {
    dataSource = await database.open([Item, Owner, Word, Seat]);
    // Nothing here waits for a lock to time out, however slow the machine is.
    cache = await attachMemory(dataSource, { store, lockTtl: 60_000 });
    items = cache.repository(Item);
    plain = dataSource.getRepository(Item);
    statements = countStatements(dataSource);
    atStatement = statementBarriers(dataSource);
    await dataSource.getRepository(Owner).insert([{ name: "one" }]);
    // The rows below have numbers of their own, which PostgreSQL would give out again.
    if (database.name === "postgres") await dataSource.query("ALTER SEQUENCE item_id_seq RESTART WITH 100");
  });
  beforeEach(async () => {
    await dataSource.query("DELETE FROM item");
    await dataSource.query(
      "INSERT INTO item (id, code, shelf, rank, slot) VALUES (1, 'A', 1, 1, 'a'), (2, 'B', 2, 2, 'a'), (3, 'C', 3, 3, 'a')",
    );
    await plain.update(1, { ownerId: 1 });
  });

  /** Changes the result of every read above, in one transaction, through another repository than the reader's. */
  const write = () =>
    dataSource.transaction(async (manager) => {
      await manager.save(Item, { id: 1, code: "A", rank: 10 });
      await manager.save(Item, { id: 2, shelf: 1, ownerId: 1 });
      await manager.save(Item, manager.create(Item, { code: "NEW", shelf: 1, rank: 20, slot: "a" }));
    });

  const unfilled = (reason: UnfilledReason) => cache.stats().unfilled[reason];
  const isSelect = /^SELECT/;

  /** Two reads through the cache and one past it agree. */
  async function expectFresh(read: Read): Promise<void> {
    const expected = await read(plain);
    expectSame(await read(items), expected);
    expectSame(await read(items), expected);
  }

  /** Starts a read, runs `meanwhile` while it stands at the barrier, and lets it end. */
  async function readDuring(read: Read, barrier: Barrier, meanwhile: () => Promise<unknown>): Promise<unknown> {
    const reading = read(items);
    await barrier.reached;
    await meanwhile();
    barrier.open();
    return reading;
  }

  describe.each(Object.entries(reads))("%s", (_, read) => {
    it.each([
      ["before it looks", () => store.at("read")],
      ["after it has looked and before it captures tokens", () => store.at("prepare")],
      ["after it has captured tokens", () => store.at("prepare", "after")],
      ["after it has asked the database", () => atStatement(isSelect)],
      ["before it fills", () => store.at("fill")],
      ["after it has filled", () => store.at("fill", "after")],
    ])("a write %s", async (__, stop) => {
      const before = await read(plain);
      const result = await readDuring(read, stop(), write);
      const after = await read(plain);
      // A read that a write overtakes may return either state.
      expect([JSON.stringify(before), JSON.stringify(after)]).toContain(JSON.stringify(result));
      await expectFresh(read);
    });

    it("the same where the entry was there before, so that its row tags are guessed", async () => {
      await read(items);
      await cache.invalidate(Item);
      await readDuring(read, atStatement(isSelect), write);
      await expectFresh(read);
    });

    it("a write by a statement alone, and one in SQL", async () => {
      await readDuring(read, atStatement(isSelect), () => plain.update({ shelf: 2 }, { shelf: 1 }));
      await expectFresh(read);
      await cache.invalidate(Item);
      await readDuring(read, atStatement(isSelect), () =>
        dataSource.query("UPDATE item SET rank = rank + 1, shelf = 1"),
      );
      await expectFresh(read);
    });

    it("an invalidation by hand, after a write that nobody saw", async () => {
      await readDuring(read, atStatement(isSelect), async () => {
        await unseen("UPDATE item SET rank = 77, shelf = 1, code = CASE WHEN id = 2 THEN 'NEW' ELSE code END");
        await cache.invalidate(Item);
      });
      await expectFresh(read);
    });

    it("a reader that starts after a COMMIT does not get a load that began before it", async () => {
      const barrier = atStatement(isSelect);
      const early = read(items);
      await barrier.reached;
      await write();
      const late = await read(items);
      barrier.open();
      await early;
      expectSame(late, await read(plain));
      await expectFresh(read);
    });

    it("readers that start before a load has ended share it", async () => {
      // One that follows rows which it does not show asks for these first.
      statements.reset();
      await read(items);
      const once = statements.selects.length;
      await cache.clear();
      const barrier = atStatement(isSelect, "before");
      statements.reset();
      const all = [read(items)];
      await barrier.reached;
      all.push(read(items), read(items));
      // They stand in line by the time that the store has answered them.
      await new Promise(setImmediate);
      barrier.open();
      const results = await Promise.all(all);
      expect(statements.selects.length).toBe(once);
      statements.reset();
      for (const result of results) expectSame(result, await read(plain));
    });
  });

  /** A write on a connection of its own that the cache does not see. */
  async function unseen(sql: string): Promise<void> {
    const runner = dataSource.createQueryRunner();
    try {
      await (Object.getPrototypeOf(runner) as QueryRunner).query.call(runner, sql);
    } finally {
      await runner.release();
    }
  }

  it("a row of a list that nobody had guessed, written between the load and the fill", async () => {
    await items.findBy({ shelf: 1 }); // Row 1 is a good guess from now on.
    await plain.update(2, { shelf: 1 }); // Row 2 is none.
    const read: Read = (repository) => repository.find({ where: { shelf: 1 }, order: { id: "ASC" } });
    // SQLite's one connection was in a transaction meanwhile, which alone is a reason.
    const reason = database.name === "sqlite" ? "transaction" : "raced";
    const before = unfilled(reason);
    await readDuring(read, atStatement(isSelect), () => plain.save({ id: 2, rank: 50 }));
    expect(unfilled(reason)).toBe(before + 1);
    await expectFresh(read);
  });

  it.each(["a page under its SQL", "a sum"])(
    "%s, when a row leaves between the two statements of its load",
    async (name) => {
      const read = reads[name]!;
      await plain.update(2, { shelf: 1 });
      await read(items);
      // Its rows are known from the last time, so that the table need not have stood still.
      await cache.invalidate(Item);
      await readDuring(read, atStatement(isSelect), () => plain.save({ id: 2, shelf: 3 }));
      await expectFresh(read);
      expect(await read(items)).toEqual(await read(plain));
    },
  );

  it("nothing is filled under a lock, and nothing served", async () => {
    await items.findOneBy({ id: 1 });
    const barrier = store.at("lock", "after");
    const writing = plain.save({ id: 1, rank: 5 });
    await barrier.reached;
    const fills = cache.stats().fills;
    const found = await items.findOneByOrFail({ id: 1 });
    // On SQLite it is the transaction's connection, and what it shows may be rolled back.
    expect(found.rank).toBe(database.name === "sqlite" ? 5 : 1);
    expect(cache.stats().fills).toBe(fills);
    barrier.open();
    await writing;
    await expectFresh((repository) => repository.findOneBy({ id: 1 }));
  });

  describe("write-through", () => {
    const first = () => plain.save({ id: 1, rank: 5 });

    it("is refused if another writer has had the row since", async () => {
      await items.findOneBy({ id: 1 });
      const barrier = store.at("unlock");
      const writing = first();
      await barrier.reached;
      await plain.save({ id: 1, rank: 6 });
      barrier.open();
      await writing;
      expect((await items.findOneByOrFail({ id: 1 })).rank).toBe(6);
      await expectFresh((repository) => repository.findOneBy({ id: 1 }));
    });

    it("is void if a write of unknown rows came in between", async () => {
      await items.findOneBy({ id: 1 });
      const barrier = store.at("unlock");
      const writing = first();
      await barrier.reached;
      await plain
        .createQueryBuilder()
        .update()
        .set({ rank: () => "rank + 100" })
        .execute();
      barrier.open();
      await writing;
      expect((await items.findOneByOrFail({ id: 1 })).rank).toBe(105);
      await expectFresh((repository) => repository.findOneBy({ id: 1 }));
    });

    it("is right where two writers end in the order in which they began", async () => {
      await items.findOneBy({ id: 1 });
      const barrier = store.at("unlock");
      const slow = first();
      await barrier.reached;
      const second = store.at("unlock");
      const fast = plain.save({ id: 1, rank: 6 });
      await second.reached;
      barrier.open();
      await slow;
      second.open();
      await fast;
      await expectFresh((repository) => repository.findOneBy({ id: 1 }));
    });

    it("serves the row without the database where nobody interferes", async () => {
      await items.findOneBy({ id: 1 });
      await first();
      statements.reset();
      expect((await items.findOneByOrFail({ id: 1 })).rank).toBe(5);
      expect((await items.findOneByOrFail({ code: "A" })).rank).toBe(5);
      expect(statements.selects).toEqual([]);
    });
  });

  describe("beside a transaction that is rolled back", () => {
    class Undone extends Error {}

    /** Runs `meanwhile` inside of a transaction that has written, and rolls it back. */
    const undone = (meanwhile: () => Promise<unknown>) =>
      dataSource
        .transaction(async (manager) => {
          await manager.save(Item, { id: 1, code: "A", rank: 10 });
          await manager.save(Item, { id: 2, shelf: 1, ownerId: 1 });
          await manager.save(Item, manager.create(Item, { code: "NEW", shelf: 1, rank: 20 }));
          await meanwhile();
          throw new Undone();
        })
        .catch((error: unknown) => expect(error).toBeInstanceOf(Undone));

    describe.each(Object.entries(reads))("%s", (_, read) => {
      it("a read that begins and ends meanwhile", async () => {
        const before = await read(plain);
        await undone(() => read(items));
        expectSame(await read(items), before);
        await expectFresh(read);
      });

      it.each([
        ["before it looks", () => store.at("read")],
        ["before it captures tokens", () => store.at("prepare")],
        ["after it has captured tokens", () => store.at("prepare", "after")],
        ["before it asks the database", () => atStatement(isSelect, "before")],
      ])("a read that began before, held up %s, and ends inside", async (__, stop) => {
        const before = await read(plain);
        const barrier = stop();
        const reading = read(items);
        await barrier.reached;
        await undone(async () => {
          barrier.open();
          await reading;
        });
        expectSame(await read(items), before);
        await expectFresh(read);
      });

      it("a transaction that begins and ends while a read is held up", async () => {
        const before = await read(plain);
        for (const stop of [() => store.at("prepare", "after"), () => atStatement(isSelect), () => store.at("fill")]) {
          await cache.invalidate(Item);
          await readDuring(read, stop(), () => undone(() => Promise.resolve()));
          expectSame(await read(items), before);
          await expectFresh(read);
        }
      });

      it("a transaction in SQL", async () => {
        const before = await read(plain);
        const runner = dataSource.createQueryRunner();
        await runner.query(database.name === "mariadb" ? "START TRANSACTION" : "BEGIN");
        await runner.query("UPDATE item SET rank = 55, shelf = 1, code = CASE WHEN id = 2 THEN 'NEW' ELSE code END");
        await read(items);
        await runner.query("ROLLBACK");
        await runner.release();
        expectSame(await read(items), before);
        await expectFresh(read);
      });
    });

    it("counts what it did not keep", async () => {
      if (database.name !== "sqlite") return; // Elsewhere a read has a connection of its own.
      const barrier = store.at("prepare", "after");
      const before = unfilled("transaction");
      const reading = items.findOneBy({ id: 1 });
      await barrier.reached;
      await undone(async () => {
        barrier.open();
        expect((await reading)?.rank).toBe(10);
      });
      expect(unfilled("transaction")).toBe(before + 1);
      const bypasses = cache.stats().bypasses.transaction ?? 0;
      await undone(async () => expect((await items.findOneBy({ id: 1 }))?.rank).toBe(10));
      expect(cache.stats().bypasses.transaction).toBe(bypasses + 1);
    });
  });
});
