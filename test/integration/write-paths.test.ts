import {
  ChildEntity,
  Column,
  DeleteDateColumn,
  Entity,
  JoinTable,
  ManyToMany,
  PrimaryGeneratedColumn,
  TableInheritance,
  Tree,
  TreeChildren,
  TreeParent,
  VersionColumn,
  type DataSource,
  type EntityManager,
  type QueryRunner,
  type Repository,
} from "typeorm";
import { CacheKey, Cached, type CoherentCache, type Strategy } from "typeorm-coherent";
import { attachMemory } from "../support/cache-harness";
import { describeEachDatabase, type TestDatabase } from "../support/databases";

@Entity()
@Cached()
class Label {
  @PrimaryGeneratedColumn() id!: number;
  @CacheKey() @Column({ length: 40 }) text!: string;
}

@Entity()
@Cached()
@CacheKey(["shop", "code"])
class Product {
  @PrimaryGeneratedColumn() id!: number;
  @CacheKey() @Column({ length: 40, unique: true }) code!: string;
  @CacheKey() @Column() shop!: number;
  @Column({ default: 1 }) price!: number;
  @Column({ type: "varchar", length: 40, nullable: true }) note!: string | null;
  @VersionColumn() version!: number;
  @DeleteDateColumn() deletedAt!: Date | null;
  @ManyToMany(() => Label) @JoinTable() labels!: Label[];
}

/** Ids of four rows that are there: the last one soft deleted. */
const [A, B, C, GONE] = [1, 2, 3, 4] as const;

type Write = (manager: EntityManager) => Promise<unknown>;

