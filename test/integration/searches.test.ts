import {
  Column,
  DeleteDateColumn,
  Entity,
  In,
  ManyToOne,
  PrimaryColumn,
  type DataSource,
  type Repository,
} from "typeorm";
import { CacheKey, Cached, type CoherentCache, type Strategy } from "typeorm-coherent";
import { oneByOne, statementBarriers } from "../support/barriers";
import { attachMemory } from "../support/cache-harness";
import { describeEachDatabase, typeormLine } from "../support/databases";

@Entity()
@Cached()
class Crate {
  @PrimaryColumn() id!: number;
  @CacheKey() @Column({ length: 10, unique: true }) code!: string;
  @CacheKey() @Column() shelf!: number;
  @Column({ default: 0 }) weight!: number;
  @DeleteDateColumn() deletedAt!: Date | null;
}

/** Goes with its crate. */
@Entity()
@Cached()
class Parcel {
  @PrimaryColumn() id!: number;
  @ManyToOne(() => Crate, { onDelete: "CASCADE" }) crate!: Crate;
  @CacheKey() @Column() crateId!: number;
}

/** Stays when its crate goes. */
@Entity()
@Cached()
class Label {
  @PrimaryColumn() id!: number;
  @ManyToOne(() => Crate, { onDelete: "SET NULL", nullable: true }) crate!: Crate | null;
  @CacheKey() @Column({ type: "int", nullable: true }) crateId!: number | null;
}

/** Writes of whichever crates lie on shelf 1. */
const BY_KEY: Record<string, (crates: Repository<Crate>) => Promise<unknown>> = {
  update: (crates) => crates.update({ shelf: 1 }, { weight: 9 }),
  "update with values of a list": (crates) => crates.update({ shelf: In([1, 7]) }, { weight: 9 }),
  increment: (crates) => crates.increment({ shelf: 1 }, "weight", 9),
  delete: (crates) => crates.delete({ shelf: 1 }),
  softDelete: (crates) => crates.softDelete({ shelf: 1 }),
  restore: (crates) => crates.restore({ shelf: 1 }),
};

/** What another one does between the search and the statement. */
const MEANWHILE: Record<string, (crates: Repository<Crate>) => Promise<unknown>> = {
  "a row enters": (crates) => crates.update(2, { shelf: 1 }),
  "a row enters by save": (crates) => crates.save({ id: 2, shelf: 1 }),
  "rows enter by a declared key": (crates) => crates.update({ code: "B" }, { shelf: 1 }),
  "a new row enters": (crates) => crates.insert({ id: 5, code: "E", shelf: 1 }),
  "a deleted row enters": (crates) => crates.update(4, { shelf: 1 }),
  "a row leaves": (crates) => crates.update(1, { shelf: 2 }),
  "rows leave and others enter": async (crates) => {
    await crates.update(1, { shelf: 2 });
    await crates.update(2, { shelf: 1, code: "X" });
  },
};

function everything(
  crates: Pick<Repository<Crate>, "findOneBy" | "findOne" | "findBy" | "countBy">,
): Promise<unknown[]> {
  return Promise.all([
    ...[1, 2, 3, 4, 5].flatMap((id) => [
      crates.findOneBy({ id }),
      crates.findOne({ where: { id }, withDeleted: true }),
    ]),
    ...["A", "B", "C", "D", "E", "X"].map((code) => crates.findOneBy({ code })),
    ...[1, 2, 7].flatMap((shelf) => [crates.findBy({ shelf }), crates.countBy({ shelf })]),
  ]);
}

