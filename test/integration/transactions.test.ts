import type { Socket } from "node:net";
import {
  Column,
  DataSource,
  Entity,
  PrimaryGeneratedColumn,
  type DataSourceOptions,
  type EntityManager,
  type QueryRunner,
} from "typeorm";
import {
  CacheKey,
  Cached,
  MemoryStore,
  type CacheEvents,
  type CacheOptions,
  type CoherentCache,
  type Store,
} from "typeorm-coherent";
import { oneByOne } from "../support/barriers";
import { attachMemory } from "../support/cache-harness";
import { describeEachDatabase, typeormLine } from "../support/databases";
import { until } from "../support/redis-server";
import { spyingStore } from "../support/spying-store";

@Entity()
@Cached({ strategy: "write-through" })
class Ticket {
  @PrimaryGeneratedColumn() id!: number;
  @CacheKey() @Column({ length: 40, default: "hall" }) place!: string;
  @Column({ default: 0 }) price!: number;
}

class Undo extends Error {}

describeEachDatabase("transactions", (database) => {
  /** Control statements as they go out, and what the store is told, in one list. */
  const calls: string[] = [];
  let dataSource: DataSource;
  let cache: CoherentCache;
  let locked: CacheEvents["lock"][] = [];

  beforeAll(async () => {
    dataSource = await database.open([Ticket]);
    const { logger } = dataSource;
    const logQuery = logger.logQuery.bind(logger);
    logger.logQuery = (query, ...rest) => {
      if (/^(BEGIN|START|COMMIT|ROLLBACK|SAVEPOINT|RELEASE)/i.test(query)) calls.push(query.split(" ")[0]!);
      logQuery(query, ...rest);
    };
    cache = await attachMemory(dataSource, { store: spyingStore(calls) });
    cache.on("lock", (event) => locked.push(event));
  });
  beforeEach(async () => {
    await dataSource.query("DELETE FROM ticket");
    await dataSource.getRepository(Ticket).save([{ price: 1 }, { price: 1 }, { price: 1 }]);
    await reads();
    calls.length = 0;
    locked = [];
  });
  afterEach(async () => {
    // Whatever happened, what is served is what the database has.
    const ids = (await dataSource.getRepository(Ticket).find({ order: { id: "ASC" } })).map(({ id }) => id);
    for (const id of ids) {
      expect(await cache.repository(Ticket).findOneBy({ id })).toEqual(
        await dataSource.getRepository(Ticket).findOneBy({ id }),
      );
    }
    expect(await cache.repository(Ticket).countBy({ place: "hall" })).toBe(
      await dataSource.getRepository(Ticket).countBy({ place: "hall" }),
    );
  });

  async function reads(): Promise<Ticket[]> {
    const tickets = await cache.repository(Ticket).findBy({ place: "hall" });
    for (const { id } of tickets) await cache.repository(Ticket).findOneBy({ id });
    return tickets;
  }
  const raise = (manager: EntityManager, { id }: Ticket, price: number) => manager.save(Ticket, { id, price });
  const undone = (work: Promise<unknown>) => expect(work).rejects.toBeInstanceOf(Undo);
  const tagsOf = (ticket: Ticket) => expect.stringMatching(new RegExp(`id=${ticket.id}$`)) as string;

  it("nothing reaches the store before the outermost COMMIT, and then all of it at once", async () => {
    const [first, second] = (await reads()) as [Ticket, Ticket];
    await dataSource.transaction(async (manager) => {
      await raise(manager, first, 2);
      await manager.transaction((inner) => raise(inner, second, 3));
      calls.push("work done");
    });
    expect(calls.filter((call) => call !== "BEGIN" && call !== "START")).toEqual([
      "SAVEPOINT",
      "RELEASE",
      "work done",
      "LOCK",
      "COMMIT",
      "UNLOCK with entries",
    ]);
    expect(locked[0]?.tags).toEqual(expect.arrayContaining([tagsOf(first), tagsOf(second)]));
  });

  it("a rollback leaves no trace: the store is not even called, and what was cached stays", async () => {
    const [first] = (await reads()) as [Ticket];
    const { hits } = cache.stats();
    await undone(
      dataSource.transaction(async (manager) => {
        await raise(manager, first, 99);
        await manager.update(Ticket, { price: 1 }, { price: 98 });
        throw new Undo();
      }),
    );
    expect(calls).not.toContain("LOCK");
    expect(calls).not.toContain("INVALIDATE");
    expect((await reads())[0]).toMatchObject({ price: 1 });
    expect(cache.stats().hits - hits).toBe(4);
  });

  it("a savepoint that is rolled back drops its part, and only that", async () => {
    const [first, second, third] = (await reads()) as [Ticket, Ticket, Ticket];
    await dataSource.transaction(async (manager) => {
      await raise(manager, first, 2);
      await undone(
        manager.transaction(async (inner) => {
          await raise(inner, second, 99);
          await inner.transaction((innermost) => raise(innermost, second, 98));
          throw new Undo();
        }),
      );
      await manager.transaction((inner) => raise(inner, third, 3));
    });
    expect(locked).toHaveLength(1);
    expect(locked[0]?.tags).toEqual(expect.arrayContaining([tagsOf(first), tagsOf(third)]));
    expect(locked[0]?.tags).not.toContainEqual(tagsOf(second));
  });

  it("a query runner by hand, and a savepoint in it by hand", async () => {
    const [first, second] = (await reads()) as [Ticket, Ticket];
    const runner = dataSource.createQueryRunner();
    try {
      await runner.startTransaction();
      await raise(runner.manager, first, 2);
      await runner.startTransaction();
      await raise(runner.manager, second, 99);
      await runner.rollbackTransaction();
      expect(calls).not.toContain("LOCK");
      await runner.commitTransaction();
    } finally {
      await runner.release();
    }
    expect(locked[0]?.tags).not.toContainEqual(tagsOf(second));
  });

  it("BEGIN, SAVEPOINT, ROLLBACK TO and COMMIT as raw SQL", async () => {
    const [first, second] = (await reads()) as [Ticket, Ticket];
    const runner = dataSource.createQueryRunner();
    const run = (sql: string) => runner.query(sql) as Promise<unknown>;
    try {
      await run("BEGIN");
      await run(`UPDATE ticket SET price = 2 WHERE id = ${first.id}`);
      await run("SAVEPOINT here");
      await run(`UPDATE ticket SET price = 99 WHERE id = ${second.id}`);
      await run("ROLLBACK TO SAVEPOINT here");
      await run("RELEASE SAVEPOINT here");
      expect(locked).toHaveLength(0);
      await run("/* all done */ COMMIT");
    } finally {
      await runner.release();
    }
    expect(locked).toHaveLength(1);
    expect(locked[0]?.tags).toContainEqual(tagsOf(first));
    expect(locked[0]?.tags).not.toContainEqual(tagsOf(second));
    await dataSource.query("SELECT 1");
    expect(await cache.repository(Ticket).findOneBy({ id: first.id })).toMatchObject({ price: 2 });
  });

  it("a subscriber that writes while the transaction is about to commit is not missed", async () => {
    const [first, second] = (await reads()) as [Ticket, Ticket];
    const subscriber = {
      beforeTransactionCommit: async ({ manager }: { manager: EntityManager }) => {
        await manager.query(`UPDATE ticket SET price = 7 WHERE id = ${second.id}`);
      },
    };
    dataSource.subscribers.push(subscriber);
    try {
      await dataSource.transaction((manager) => raise(manager, first, 2));
    } finally {
      dataSource.subscribers.splice(dataSource.subscribers.indexOf(subscriber), 1);
    }
    expect(await cache.repository(Ticket).findOneBy({ id: second.id })).toMatchObject({ price: 7 });
  });

  it("reads inside see what the transaction wrote; reads beside it do not, nor what is rolled back", async () => {
    const [first] = (await reads()) as [Ticket];
    await undone(
      dataSource.transaction(async (manager) => {
        await raise(manager, first, 99);
        const inside = manager.withRepository(cache.repository(Ticket));
        expect(await inside.findOneBy({ id: first.id })).toMatchObject({ price: 99 });
        throw new Undo();
      }),
    );
    expect(cache.stats().bypasses.transaction).toBeGreaterThan(0);
    expect(await cache.repository(Ticket).findOneBy({ id: first.id })).toMatchObject({ price: 1 });
  });

  it("the rows of a transaction are written through as the database has them, after its last statement", async () => {
    const [first] = (await reads()) as [Ticket];
    await dataSource.transaction(async (manager) => {
      await raise(manager, first, 2);
      await manager.query(`UPDATE ticket SET price = price + 40 WHERE id = ${first.id}`);
      await manager.increment(Ticket, { id: first.id }, "price", 1);
    });
    const { hits } = cache.stats();
    expect(await cache.repository(Ticket).findOneBy({ id: first.id })).toMatchObject({ price: 43 });
    expect(cache.stats().hits).toBe(hits + 1);
  });

  it("a COMMIT that the database refuses rotates the tags and writes nothing through", async () => {
    if (database.name !== "postgres") return;
    await dataSource.query(
      "CREATE TABLE deferred (id int PRIMARY KEY, ticket int REFERENCES ticket DEFERRABLE INITIALLY DEFERRED)",
    );
    const [first] = (await reads()) as [Ticket];
    calls.length = 0;
    const refused = dataSource.transaction(async (manager) => {
      await raise(manager, first, 99);
      await manager.query("INSERT INTO deferred VALUES (1, -1)");
    });
    await expect(refused).rejects.toThrow(/foreign key/);
    expect(calls).toEqual(expect.arrayContaining(["LOCK", "COMMIT", "UNLOCK"]));
    expect(calls).not.toContain("UNLOCK with entries");
  });

  it("a connection that dies before COMMIT leaves what was cached right", async () => {
    if (database.name !== "postgres") return;
    const [first] = (await reads()) as [Ticket];
    const runner = dataSource.createQueryRunner();
    await runner.startTransaction();
    await raise(runner.manager, first, 99);
    const [{ pid }] = (await runner.query("SELECT pg_backend_pid() AS pid")) as [{ pid: number }];
    await dataSource.query("SELECT pg_terminate_backend($1)", [pid]);
    await expect(runner.commitTransaction()).rejects.toThrow();
    await runner.release().catch(() => undefined);
    // The pool may hand the dead connection out once more.
    await dataSource.query("SELECT 1").catch(() => undefined);
    expect(await cache.repository(Ticket).findOneBy({ id: first.id })).toMatchObject({ price: 1 });
  });

  it("a failed statement inside, after which the transaction is committed all the same", async () => {
    if (database.name === "postgres") return; // There it is void.
    const [first, second] = (await reads()) as [Ticket, Ticket];
    await dataSource.transaction(async (manager) => {
      await raise(manager, first, 2);
      await expect(manager.query("INSERT INTO ticket (nowhere) VALUES (1)")).rejects.toThrow();
      await raise(manager, second, 3);
    });
    expect(await cache.repository(Ticket).findOneBy({ id: first.id })).toMatchObject({ price: 2 });
    expect(await cache.repository(Ticket).findOneBy({ id: second.id })).toMatchObject({ price: 3 });
  });
});