/** Every way to write that TypeORM has, by what it is called; see also cascades.test.ts and transactions.test.ts. */
function writes(database: TestDatabase): Record<string, Write> {
  const products = (manager: EntityManager) => manager.getRepository(Product);
  const builder = (manager: EntityManager) => manager.createQueryBuilder();
  const mysql = database.name === "mariadb";
  return {
    "save, new": (m) => products(m).save({ code: "N", shop: 1 }),
    "save, several new": (m) =>
      products(m).save([
        { code: "N", shop: 1 },
        { code: "O", shop: 2 },
      ]),
    "save, new, without reload": (m) => products(m).save({ code: "N", shop: 1 }, { reload: false }),
    "save, partial": (m) => products(m).save({ id: A, price: 9 }),
    "save, another key": (m) => products(m).save({ id: A, shop: 2, code: "Z" }),
    "save, loaded": async (m) =>
      products(m).save({ ...(await products(m).findOneByOrFail({ id: B })), price: 8, shop: 7 }),
    "save, without listeners": (m) => products(m).save({ id: A, shop: 3 }, { listeners: false }),
    "save, without transaction": (m) =>
      products(m).save(
        [
          { id: A, shop: 3 },
          { code: "N", shop: 1 },
        ],
        { transaction: false },
      ),
    "save, in chunks": (m) =>
      products(m).save(
        [
          { id: A, price: 2 },
          { id: B, shop: 5 },
          { id: C, price: 4 },
        ],
        { chunk: 1 },
      ),
    insert: (m) => products(m).insert({ code: "N", shop: 1 }),
    "insert, several": (m) =>
      products(m).insert([
        { code: "N", shop: 1 },
        { code: "O", shop: 1 },
      ]),
    "insert, without listeners": (m) =>
      builder(m).insert().into(Product).values({ code: "N", shop: 1 }).callListeners(false).execute(),
    "upsert of a row that is there": (m) => products(m).upsert({ code: "A", shop: 6 }, ["code"]),
    "upsert of a new row": (m) => products(m).upsert([{ code: "N", shop: 1 }], ["code"]),
    "insert or ignore": (m) =>
      builder(m)
        .insert()
        .into(Product)
        .values([
          { code: "A", shop: 9 },
          { code: "N", shop: 1 },
        ])
        .orIgnore()
        .execute(),
    "update by id": (m) => products(m).update(A, { price: 5 }),
    "update by id, a key": (m) => products(m).update(A, { shop: 4 }),
    "update by ids": (m) => products(m).update([A, B], { price: 5 }),
    "update by a declared key": (m) => products(m).update({ shop: 1 }, { price: 5, shop: 8 }),
    "update by something else": (m) => products(m).update({ price: 1 }, { note: "x" }),
    "update of nothing": (m) => products(m).update(77, { price: 5 }),
    increment: (m) => products(m).increment({ id: A }, "price", 3),
    decrement: (m) => products(m).decrement({ shop: 1 }, "price", 3),
    "QueryBuilder update": (m) =>
      builder(m)
        .update(Product)
        .set({ price: () => "price + 1" })
        .where("price > :least", { least: 0 })
        .execute(),
    "QueryBuilder update, without listeners": (m) =>
      builder(m).update(Product).set({ shop: 5 }).whereInIds([A]).callListeners(false).execute(),
    "QueryBuilder update by code": (m) => builder(m).update(Product).set({ code: "Q" }).where({ code: "A" }).execute(),
    "delete by id": (m) => products(m).delete(A),
    "delete by a key": (m) => products(m).delete({ shop: 1 }),
    "QueryBuilder delete": (m) => builder(m).delete().from(Product).where("id <> :id", { id: A }).execute(),
    remove: async (m) => products(m).remove(await products(m).findOneByOrFail({ id: A })),
    "remove, several": async (m) => products(m).remove(await products(m).findBy({ shop: 1 })),
    softRemove: async (m) => products(m).softRemove(await products(m).findOneByOrFail({ id: A })),
    recover: (m) => products(m).recover({ id: GONE }),
    "softDelete by id": (m) => products(m).softDelete(A),
    "softDelete by a key": (m) => products(m).softDelete({ shop: 1 }),
    "restore by id": (m) => products(m).restore(GONE),
    "restore of all": (m) => builder(m).restore().from(Product).where("id > 0").execute(),
    "many-to-many by save": (m) => products(m).save({ id: A, labels: [{ id: 1 }, { text: "new" }] }),
    "relation add": (m) => builder(m).relation(Product, "labels").of(A).add(1),
    "relation add and remove": async (m) => {
      await builder(m).relation(Product, "labels").of(A).add(1);
      await builder(m).relation(Product, "labels").of(A).remove(1);
    },
    "INSERT … ON CONFLICT by hand": (m) =>
      m.query(
        mysql
          ? "INSERT INTO product (code, shop, version) VALUES ('A', 6, 1) ON DUPLICATE KEY UPDATE shop = 6"
          : "INSERT INTO product (code, shop, version) VALUES ('A', 6, 1) ON CONFLICT (code) DO UPDATE SET shop = 6",
      ),
    "a new primary key": (m) => products(m).update(A, { id: 5 }),
    "a new primary key by SQL": (m) => m.query("UPDATE product SET id = 6, shop = 2 WHERE id = 2"),
    "raw update": (m) => m.query("UPDATE product SET shop = 6 WHERE id = 1"),
    "raw update of all": (m) =>
      m.query("update PRODUCT set price = price + 1".replace("PRODUCT", mysql ? "product" : "PRODUCT")),
    "raw insert": (m) => m.query("INSERT INTO product (code, shop, version) VALUES ('N', 1, 1)"),
    "raw insert from a select": (m) =>
      m.query("INSERT INTO product (code, shop, version) SELECT 'N', shop, 1 FROM product WHERE id = 1"),
    "raw delete, with a comment": (m) => m.query("/* SELECT */ DELETE FROM product -- all\n WHERE id IN (1, 2)"),
    "the sql tag": (m) => m.sql`UPDATE product SET shop = ${6} WHERE code = ${"A"}`,
    "quoted and qualified": (m) => {
      const { driver } = m.connection;
      const path = m
        .getRepository(Product)
        .metadata.tablePath.split(".")
        .map((part) => driver.escape(part));
      return m.query(`UPDATE /* id = 2 */ ${path.join(".")} SET shop = 6 WHERE ${driver.escape("id")} = 1`);
    },
    ...(database.name === "postgres" ? POSTGRES_ONLY : {}),
    ...(mysql
      ? {
          "raw execute immediate": (m: EntityManager) =>
            m.query("EXECUTE IMMEDIATE 'UPDATE product SET shop = 6 WHERE id = 1'"),
          "raw replace": (m: EntityManager) =>
            m.query("REPLACE INTO product (id, code, shop, version) VALUES (1, 'R', 3, 1)"),
        }
      : {
          "raw CTE": (m: EntityManager) =>
            m.query("WITH found AS (SELECT 1 AS id) UPDATE product SET shop = 6 WHERE id IN (SELECT id FROM found)"),
        }),
  };
}

