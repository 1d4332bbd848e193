import {
  Column,
  CreateDateColumn,
  DeleteDateColumn,
  Entity,
  Generated,
  PrimaryColumn,
  PrimaryGeneratedColumn,
  UpdateDateColumn,
  VersionColumn,
  type DataSource,
  type EntityManager,
  type QueryRunner,
  type Repository,
} from "typeorm";
import { CacheKey, Cached, type CachedRepository, type CoherentCache } from "typeorm-coherent";
import { barrierStore, statementBarriers } from "../support/barriers";
import { attachMemory, countStatements } from "../support/cache-harness";
import { describeEachDatabase, type TestDatabase } from "../support/databases";
import { expectSame } from "../support/same-as";

const reversed = (value: unknown): unknown => (typeof value === "string" ? [...value].reverse().join("") : value);
const upside = { to: reversed, from: reversed };

/** Most of what is in a row is the database's doing. */
@Entity()
@Cached({ strategy: "write-through" })
class Article {
  @PrimaryGeneratedColumn() id!: number;
  @CacheKey() @Column({ length: 40, unique: true }) code!: string;
  @CacheKey() @Column({ default: 1 }) shelf!: number;
  @Column({ default: 7 }) price!: number;
  @Column({ type: "varchar", length: 80, nullable: true }) note!: string | null;
  @Column({ length: 40, transformer: upside, default: "terces" }) secret!: string;
  @Column({ length: 40, select: false, default: "hidden" }) hidden!: string;
  @Column() @Generated("uuid") token!: string;
  @VersionColumn() version!: number;
  @CreateDateColumn() createdAt!: Date;
  @UpdateDateColumn() updatedAt!: Date;
  @DeleteDateColumn() deletedAt!: Date | null;
}

/** Nothing but its primary key finds it. */
@Entity()
@Cached({ strategy: "write-through" })
class Setting {
  @PrimaryColumn({ length: 40 }) name!: string;
  @Column({ length: 80 }) value!: string;
}

/** A column that only a trigger fills, in the statement itself or, on PostgreSQL, at COMMIT. */
@Entity()
@Cached({ strategy: "write-through" })
class Watched {
  @PrimaryColumn() id!: number;
  @Column() n!: number;
  @Column({ default: 0 }) doubled!: number;
}

const TRIGGER: Record<TestDatabase["name"], (time: "at once" | "at COMMIT") => readonly string[]> = {
  sqlite: () => [
    "CREATE TRIGGER doubling AFTER UPDATE OF n ON watched BEGIN UPDATE watched SET doubled = 2 * new.n WHERE id = new.id; END",
  ],
  mariadb: () => ["CREATE TRIGGER doubling BEFORE UPDATE ON watched FOR EACH ROW SET new.doubled = 2 * new.n"],
  postgres: (time) => [
    `CREATE OR REPLACE FUNCTION doubling() RETURNS trigger LANGUAGE plpgsql AS $$
     BEGIN UPDATE watched SET doubled = 2 * new.n WHERE id = new.id; RETURN NULL; END $$`,
    `CREATE CONSTRAINT TRIGGER doubling AFTER UPDATE OF n ON watched
     ${time === "at COMMIT" ? "DEFERRABLE INITIALLY DEFERRED" : ""} FOR EACH ROW EXECUTE FUNCTION doubling()`,
  ],
};