const WRITERS = 8;
const LEVELS = {
  sqlite: [],
  postgres: ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"],
  mariadb: ["READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"],
} as const;

/** On PostgreSQL a COMMIT can be made to wait: for an advisory lock that somebody else holds. */
const SLOW_COMMIT = {
  sqlite: [],
  mariadb: [],
  postgres: [
    "CREATE TABLE slow (id int)",
    `CREATE FUNCTION wait_for_it() RETURNS trigger LANGUAGE plpgsql AS $$
     BEGIN PERFORM pg_advisory_xact_lock(4711); RETURN NULL; END $$`,
    `CREATE CONSTRAINT TRIGGER waiting AFTER INSERT ON slow DEFERRABLE INITIALLY DEFERRED
     FOR EACH ROW EXECUTE FUNCTION wait_for_it()`,
  ],
};

// The second data source, over the same store, stands for another process: it sees nothing but what is committed, and what
// it fills while a transaction is under way must not outlive the COMMIT.
describeEachDatabase("transactions, as another process sees them", (database) => {
  let dataSource: DataSource;
  let other: DataSource;
  let cache: CoherentCache;
  let neighbour: CoherentCache;
  let runner: QueryRunner;
  /** A test of what only some databases do. */
  const is =
    (...names: (typeof database.name)[]) =>
    (title: string, test: () => Promise<void>) => {
      if (names.includes(database.name)) it(title, test);
    };

  beforeAll(async () => {
    // One connection, so that whoever asks the pool gets the same one again.
    const options = await database.options([Ticket], { file: true, poolSize: 1 });
    dataSource = await new DataSource(options).initialize();
    other = await new DataSource({ ...options, synchronize: false, poolSize: 5 } as DataSourceOptions).initialize();
    for (const source of database.name === "sqlite" ? [dataSource, other] : []) {
      await source.query("PRAGMA busy_timeout = 0");
    }
    const shared: CacheOptions = { store: new MemoryStore(), namespace: "two", lockTtl: 60_000 };
    oneByOne(dataSource);
    cache = await attachMemory(dataSource, shared);
    neighbour = await attachMemory(other, shared);
    for (const sql of SLOW_COMMIT[database.name]) await dataSource.query(sql);
  });
  afterAll(async () => {
    await dataSource.destroy();
    await other.destroy();
  });
  beforeEach(async () => {
    await dataSource.query("DELETE FROM ticket");
    for (const id of [1, 2, 3])
      await dataSource.query(`INSERT INTO ticket (id, place, price) VALUES (${id}, 'hall', 1)`);
    expect(await prices()).toEqual([1, 1, 1]);
    runner = dataSource.createQueryRunner();
  });
  afterEach(async () => {
    await runner.release().catch(() => undefined);
    await expectFresh();
  });

  const priceOf = async (id: number) => (await neighbour.repository(Ticket).findOneByOrFail({ id })).price;
  const prices = async () => [await priceOf(1), await priceOf(2), await priceOf(3)];
  const run = (sql: string) => runner.query(sql) as Promise<unknown>;
  const raise = (id: number, price: number) => run(`UPDATE ticket SET price = ${price} WHERE id = ${id}`);
  const readAll = (source: DataSource) => source.getRepository(Ticket).find({ order: { id: "ASC" } });

  /** Whoever asks now gets what is committed. */
  async function expectFresh(): Promise<void> {
    for (let round = 0; round < 2; round += 1) {
      for (const { id, price, place } of await readAll(other)) {
        expect(await neighbour.repository(Ticket).findOneBy({ id })).toMatchObject({ price, place });
      }
      for (const place of ["hall", "roof"]) {
        const expected = await other.getRepository(Ticket).countBy({ place });
        expect(await neighbour.repository(Ticket).countBy({ place })).toBe(expected);
        expect(await neighbour.repository(Ticket).findBy({ place })).toHaveLength(expected);
      }
    }
  }

  /** Whether a cache keeps what it reads, so that nothing stays locked, and no transaction open, by mistake. */
  async function expectCaching(by: CoherentCache): Promise<void> {
    await by.repository(Ticket).findOneBy({ id: 3 });
    const { hits } = by.stats();
    await by.repository(Ticket).findOneBy({ id: 3 });
    expect(by.stats().hits).toBe(hits + 1);
  }

  it("BEGIN and COMMIT by way of the pool, each with a query runner of its own", async () => {
    await dataSource.query("BEGIN");
    await dataSource.query("UPDATE ticket SET price = 2 WHERE id = 1");
    await dataSource.getRepository(Ticket).update(2, { price: 3 });
    expect(await prices()).toEqual([1, 1, 1]);
    await dataSource.query("COMMIT");
    expect(await prices()).toEqual([2, 3, 1]);
  });

  it("ROLLBACK by way of the pool", async () => {
    await dataSource.query("BEGIN");
    await dataSource.query("UPDATE ticket SET price = 2 WHERE id = 1");
    await dataSource.query("ROLLBACK");
    await dataSource.query("UPDATE ticket SET price = 4 WHERE id = 2");
    expect(await prices()).toEqual([1, 4, 1]);
  });

  it("a savepoint that moves a row out of a list and one that moves it into another", async () => {
    await runner.startTransaction();
    await runner.startTransaction();
    await run("UPDATE ticket SET place = 'roof' WHERE id = 1");
    await runner.rollbackTransaction();
    await runner.startTransaction();
    await run("UPDATE ticket SET place = 'roof' WHERE id = 2");
    await runner.commitTransaction();
    await expectFresh();
    await runner.commitTransaction();
  });

  is("postgres", "mariadb")("COMMIT AND CHAIN begins the next transaction at once", async () => {
    await run("BEGIN");
    await raise(1, 2);
    await run("COMMIT AND CHAIN");
    expect(await prices()).toEqual([2, 1, 1]);
    await raise(2, 3);
    expect(await prices()).toEqual([2, 1, 1]);
    await run("ROLLBACK AND CHAIN");
    await raise(3, 4);
    expect(await prices()).toEqual([2, 1, 1]);
    await run("COMMIT");
    expect(await prices()).toEqual([2, 1, 4]);
  });

  is("mariadb")("BEGIN inside of a transaction commits it, and so does DDL", async () => {
    await run("BEGIN");
    await raise(1, 2);
    expect(await prices()).toEqual([1, 1, 1]);
    await run("START TRANSACTION");
    expect(await prices()).toEqual([2, 1, 1]);
    await raise(2, 3);
    expect(await prices()).toEqual([2, 1, 1]);
    await run("CREATE TABLE IF NOT EXISTS elsewhere (id int)");
    expect(await prices()).toEqual([2, 3, 1]);
    await raise(3, 4);
    expect(await prices()).toEqual([2, 3, 4]);
    await run("ROLLBACK");
    expect(await prices()).toEqual([2, 3, 4]);
    await expectCaching(neighbour);
  });

  is("mariadb")("a savepoint that replaced one of its name is gone for good when it is released", async () => {
    await run("BEGIN");
    await run("SAVEPOINT a");
    await raise(1, 2);
    await run("SAVEPOINT a");
    await raise(2, 3);
    await run("RELEASE SAVEPOINT a");
    await expect(run("ROLLBACK TO SAVEPOINT a")).rejects.toThrow(/does not exist/);
    await run("COMMIT");
    expect(await prices()).toEqual([2, 3, 1]);
  });

  is("sqlite")("a savepoint outside of a transaction begins one, and its release commits it", async () => {
    await run("SAVEPOINT a");
    await raise(1, 2);
    await run("SAVEPOINT b");
    await raise(2, 3);
    await run("RELEASE b");
    expect(await prices()).toEqual([1, 1, 1]);
    await run("RELEASE a");
    expect(await prices()).toEqual([2, 3, 1]);
  });

  is("sqlite")("a COMMIT that finds the file busy leaves the transaction open, and may be tried again", async () => {
    const reader = other.createQueryRunner();
    await runner.startTransaction();
    await raise(1, 2);
    await reader.query("BEGIN");
    await reader.query("SELECT * FROM ticket");
    await expect(runner.commitTransaction()).rejects.toThrow(/SQLITE_BUSY|locked/);
    await reader.query("COMMIT");
    await raise(2, 3);
    await runner.commitTransaction();
    expect(await prices()).toEqual([2, 3, 1]);
    await expectCaching(cache);
  });

  is("sqlite")("a transaction that SQLite has rolled back by itself: what follows commits alone", async () => {
    await run("BEGIN");
    await raise(1, 99);
    await expect(run("INSERT OR ROLLBACK INTO ticket (id, place, price) VALUES (1, 'x', 1)")).rejects.toThrow(/UNIQUE/);
    await raise(2, 3);
    expect(await prices()).toEqual([1, 3, 1]);
    // A savepoint now stands alone, and its release is a COMMIT.
    await run("SAVEPOINT a");
    await raise(3, 4);
    expect(await priceOf(3)).toBe(1);
    await run("RELEASE a");
    expect(await priceOf(3)).toBe(4);
    await expect(run("COMMIT")).rejects.toThrow(/no transaction is active/);
    await expectCaching(cache);
    await run("BEGIN");
    await run("INSERT OR ROLLBACK INTO ticket (id, place, price) VALUES (1, 'x', 1)").catch(() => undefined);
    await expect(run("ROLLBACK")).rejects.toThrow(/no transaction is active/);
    await expectCaching(cache);
  });

  is("postgres")(
    "COMMIT of a transaction in which a statement failed is a ROLLBACK, and no error of ours",
    async () => {
      await runner.startTransaction();
      await run("UPDATE ticket SET place = 'roof' WHERE id = 1");
      await expect(run("SELECT nothing")).rejects.toThrow();
      await runner.commitTransaction();
      expect(await other.getRepository(Ticket).countBy({ place: "roof" })).toBe(0);
      await runner.startTransaction();
      await run("UPDATE ticket SET place = 'roof' WHERE id = 2");
      await expect(run("UPDATE ticket SET nothing = 1")).rejects.toThrow();
      await runner.commitTransaction();
    },
  );

  it("a failed savepoint is undone and the rest is committed", async () => {
    await runner.startTransaction();
    await raise(1, 2);
    await runner.startTransaction();
    await run("UPDATE ticket SET place = 'roof', price = 50 WHERE id = 2");
    await expect(run("UPDATE ticket SET nothing = 1")).rejects.toThrow();
    await runner.rollbackTransaction();
    await raise(3, 4);
    expect(await prices()).toEqual([1, 1, 1]);
    await runner.commitTransaction();
    expect(await prices()).toEqual([2, 1, 4]);
    await expectCaching(neighbour);
  });

  it("writes side by side in one transaction, of which one fails", async () => {
    let all: Promise<unknown>[] = [];
    const work = dataSource.transaction((manager) => {
      all = [
        manager.save(Ticket, { id: 1, price: 2 }),
        manager.query("UPDATE ticket SET nothing = 1"),
        manager.update(Ticket, 2, { price: 3 }),
        manager.update(Ticket, { place: "hall" }, { price: 5 }),
      ];
      return Promise.all(all);
    });
    await expect(work).rejects.toThrow();
    // What was still on its way when the rest was rolled back may have come to be committed by itself.
    await Promise.allSettled(all);
    await expectFresh();
  });

  is("mariadb")("the victim of a deadlock that goes on commits each statement by itself", async () => {
    const second = other.createQueryRunner();
    try {
      await runner.query("BEGIN");
      await second.query("BEGIN");
      await runner.query("UPDATE ticket SET price = 2 WHERE id = 1");
      await second.query("UPDATE ticket SET price = 3 WHERE id = 2");
      const one = runner.query("UPDATE ticket SET price = 2 WHERE id = 2").then(
        () => undefined,
        () => runner,
      );
      const two = second.query("UPDATE ticket SET price = 3 WHERE id = 1").then(
        () => undefined,
        () => second,
      );
      const victim = await Promise.race([one, two].map(async (side) => (await side) ?? new Promise<never>(() => {})));
      expect(await priceOf(3)).toBe(1);
      await victim.query("UPDATE ticket SET price = 9 WHERE id = 3");
      expect(await priceOf(3)).toBe(9);
      const survivor = victim === runner ? second : runner;
      await Promise.all([one, two]);
      await survivor.query("COMMIT");
      await victim.query("COMMIT");
    } finally {
      await second.release();
    }
  });

  describe("when the answer of the database is lost", () => {
    /** Cuts the connection of the query runner on this side; the server only sees it when it wants to answer. */
    async function cut(): Promise<void> {
      type Connection = { readonly stream?: Socket; readonly connection?: { readonly stream: Socket } };
      const connection: unknown = await runner.connect();
      const { stream, connection: inner } = connection as Connection;
      (inner?.stream ?? stream)!.destroy();
    }

    /** Resolves when a query runner's statement waits for a lock of somebody else's. */
    async function waits(id: number): Promise<void> {
      const sql =
        database.name === "postgres"
          ? `SELECT 1 FROM pg_stat_activity WHERE pid = ${id} AND wait_event_type = 'Lock'`
          : `SELECT 1 FROM information_schema.processlist WHERE id = ${id} AND state = 'Updating'`;
      await until(async () => (await other.query<unknown[]>(sql)).length > 0);
    }
    async function connectionId(): Promise<number> {
      const [row] = (await runner.query(
        database.name === "postgres" ? "SELECT pg_backend_pid() AS id" : "SELECT connection_id() AS id",
      )) as [{ id: number | string }];
      return Number(row.id);
    }
    const committed = (id: number, price: number) =>
      until(async () => (await other.getRepository(Ticket).findOneByOrFail({ id })).price === price);

    is("postgres", "mariadb")("a statement that is carried out later is not missed", async () => {
      const holder = other.createQueryRunner();
      try {
        await holder.query("BEGIN");
        await holder.query("SELECT * FROM ticket WHERE id = 1 FOR UPDATE");
        const id = await connectionId();
        const update = expect(runner.manager.update(Ticket, 1, { price: 50 })).rejects.toThrow();
        await waits(id);
        await cut();
        await update;
        // The row is still the old one. Nobody may keep it, since the statement is still under way.
        expect(await priceOf(1)).toBe(1);
      } finally {
        await holder.query("COMMIT");
        await holder.release();
      }
      await committed(1, 50);
      expect(await priceOf(1)).toBe(50);
    });

    is("postgres")("a COMMIT that is carried out later is not missed", async () => {
      const holder = other.createQueryRunner();
      try {
        await holder.query("SELECT pg_advisory_lock(4711)");
        await runner.startTransaction();
        await raise(1, 50);
        await run("INSERT INTO slow VALUES (1)");
        const id = await connectionId();
        const commit = expect(runner.commitTransaction()).rejects.toThrow();
        await waits(id);
        await cut();
        await commit;
        expect(await priceOf(1)).toBe(1);
      } finally {
        await holder.query("SELECT pg_advisory_unlock_all()");
        await holder.release();
      }
      await committed(1, 50);
      expect(await priceOf(1)).toBe(50);
    });

    is("postgres")("a COMMIT whose server process is ended from outside", async () => {
      const holder = other.createQueryRunner();
      try {
        await holder.query("SELECT pg_advisory_lock(4711)");
        await runner.startTransaction();
        await raise(1, 50);
        await run("INSERT INTO slow VALUES (1)");
        const id = await connectionId();
        const commit = expect(runner.commitTransaction()).rejects.toThrow();
        await waits(id);
        await holder.query(`SELECT pg_terminate_backend(${id})`);
        await commit;
        expect(await priceOf(1)).toBe(1);
      } finally {
        await holder.query("SELECT pg_advisory_unlock_all()");
        await holder.release();
      }
      expect(await priceOf(1)).toBe(1);
    });
  });

  for (const level of LEVELS[database.name]) {
    it(`many writers of one row, ${level}: nobody is served an old one`, async () => {
      let done = 0;
      const increment = async (manager: EntityManager, index: number) => {
        await manager.findOneByOrFail(Ticket, { id: 1 });
        await manager.query("UPDATE ticket SET price = price + 1 WHERE id = 1");
        if (index % 2 === 0) await manager.query(`UPDATE ticket SET place = 'roof' WHERE id = ${2 + (index % 4) / 2}`);
      };
      const writer = async (index: number) => {
        for (;;) {
          try {
            await other.transaction(level, (manager) => increment(manager, index));
            done += 1;
            return;
          } catch (error) {
            // Whoever lost must try again; anything else is an error.
            expect(String(error)).toMatch(/serialize|deadlock|Deadlock|Record has changed/);
          }
        }
      };
      const reader = async () => {
        for (let least = 0; done < WRITERS;) {
          const before = done;
          const price = await priceOf(1);
          // All that had returned by then, and never back.
          expect(price).toBeGreaterThanOrEqual(Math.max(least, 1 + before));
          least = price;
        }
      };
      await Promise.all([...Array.from({ length: WRITERS }, (_, index) => writer(index)), reader()]);
      expect(await priceOf(1)).toBe(1 + WRITERS);
    });
  }
});