const POSTGRES_ONLY: Record<string, Write> = {
  "several statements in one text": (m) =>
    m.query("UPDATE product SET shop = 6 WHERE id = 1; SELECT 1; DELETE FROM product WHERE id = 2"),
  "a CTE that writes": (m) =>
    m.query("WITH gone AS (DELETE FROM product WHERE id = 1 RETURNING *) SELECT count(*) FROM gone"),
  MERGE: async (m) => {
    const [row] = await m.query<{ server_version_num: string }[]>("SHOW server_version_num");
    if (Number(row?.server_version_num) < 150_000) return; // It is not there yet.
    await m.query(
      `MERGE INTO product USING (VALUES ('A'), ('N')) AS wanted (code) ON product.code = wanted.code
       WHEN MATCHED THEN UPDATE SET shop = 6
       WHEN NOT MATCHED THEN INSERT (code, shop, version) VALUES (wanted.code, 6, 1)`,
    );
  },
  "PREPARE and EXECUTE": (m) =>
    m.query("PREPARE shut AS UPDATE product SET shop = 6 WHERE id = 1; EXECUTE shut; DEALLOCATE shut"),
  DO: (m) => m.query("DO $$ BEGIN UPDATE product SET shop = 6 WHERE id = 1; END $$"),
};

/** How a write is put into a transaction, or into none. */
const FORMS: Record<string, (dataSource: DataSource, write: Write) => Promise<unknown>> = {
  alone: (dataSource, write) => write(dataSource.manager),
  "in a transaction": (dataSource, write) => dataSource.transaction(write),
  "nested, after one that is undone": (dataSource, write) =>
    dataSource.transaction(async (manager) => {
      const undone = manager.transaction(async (inner) => {
        await inner.update(Product, B, { price: 1000, shop: 1000 });
        throw new Error("undone");
      });
      await undone.catch(() => undefined);
      await manager.transaction(write);
    }),
  "rolled back": async (dataSource, write) => {
    const rolledBack = dataSource.transaction(async (manager) => {
      await write(manager);
      throw new Error("undone");
    });
    await rolledBack.catch(() => undefined);
  },
  "on a query runner of one's own": async (dataSource, write) => {
    const runner = dataSource.createQueryRunner();
    try {
      await runner.startTransaction();
      await write(runner.manager);
      await runner.commitTransaction();
    } finally {
      await runner.release();
    }
  },
  "between BEGIN and COMMIT as SQL": async (dataSource, write) => {
    const runner = dataSource.createQueryRunner();
    try {
      await runner.query("BEGIN");
      await runner.query("SAVEPOINT one");
      await runner.manager.update(Product, B, { price: 1000, shop: 1000 });
      await runner.query("ROLLBACK TO SAVEPOINT one");
      // What TypeORM would put into a transaction of its own is part of this one.
      await write(withoutTransactions(runner));
      await runner.query("COMMIT");
    } finally {
      await runner.release();
    }
  },
};

/** TypeORM does not know of the BEGIN: it would begin once more where it begins by itself. */
function withoutTransactions(runner: QueryRunner): EntityManager {
  const { manager } = runner;
  Object.assign(runner, {
    startTransaction: () => Promise.resolve(),
    commitTransaction: () => Promise.resolve(),
    rollbackTransaction: () => Promise.resolve(),
  });
  return manager;
}

