import {
  Column,
  DeleteDateColumn,
  Entity,
  JoinTable,
  ManyToMany,
  PrimaryGeneratedColumn,
  VersionColumn,
  type DataSource,
  type EntityManager,
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
    "raw update": (m) => m.query("UPDATE product SET shop = 6 WHERE id = 1"),
    "raw update of all": (m) =>
      m.query("update PRODUCT set price = price + 1".replace("PRODUCT", mysql ? "product" : "PRODUCT")),
    "raw insert": (m) => m.query("INSERT INTO product (code, shop, version) VALUES ('N', 1, 1)"),
    "raw insert from a select": (m) =>
      m.query("INSERT INTO product (code, shop, version) SELECT 'N', shop, 1 FROM product WHERE id = 1"),
    "raw delete, with a comment": (m) => m.query("/* SELECT */ DELETE FROM product -- all\n WHERE id IN (1, 2)"),
    ...(mysql
      ? {
          "raw replace": (m: EntityManager) =>
            m.query("REPLACE INTO product (id, code, shop, version) VALUES (1, 'R', 3, 1)"),
        }
      : {
          "raw CTE": (m: EntityManager) =>
            m.query("WITH found AS (SELECT 1 AS id) UPDATE product SET shop = 6 WHERE id IN (SELECT id FROM found)"),
        }),
  };
}

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
};

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
    async function everything(
      products: Repository<Product>,
      labels: Repository<Label>,
    ): Promise<Record<string, unknown>> {
      const found: Record<string, unknown> = {};
      for (const id of [A, B, C, GONE, 5, 6, 101, 102]) found[`id ${id}`] = await products.findOneBy({ id });
      for (const code of ["A", "N", "O", "Z", "Q", "R"]) {
        found[`code ${code}`] = await products.findOneBy({ code });
        found[`exists ${code}`] = await products.existsBy({ code });
        found[`shop and code ${code}`] = await products.findBy({ shop: 1, code });
      }
      for (const shop of [1, 2, 3, 4, 5, 6, 7, 8]) {
        found[`shop ${shop}`] = (await products.findBy({ shop })).sort((left, right) => left.id - right.id);
        found[`window of shop ${shop}`] = await products.find({
          where: { shop },
          order: { price: "DESC", id: "ASC" },
          take: 1,
        });
        found[`deleted of shop ${shop}`] = await products.find({
          where: { shop },
          order: { id: "ASC" },
          withDeleted: true,
        });
        found[`count of shop ${shop}`] = await products.countBy({ shop });
      }
      for (const id of [1, 2]) found[`label ${id}`] = await labels.findOneBy({ id });
      found["label new"] = await labels.countBy({ text: "new" });
      return found;
    }
    const cached = () => everything(cache.repository(Product), cache.repository(Label));
    const plain = () => everything(dataSource.getRepository(Product), dataSource.getRepository(Label));

    describe.each(Object.keys(FORMS))("%s", (form) => {
      it.each(Object.entries(writes(database)))("%s", async (_, write) => {
        await cached();
        await FORMS[form]!(dataSource, write);
        const now = await plain();
        expect(await cached()).toEqual(now);
        expect(await cached()).toEqual(now);
      });
    });
  });
});