describeEachDatabase("write-through", (database) => {
  const store = barrierStore();
  let dataSource: DataSource;
  let cache: CoherentCache;
  let articles: CachedRepository<Article>;
  let plain: Repository<Article>;
  let statements: ReturnType<typeof countStatements>;
  let hold: ReturnType<typeof statementBarriers>;

  beforeAll(async () => {
    dataSource = await database.open([Article, Setting, Watched]);
    cache = await attachMemory(dataSource, { store, lockTtl: 60_000 });
    articles = cache.repository(Article);
    plain = dataSource.getRepository(Article);
    statements = countStatements(dataSource);
    hold = statementBarriers(dataSource);
  });
  beforeEach(async () => {
    // Which leaves the epochs without a token, until a read or a write gives them one.
    for (const entity of [Article, Setting, Watched]) {
      await dataSource.createQueryBuilder().delete().from(entity).execute();
    }
  });

  /** The row is served without a statement, and just as the database has it. */
  async function expectServed<Row extends object>(
    repository: CachedRepository<Row>,
    ...wheres: Parameters<Repository<Row>["findOneBy"]>[0][]
  ): Promise<void> {
    for (const where of wheres) {
      statements.reset();
      const found = await repository.findOneBy(where);
      expect(statements.selects).toEqual([]);
      expectSame(found, await dataSource.getRepository<Row>(repository.target).findOneBy(where));
      expect(found).not.toBeNull();
    }
  }
  const saved = (more: Partial<Article> = {}) => articles.save(articles.create({ code: "A", ...more }));

  describe("the row is as the database has it, under its primary key and under its unique key", () => {
    it("a new row, with what the database makes of it", async () => {
      const { id } = await saved({ secret: "swordfish" });
      await expectServed(articles, { id }, { code: "A" });
      expect(await articles.findOneBy({ id })).toMatchObject({ price: 7, version: 1, secret: "swordfish" });
    });

    it("several new rows, saved together", async () => {
      const rows = await articles.save(articles.create([{ code: "A" }, { code: "B" }, { code: "C", note: "x" }]));
      // SQLite inserts them one by one; where one statement inserts all, it must give back their ids.
      for (const { id, code } of rows) await expectServed(articles, { id }, { code });
    });

    it("a part of a row: what was not given is not null", async () => {
      const { id } = await saved({ note: "keep" });
      await articles.save({ id, price: 9 });
      await expectServed(articles, { id }, { code: "A" });
      expect(await articles.findOneBy({ id })).toMatchObject({ note: "keep", price: 9, version: 2, shelf: 1 });
    });

    it("a loaded row, saved as a whole", async () => {
      const { id } = await saved();
      const loaded = await articles.findOneByOrFail({ id });
      await articles.save(Object.assign(loaded, { price: 9, secret: "other" }));
      await expectServed(articles, { id }, { code: "A" });
    });

    it("a new unique key: under the new one, and no longer under the old one", async () => {
      const { id } = await saved();
      expect(await articles.findOneBy({ code: "B" })).toBeNull();
      await articles.save({ id, code: "B" });
      await expectServed(articles, { id }, { code: "B" });
      expect(await articles.findOneBy({ code: "A" })).toBeNull();
    });

    it("a unique key that another transaction has changed since it was read is not guessed", async () => {
      const { id } = await saved();
      await articles.findOneBy({ code: "A" });
      // TypeORM reads the row before it begins its transaction, and without a lock.
      const barrier = hold(/^(BEGIN|START)/, "before");
      const saving = articles.save({ id, price: 9 });
      await barrier.reached;
      await dataSource.query(`UPDATE article SET code = 'B' WHERE id = ${id}`);
      barrier.open();
      await saving;
      for (const code of ["A", "B"]) expectSame(await articles.findOneBy({ code }), await plain.findOneBy({ code }));
    });

    it("what several statements of a transaction have made of it", async () => {
      const { id } = await saved();
      await dataSource.transaction(async (manager) => {
        await manager.save(Article, { id, price: 2 });
        await manager.query(`UPDATE article SET price = price + 40 WHERE id = ${id}`);
        await manager.increment(Article, { id }, "price", 1);
      });
      await expectServed(articles, { id });
      expect(await articles.findOneBy({ id })).toMatchObject({ price: 43 });
    });

    it("what a trigger has made of it", async () => {
      for (const sql of TRIGGER[database.name]("at once")) await dataSource.query(sql);
      try {
        const watched = cache.repository(Watched);
        await watched.save({ id: 1, n: 1 });
        await watched.findOneBy({ id: 1 }); // DDL has taken the epoch's token.
        await watched.save({ id: 1, n: 21 });
        await expectServed(watched, { id: 1 });
        expect(await watched.findOneBy({ id: 1 })).toMatchObject({ doubled: 42 });
      } finally {
        await dataSource.query(`DROP TRIGGER doubling${database.name === "postgres" ? " ON watched" : ""}`);
      }
    });

    it("what a trigger makes of it at COMMIT", async () => {
      if (database.name !== "postgres") return;
      for (const sql of TRIGGER.postgres("at COMMIT")) await dataSource.query(sql);
      const watched = cache.repository(Watched);
      await watched.save({ id: 1, n: 1 });
      await watched.findOneBy({ id: 1 });
      await dataSource.transaction(async (manager) => {
        await manager.save(Watched, { id: 1, n: 21 });
        expect(await manager.findOneBy(Watched, { id: 1 })).toMatchObject({ doubled: 0 });
      });
      await expectServed(watched, { id: 1 });
      expect(await watched.findOneBy({ id: 1 })).toMatchObject({ doubled: 42 });
      await dataSource.query("DROP TRIGGER doubling ON watched");
    });

    it("a soft deleted row is not found, a restored one is", async () => {
      const article = await saved();
      const { id } = article;
      await articles.softRemove(article);
      expect(await articles.findOneBy({ id })).toBeNull();
      expect(await articles.findOneBy({ code: "A" })).toBeNull();
      await articles.recover(article);
      await expectServed(articles, { id }, { code: "A" });
    });

    it("a removed row is gone", async () => {
      const article = await saved();
      const { id } = article;
      await articles.remove(article);
      expect([await articles.findOneBy({ id }), await articles.findOneBy({ code: "A" })]).toEqual([null, null]);
    });
  });

  describe("by statements outside of a transaction", () => {
    it("update by id", async () => {
      const { id } = await saved();
      await articles.update(id, { price: 11 });
      await expectServed(articles, { id });
      await articles.increment({ id }, "price", 1);
      await expectServed(articles, { id });
      expect(await articles.findOneBy({ id })).toMatchObject({ price: 12 });
    });

    it("an update that hit nothing", async () => {
      expect(await articles.findOneBy({ id: 77 })).toBeNull();
      await articles.update(77, { price: 11 });
      expect(await articles.findOneBy({ id: 77 })).toBeNull();
    });

    it("an insert whose primary key is known", async () => {
      const settings = cache.repository(Setting);
      expect(await settings.findOneBy({ name: "colour" })).toBeNull();
      await settings.insert({ name: "colour", value: "red" });
      await expectServed(settings, { name: "colour" });
      await settings.update("colour", { value: "blue" });
      await expectServed(settings, { name: "colour" });
      await dataSource.query("UPDATE setting SET value = 'green' WHERE name = 'colour'");
      await expectServed(settings, { name: "colour" });
      expect(await settings.findOneBy({ name: "colour" })).toMatchObject({ value: "green" });
    });
  });

  it("carries no more rows than UNLOCK should hold", async () => {
    const settings = cache.repository(Setting);
    const rows = Array.from({ length: 201 }, (_, index) => ({ name: `n${index}`, value: "x" }));
    const before = cache.stats().writeThroughs;
    await settings.save(rows);
    expect(cache.stats().writeThroughs).toBe(before);
    await settings.save(rows.slice(0, 200).map(({ name }) => ({ name, value: "y" })));
    expect(cache.stats().writeThroughs).toBe(before + 200);
    await expectServed(settings, { name: "n0" }, { name: "n199" });
  });

  it("never happens after a rollback", async () => {
    const { id } = await saved();
    await articles.findOneBy({ id });
    const before = cache.stats().writeThroughs;
    const rolledBack = dataSource.transaction(async (manager) => {
      await manager.save(Article, { id, price: 99 });
      await manager.save(Article, manager.create(Article, { code: "never" }));
      await manager.transaction((inner) => inner.update(Article, id, { price: 98 }));
      throw new Error("no");
    });
    await expect(rolledBack).rejects.toThrow("no");
    expect(cache.stats().writeThroughs).toBe(before);
    await expectServed(articles, { id });
    expect(await articles.findOneBy({ code: "never" })).toBeNull();
  });

  it("leaves out the part that a savepoint took back", async () => {
    const { id } = await saved();
    const other = await saved({ code: "B" });
    await dataSource.transaction(async (manager) => {
      await manager.save(Article, { id, price: 2 });
      const inner = manager.transaction(async (nested) => {
        await nested.save(Article, { id, price: 99 });
        await nested.save(Article, { id: other.id, price: 99 });
        throw new Error("no");
      });
      await expect(inner).rejects.toThrow("no");
    });
    await expectServed(articles, { id }, { id: other.id });
    expect(await articles.findOneBy({ id })).toMatchObject({ price: 2 });
  });

  describe("two writers of one row", () => {
    type Writer = (manager: EntityManager, id: number, price: number) => Promise<unknown>;
    const writers: [string, Writer][] = [
      ["a transaction", (manager, id, price) => manager.save(Article, { id, price })],
      ["a statement", (manager, id, price) => manager.update(Article, id, { price })],
      ["a statement on unknown rows", (manager, _, price) => manager.update(Article, { code: "A" }, { price })],
    ];
    const pairs = writers.flatMap(([first, one]) => writers.map(([second, other]) => ({ first, second, one, other })));

    // The one is held up at each of its steps, while the other does its work, or does it up to its own unlock.
    describe.each(["lock", "unlock"] as const)("the first held up at its %s", (step) => {
      it.each(pairs)("$first, then $second", async ({ one, other }) => {
        const { id } = await saved();
        await articles.findOneBy({ id });
        const barrier = store.at(step, step === "lock" ? "after" : "before");
        const early = one(dataSource.manager, id, 100);
        await barrier.reached;
        // With its row or its only connection taken, the second one must wait for the first.
        const waits = step === "lock" && one === writers[0]![1];
        const late = other(dataSource.manager, id, 200);
        if (!waits) await late;
        barrier.open();
        await Promise.all([early, late]);
        for (let reads = 0; reads < 2; reads += 1) {
          expectSame(await articles.findOneBy({ id }), await plain.findOneBy({ id }));
        }
      });

      it.each(pairs)("$first, while $second is on its way too", async ({ one, other }) => {
        // With the row or the only connection taken, the second one cannot be on its way.
        if (step === "lock" && (database.name === "sqlite" || one === writers[0]![1])) return;
        const { id } = await saved();
        await articles.findOneBy({ id });
        const barrier = store.at(step, step === "lock" ? "after" : "before");
        const early = one(dataSource.manager, id, 100);
        await barrier.reached;
        const second = store.at("unlock");
        const late = other(dataSource.manager, id, 200);
        await second.reached;
        barrier.open();
        await early;
        second.open();
        await late;
        for (let reads = 0; reads < 2; reads += 1) {
          expectSame(await articles.findOneBy({ id }), await plain.findOneBy({ id }));
        }
      });
    });
  });

  it("an UPDATE that matched nothing does not bring back the row of its old snapshot", async () => {
    if (database.name === "sqlite") return; // No second connection.
    const { id } = await saved();
    await articles.findOneBy({ id });
    const runner: QueryRunner = dataSource.createQueryRunner();
    try {
      await runner.startTransaction("REPEATABLE READ");
      const old = await runner.manager.findOneByOrFail(Article, { id }); // The snapshot is taken.
      await articles.save({ id, price: 50 });
      await runner.manager.query(`UPDATE article SET price = 60 WHERE id = ${id} AND shelf = 99`);
      expect((await runner.manager.findOneByOrFail(Article, { id })).price).toBe(old.price);
      await runner.commitTransaction();
    } finally {
      await runner.release();
    }
    expect((await articles.findOneByOrFail({ id })).price).toBe(50);
    expectSame(await articles.findOneBy({ code: "A" }), await plain.findOneBy({ code: "A" }));
  });
});