describeEachDatabase("every way to write", (database) => {
  const strategies: Strategy[] = ["write-through", "invalidate"];
  describe.each(strategies)("%s", (strategy) => {
    let dataSource: DataSource;
    let cache: CoherentCache;

    beforeAll(async () => {
      dataSource = await database.open([Product, Label]);
      cache = await attachMemory(dataSource, { entities: { Product: { strategy }, Label: { strategy } } });
    });
    beforeEach(async () => {
      const link = dataSource.getMetadata(Product).manyToManyRelations[0]!.junctionEntityMetadata!.tableName;
      for (const table of [link, "product", "label"]) await dataSource.query(`DELETE FROM ${table}`);
      const rows = [
        [A, "A", 1],
        [B, "B", 1],
        [C, "C", 2],
        [GONE, "G", 1],
      ] as const;
      for (const [id, code, shop] of rows) {
        await dataSource.query(`INSERT INTO product (id, code, shop, version) VALUES (${id}, '${code}', ${shop}, 1)`);
      }
      await dataSource.getRepository(Product).softDelete(GONE);
      await dataSource.query("INSERT INTO label (id, text) VALUES (1, 'old')");
      if (database.name === "postgres") {
        await dataSource.query(
          "SELECT setval(pg_get_serial_sequence('product', 'id'), 100), setval(pg_get_serial_sequence('label', 'id'), 100)",
        );
      }
    });

    /** One read of every kind that the cache serves, of what is there, what is not, and what may come. */
    function reads(products: Repository<Product>, labels: Repository<Label>): Record<string, () => Promise<unknown>> {
      const all: Record<string, () => Promise<unknown>> = {};
      for (const id of [A, B, C, GONE, 5, 6, 101, 102]) all[`id ${id}`] = () => products.findOneBy({ id });
      for (const code of ["A", "N", "O", "Z", "Q", "R"]) {
        all[`code ${code}`] = () => products.findOneBy({ code });
        all[`exists ${code}`] = () => products.existsBy({ code });
        all[`shop and code ${code}`] = () => products.findBy({ shop: 1, code });
      }
      for (const shop of [1, 2, 3, 4, 5, 6, 8]) {
        all[`count of shop ${shop}`] = () => products.countBy({ shop });
        all[`shop ${shop}`] = async () => (await products.findBy({ shop })).sort((left, right) => left.id - right.id);
      }
      for (const shop of [1, 2, 6]) {
        all[`window of shop ${shop}`] = () =>
          products.find({ where: { shop }, order: { price: "DESC", id: "ASC" }, take: 1 });
        all[`deleted of shop ${shop}`] = () =>
          products.find({ where: { shop }, order: { id: "ASC" }, withDeleted: true });
      }
      for (const id of [1, 2]) all[`label ${id}`] = () => labels.findOneBy({ id });
      all["label new"] = () => labels.countBy({ text: "new" });
      return all;
    }
    async function run(all: Record<string, () => Promise<unknown>>): Promise<Record<string, unknown>> {
      const found: Record<string, unknown> = {};
      for (const [title, read] of Object.entries(all)) found[title] = await read();
      return found;
    }
    const cached = () => run(reads(cache.repository(Product), cache.repository(Label)));
    const plain = () => run(reads(dataSource.getRepository(Product), dataSource.getRepository(Label)));

    /** What was read before and is read now, and how many of the results that did not change were not served. */
    async function needless(
      before: Record<string, unknown>,
    ): Promise<{ found: Record<string, unknown>; dropped: number }> {
      const found: Record<string, unknown> = {};
      let dropped = 0;
      for (const [title, read] of Object.entries(reads(cache.repository(Product), cache.repository(Label)))) {
        const { hits } = cache.stats();
        found[title] = await read();
        if (cache.stats().hits === hits && JSON.stringify(found[title]) === JSON.stringify(before[title])) dropped += 1;
      }
      return { found, dropped };
    }
    const counts = new Map<string, number[]>();
    afterAll(() => {
      // For information: how precise each way to write is. 0 means that only what changed was dropped.
      const lines = [...counts].map(([path, dropped]) => `${path}: ${dropped.join("/")}`);
      process.stdout.write(
        `Needlessly dropped of ${Object.keys(reads(cache.repository(Product), cache.repository(Label))).length} results ` +
          `[${database.name}, ${strategy}; ${Object.keys(FORMS).join("/")}]\n  ${lines.join("\n  ")}\n`,
      );
    });

    // What differs between the strategies comes after COMMIT.
    const forms = Object.keys(FORMS).slice(0, strategy === "invalidate" ? 2 : undefined);
    describe.each(forms)("%s", (form) => {
      it.each(Object.entries(writes(database)))("%s", async (path, write) => {
        const before = await cached();
        await FORMS[form]!(dataSource, write);
        const now = await plain();
        const { found, dropped } = await needless(before);
        expect(found).toEqual(now);
        expect(await cached()).toEqual(now);
        counts.set(path, [...(counts.get(path) ?? []), dropped]);
      });
    });
  });
});