describeEachDatabase("a statement that searches for its rows", (database) => {
  let dataSource: DataSource;
  let crates: Repository<Crate>;
  let cache: CoherentCache;
  let hold: ReturnType<typeof statementBarriers>;

  async function start(options: Parameters<typeof attachMemory>[1]): Promise<void> {
    dataSource = await database.open([Crate, Parcel, Label]);
    oneByOne(dataSource);
    // Behind the cache, so that a statement that is held up has been searched for.
    hold = statementBarriers(dataSource);
    cache = await attachMemory(dataSource, options);
    crates = dataSource.getRepository(Crate);
  }

  async function fillTable(): Promise<void> {
    for (const entity of [Parcel, Label, Crate]) await dataSource.createQueryBuilder().delete().from(entity).execute();
    await crates.insert([
      { id: 1, code: "A", shelf: 1 },
      { id: 2, code: "B", shelf: 2 },
      { id: 3, code: "C", shelf: 1 },
      { id: 4, code: "D", shelf: 2 },
    ]);
    await crates.softDelete([3, 4]);
    await everything(cache.repository(Crate));
  }

  async function expectNothingStale(): Promise<void> {
    const now = await everything(crates);
    const { hits } = cache.stats();
    for (let round = 0; round < 2; round += 1) expect(await everything(cache.repository(Crate))).toEqual(now);
    expect(cache.stats().hits - hits).toBeGreaterThan(10);
  }

  describe.each(["invalidate", "write-through"] satisfies Strategy[])("%s", (strategy) => {
    beforeAll(() => start({ lockTtl: 60_000, entities: { Crate: { strategy } } }));
    beforeEach(fillTable);

    describe.each(Object.entries(MEANWHILE))("while %s", (_, meanwhile) => {
      it.each(Object.entries(BY_KEY))("%s by itself", async (_, write) => {
        const barrier = hold(/^(UPDATE|DELETE)/, "before");
        const writing = write(crates);
        await barrier.reached;
        await meanwhile(crates);
        await everything(cache.repository(Crate)); // Would fill what the statement is about to change.
        barrier.open();
        await writing;
        await expectNothingStale();
      });

      // SQLite has one connection, on which everything would be part of the transaction.
      if (database.name === "sqlite") return;
      it.each(Object.entries(BY_KEY))("%s in a transaction", async (_, write) => {
        const barrier = hold(/^(UPDATE|DELETE)/, "before");
        const writing = dataSource.transaction(async (manager) => {
          await write(manager.getRepository(Crate));
          await everything(cache.repository(Crate));
        });
        await barrier.reached;
        // On MariaDB the rows that were found are locked already, and so are the gaps between them.
        const others = meanwhile(crates).catch((error: unknown) => {
          if (database.name !== "mariadb") throw error;
        });
        if (database.name === "postgres") await others;
        await everything(cache.repository(Crate));
        barrier.open();
        await Promise.all([writing, others]);
        await expectNothingStale();
      });
    });

    if (database.name === "sqlite") return;
    it.each(Object.entries(BY_KEY))("a row that is written through beside it: %s", async (_, write) => {
      const commit = hold(/^COMMIT/, "before");
      const saving = crates.save({ id: 2, shelf: 1, weight: 5 });
      await commit.reached;
      const barrier = hold(/^(UPDATE|DELETE)/, "before");
      const writing = write(crates);
      await barrier.reached;
      commit.open();
      await saving; // With what it writes through the row is as it was before the statement.
      barrier.open();
      await writing;
      await expectNothingStale();
    });

    it.each(Object.entries(BY_KEY))("a row that its transaction does not see but hits: %s", async (_, write) => {
      await dataSource.transaction("REPEATABLE READ", async (manager) => {
        await manager.find(Crate);
        await crates.update(2, { shelf: 1 });
        await everything(cache.repository(Crate));
        await write(manager.getRepository(Crate));
      });
      await expectNothingStale();
    });
  });

  describe("for the children of a row that is deleted", () => {
    const ways: Record<string, (children: Repository<Parcel | Label>) => Promise<unknown>> = {
      "one enters": (children) => children.update(2, { crateId: 1 }),
      "one leaves": (children) => children.update(1, { crateId: 2 }),
      "a new one enters": (children) => children.insert({ id: 3, crateId: 1 }),
    };
    const children = (
      of: (entity: typeof Parcel | typeof Label) => Pick<Repository<Parcel | Label>, "findOneBy" | "findBy">,
    ) =>
      Promise.all(
        [Parcel, Label].flatMap((entity) => [
          ...[1, 2, 3].map((id) => of(entity).findOneBy({ id })),
          ...[1, 2].map((crateId) => of(entity).findBy({ crateId })),
        ]),
      );
    const cached = () => children((entity) => cache.repository(entity));

    beforeAll(() => start({ lockTtl: 60_000 }));
    beforeEach(async () => {
      await fillTable();
      for (const entity of [Parcel, Label]) {
        await dataSource.getRepository(entity).insert([
          { id: 1, crateId: 1 },
          { id: 2, crateId: 2 },
        ]);
      }
      await cached();
    });

    it.each(Object.entries(ways))("while %s", async (_, way) => {
      const barrier = hold(/^DELETE/, "before");
      const deleting = crates.delete(1);
      await barrier.reached;
      for (const entity of [Parcel, Label]) await way(dataSource.getRepository<Parcel | Label>(entity));
      await cached();
      barrier.open();
      await deleting;
      for (let round = 0; round < 2; round += 1) {
        expect(await cached()).toEqual(await children((entity) => dataSource.getRepository<Parcel | Label>(entity)));
      }
    });
  });

  describe("in a transaction", () => {
    beforeAll(() => start({ lockTtl: 60_000 }));
    beforeEach(fillTable);

    it("leaves everything as it was after a rollback, and lets others fill again", async () => {
      const failed = dataSource.transaction(async (manager) => {
        await manager.delete(Crate, { shelf: 1 });
        throw new Error("no");
      });
      await expect(failed).rejects.toThrow("no");
      const { hits } = cache.stats();
      await everything(cache.repository(Crate));
      expect(cache.stats().hits - hits).toBe(22);
      const { fills } = cache.stats();
      await cache.repository(Crate).findOneBy({ code: "nobody" });
      expect(cache.stats().fills - fills).toBe(1);
    });

    it("counts what was rolled back to a savepoint as not written", async () => {
      await dataSource.transaction(async (manager) => {
        await manager.update(Crate, { code: "B" }, { weight: 1 });
        await manager
          .transaction((inner) => inner.delete(Crate, { shelf: 1 }).then(() => Promise.reject(new Error())))
          .catch(() => undefined);
      });
      const { hits } = cache.stats();
      await cache.repository(Crate).findOneBy({ id: 1 });
      expect(cache.stats().hits - hits).toBe(1);
      await expectNothingStale();
    });

    it("keeps the order of statements that are sent without waiting", async () => {
      // That driver hands them to several threads, which keep none, with a cache or without.
      if (database.name === "sqlite" && typeormLine === "0.3") return;
      const seen = await dataSource.transaction(async (manager) => {
        const sent = [
          "UPDATE crate SET weight = 1 WHERE code = 'A'",
          "UPDATE crate SET weight = weight + 10 WHERE id = 1",
          "UPDATE crate SET weight = weight * 2 WHERE shelf = 1",
          "SELECT weight FROM crate WHERE id = 1",
          "UPDATE crate SET weight = 0 WHERE id = 1",
        ].map((sql) => manager.query<unknown>(sql));
        return (await Promise.all(sent))[3] as { weight: number }[];
      });
      expect(Number(seen[0]!.weight)).toBe(22);
      await expectNothingStale();
    });

    it("hears what the database says of a search that it refuses", async () => {
      if (database.name !== "postgres") return void expect(database.name).not.toBe("postgres");
      const wrong = dataSource.transaction((manager) => manager.delete(Crate, { shelf: "x" as unknown as number }));
      await expect(wrong).rejects.toMatchObject({ code: "22P02" });
      await expectNothingStale();
    });
  });

  it("takes the epoch if the lock has run out before COMMIT", async () => {
    await start({ lockTtl: 40, storeTimeout: 10 });
    await fillTable();
    await dataSource.transaction(async (manager) => {
      await manager.update(Crate, { code: "A" }, { weight: 5 });
      await new Promise((resolve) => setTimeout(resolve, 60));
    });
    const { hits } = cache.stats();
    await cache.repository(Crate).findOneBy({ id: 2 });
    expect(cache.stats().hits - hits).toBe(0);
    await expectNothingStale();
  });

  it("takes the epoch in relaxed mode, which locks nothing", async () => {
    await start({ consistency: "relaxed" });
    await fillTable();
    await crates.update({ code: "A" }, { weight: 5 });
    const { hits } = cache.stats();
    await cache.repository(Crate).findOneBy({ id: 2 });
    expect(cache.stats().hits - hits).toBe(0);
    await expectNothingStale();
  });
});
