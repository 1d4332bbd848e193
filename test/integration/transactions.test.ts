import { Column, Entity, PrimaryGeneratedColumn, type DataSource, type EntityManager } from "typeorm";
import { CacheKey, Cached, type CacheEvents, type CoherentCache } from "typeorm-coherent";
import { attachMemory } from "../support/cache-harness";
import { describeEachDatabase } from "../support/databases";
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
        await manager.update(Ticket, { place: "hall" }, { price: 98 });
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