@Entity()
@TableInheritance({ column: { type: "varchar", length: 20, name: "kind" } })
@Cached({ strategy: "write-through" })
class Animal {
  @PrimaryGeneratedColumn() id!: number;
  @CacheKey() @Column({ length: 40 }) name!: string;
}

@ChildEntity()
class Cat extends Animal {
  @Column({ default: 9 }) lives!: number;
}

@ChildEntity()
class Dog extends Animal {
  @CacheKey() @Column({ type: "varchar", length: 40, nullable: true }) trick!: string | null;
}

/** Nothing refers to it, so that it can be truncated. */
@Entity()
@Cached()
class LogLine {
  @PrimaryGeneratedColumn() id!: number;
  @CacheKey() @Column({ length: 40 }) text!: string;
}

@Entity()
@Tree("closure-table")
@Cached()
class Branch {
  @PrimaryGeneratedColumn() id!: number;
  @CacheKey() @Column({ length: 40 }) name!: string;
  @TreeChildren({ cascade: true }) children!: Branch[];
  @TreeParent({ onDelete: "CASCADE" }) parent!: Branch | null;
}

@Entity()
@Tree("nested-set")
@Cached()
class Chapter {
  @PrimaryGeneratedColumn() id!: number;
  @CacheKey() @Column({ length: 40 }) name!: string;
  @TreeChildren() children!: Chapter[];
  @TreeParent({ onDelete: "CASCADE" }) parent!: Chapter | null;
}

@Entity()
@Tree("materialized-path")
@Cached()
class Folder {
  @PrimaryGeneratedColumn() id!: number;
  @CacheKey() @Column({ length: 40 }) name!: string;
  @TreeChildren() children!: Folder[];
  @TreeParent() parent!: Folder | null;
}

const SHAPES = [Animal, Cat, Dog, LogLine, Branch, Chapter, Folder] as const;