describeEachDatabase("after COMMIT nothing of ours reaches the caller", (database) => {
  const broken = (): never => {
    throw new Error("broken");
  };
  const rejecting = () => Promise.reject(new Error("broken"));
  const lost = () => Promise.resolve({ held: false, written: 0 });
  let cache: CoherentCache | undefined;
  let dataSource: DataSource;
  beforeAll(async () => {
    dataSource = await database.open([Ticket]);
  });
  afterEach(() => cache?.close());

  /** A store that fails in the one method, from the moment at which the test says so. */
  function failing(method: keyof Store, fail: () => never): { readonly store: Store; break(): void } {
    const inner: Store = new MemoryStore();
    let failing = false;
    const call =
      (name: keyof Store) =>
      (...args: unknown[]): unknown => {
        if (failing && name === method) return fail();
        return (inner[name] as (...args: unknown[]) => unknown).apply(inner, args);
      };
    const names = ["open", "read", "prepare", "fill", "lock", "unlock", "invalidate", "close"] as const;
    const store = Object.fromEntries(names.map((name) => [name, call(name)])) as unknown as Store;
    return { store: Object.assign(store, { name: "failing" }), break: () => void (failing = true) };
  }

  it.each<[string, () => { options: CacheOptions; begin?: () => void; log?: () => never }]>([
    ["an unlock that throws", () => fails(failing("unlock", broken))],
    ["an unlock that rejects", () => fails(failing("unlock", rejecting as () => never))],
    ["an invalidation that rejects", () => fails(failing("invalidate", rejecting as () => never), "relaxed")],
    ["an invalidation that throws", () => fails(failing("invalidate", broken), "relaxed")],
    ["a key builder that throws", () => ({ options: { keyBuilder: broken } })],
    [
      "a logger that throws over a lost lock",
      () => ({ ...fails(failing("unlock", lost as () => never)), log: broken }),
    ],
  ])("%s", async (_, make) => {
    const { options, begin, log = () => undefined } = make();
    cache = await attachMemory(dataSource, { logger: { warn: log }, ...options });
    for (const name of ["lock", "invalidate", "storeError", "writeThrough"] as const) cache.on(name, broken);
    const tickets = cache.repository(Ticket);
    await tickets.findOneBy({ id: 0 });
    begin?.();
    const { id } = await tickets.save({ price: 1 });
    await tickets.save({ id, price: 2 });
    await tickets.update(id, { price: 3 });
    await dataSource.transaction((manager) => manager.increment(Ticket, { id }, "price", 1));
    expect(await dataSource.getRepository(Ticket).findOneByOrFail({ id })).toMatchObject({ price: 4 });
    expect(await tickets.findOneBy({ id })).toMatchObject({ price: 4 });
  });

  function fails(one: ReturnType<typeof failing>, consistency: CacheOptions["consistency"] = "strict") {
    const entities = { Ticket: { strategy: "invalidate" } } as const;
    return {
      options: { store: one.store, consistency, ...(consistency === "relaxed" ? { entities } : {}) },
      begin: one.break,
    };
  }

  it("but what another subscriber throws then does, as it would without us, and nothing stays old", async () => {
    cache = await attachMemory(dataSource);
    const tickets = cache.repository(Ticket);
    const { id } = await tickets.save({ price: 1 });
    await tickets.findOneBy({ id });
    const subscriber = { afterTransactionCommit: () => Promise.reject(new Error("theirs")) };
    dataSource.subscribers.push(subscriber);
    await expect(tickets.save({ id, price: 2 })).rejects.toThrow("theirs");
    dataSource.subscribers.splice(dataSource.subscribers.indexOf(subscriber), 1);
    expect(await tickets.findOneBy({ id })).toMatchObject({ price: 2 });
  });

  it("and neither does a COMMIT whose afterQuery hook rejects leave anything old", async () => {
    // With 0.3 such a hook ends the process.
    if (typeormLine === "0.3") return;
    cache = await attachMemory(dataSource, { lockTtl: 60_000 });
    const tickets = cache.repository(Ticket);
    const { id } = await tickets.save({ price: 1 });
    await tickets.findOneBy({ id });
    const subscriber = {
      afterQuery: ({ query }: { query: string }) =>
        query === "COMMIT" ? Promise.reject(new Error("theirs")) : Promise.resolve(),
    };
    dataSource.subscribers.push(subscriber);
    await tickets.save({ id, price: 2 }).catch((error: unknown) => expect(String(error)).toContain("theirs"));
    dataSource.subscribers.splice(dataSource.subscribers.indexOf(subscriber), 1);
    expect(await tickets.findOneBy({ id })).toEqual(await dataSource.getRepository(Ticket).findOneBy({ id }));
  });
});