describeEachDatabase("tables of other shapes", (database) => {
  let dataSource: DataSource;
  let cache: CoherentCache;

  beforeEach(async () => {
    dataSource = await database.open([...SHAPES]);
    cache = await attachMemory(dataSource);
    await dataSource.getRepository(Cat).save([{ name: "Tom" }, { name: "Kit" }]);
    await dataSource.getRepository(Dog).save([{ name: "Rex", trick: "sit" }, { name: "Kit" }]);
    await dataSource.getRepository(LogLine).save([{ text: "a" }, { text: "b" }]);
    for (const entity of [Branch, Chapter, Folder]) {
      const trees = dataSource.getTreeRepository<Branch>(entity);
      const root = await trees.save(trees.create({ name: "root" }));
      const child = await trees.save(trees.create({ name: "child", parent: root }));
      await trees.save(trees.create({ name: "grandchild", parent: child }));
    }
    await compare();
  });
  afterEach(() => database.cleanup());

  type Reading = Pick<Repository<Animal>, "findOneBy" | "findBy" | "countBy">;
  async function everything(of: (entity: (typeof SHAPES)[number]) => Reading): Promise<unknown[]> {
    const found: unknown[] = [];
    for (const entity of SHAPES) {
      const repository = of(entity);
      const key = entity === LogLine ? "text" : "name";
      for (const id of [1, 2, 3, 4, 5]) found.push(await repository.findOneBy({ id }));
      for (const value of ["Tom", "Kit", "Rex", "New", "a", "b", "root", "child", "grandchild", "leaf"]) {
        const rows = await repository.findBy({ [key]: value });
        found.push(
          rows.sort((left, right) => left.id - right.id),
          await repository.countBy({ [key]: value }),
        );
      }
    }
    found.push(await (of(Dog) as Repository<Dog>).findBy({ trick: "sit" }));
    return found;
  }
  async function compare(): Promise<void> {
    const expected = await everything((entity) => dataSource.getRepository<Animal>(entity));
    for (let round = 0; round < 2; round += 1) {
      expect(await everything((entity) => cache.repository<Animal>(entity as typeof Animal))).toEqual(expected);
    }
  }

  const quoted = (name: string) => dataSource.driver.escape(name);
  const tree = (manager: EntityManager, entity: typeof Branch | typeof Chapter | typeof Folder) =>
    manager.getTreeRepository<Branch>(entity);
  const grow = (entity: typeof Branch | typeof Chapter | typeof Folder) => async (manager: EntityManager) => {
    const parent = await tree(manager, entity).findOneByOrFail({ name: "child" });
    return tree(manager, entity).save(tree(manager, entity).create({ name: "leaf", parent }));
  };
  const move = (entity: typeof Branch | typeof Folder) => async (manager: EntityManager) => {
    const root = await tree(manager, entity).findOneByOrFail({ name: "root" });
    const grandchild = await tree(manager, entity).findOneByOrFail({ name: "grandchild" });
    return tree(manager, entity).save(Object.assign(grandchild, { parent: root, name: "leaf" }));
  };
  const fell = (entity: typeof Branch | typeof Chapter | typeof Folder) => async (manager: EntityManager) =>
    tree(manager, entity).remove(await tree(manager, entity).findOneByOrFail({ name: "grandchild" }));

  const paths: Record<string, Write> = {
    "a child by the parent's repository": (m) => m.update(Animal, { name: "Tom" }, { name: "New" }),
    "a child by id, by the parent's repository": (m) => m.update(Animal, 1, { name: "New" }),
    "a child by its own repository": (m) => m.save(Cat, { id: 1, name: "New", lives: 8 }),
    "the key of one child": (m) => m.update(Dog, { name: "Rex" }, { trick: "roll" }),
    "a new child": (m) => m.save(m.create(Dog, { name: "New", trick: "sit" })),
    "children by their own repository": (m) => m.update(Cat, { name: "Kit" }, { name: "New" }),
    "removal by the parent's repository": (m) => m.delete(Animal, 3),
    "a child becomes another one": (m) => m.query("UPDATE animal SET kind = 'Dog', trick = 'sit' WHERE id = 1"),
    "a closure table grows": grow(Branch),
    "a closure table: move": move(Branch),
    "a closure table: remove": fell(Branch),
    "a closure table: delete of the root": (m) => m.delete(Branch, { name: "root" }),
    "a nested set grows": grow(Chapter),
    "a nested set: remove": fell(Chapter),
    "a materialized path grows": grow(Folder),
    "a materialized path: move": move(Folder),
    "a materialized path: remove": fell(Folder),
    "clear()": (m) => m.clear(LogLine),
    TRUNCATE: (m) => m.query(`${database.name === "sqlite" ? "DELETE FROM" : "TRUNCATE TABLE"} ${quoted("log_line")}`),
    "DROP and CREATE": async (m) => {
      await m.query(`CREATE TABLE copy_of_log AS SELECT * FROM log_line`);
      await m.query("DELETE FROM log_line");
      await m.query("INSERT INTO log_line (id, text) SELECT id + 1, text FROM copy_of_log");
      await m.query("DROP TABLE copy_of_log");
    },
  };

  describe.each(["alone", "in a transaction", "rolled back"])("%s", (form) => {
    it.each(Object.entries(paths))("%s", async (_, write) => {
      await FORMS[form]!(dataSource, write);
      await compare();
    });
  });
});
