import {
  Column,
  DeleteDateColumn,
  Entity,
  JoinTable,
  ManyToMany,
  MoreThan,
  PrimaryGeneratedColumn,
  VersionColumn,
  type DataSource,
  type EntityManager,
} from "typeorm";
import { CacheKey, Cached } from "typeorm-coherent";
import type { TestDatabase } from "../databases";
import {
  coarse,
  coarseAlone,
  committing,
  exact,
  NEXT_ID,
  precise,
  sorted,
  wide,
  type Shape,
  type WritePath,
} from "./shape";

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

async function seed(dataSource: DataSource): Promise<void> {
  await dataSource.getRepository(Label).insert({ id: 1, text: "old" });
  await dataSource.getRepository(Product).insert([
    { id: A, code: "A", shop: 1 },
    { id: B, code: "B", shop: 1 },
    { id: C, code: "C", shop: 2 },
    { id: GONE, code: "G", shop: 6 },
  ]);
  await dataSource.getRepository(Product).softDelete(GONE);
}

const reads: Shape["reads"] = (of) => {
  const [products, labels] = [of(Product), of(Label)];
  const all: ReturnType<Shape["reads"]> = {};
  for (const id of [A, B, C, GONE, 5, NEXT_ID]) all[`id ${id}`] = exact(() => products.findOneBy({ id }));
  for (const code of ["A", "C", "N", "O", "Z"]) all[`code ${code}`] = exact(() => products.findOneBy({ code }));
  for (const code of ["A", "N", "Z"]) {
    all[`shop 1 and code ${code}`] = exact(() => products.findBy({ shop: 1, code }));
    all[`exists ${code}`] = wide(() => products.existsBy({ code }));
  }
  for (const shop of [1, 2, 6]) {
    all[`shop ${shop}`] = exact(() => sorted(products.findBy({ shop })));
    all[`count of shop ${shop}`] = wide(() => products.countBy({ shop }));
  }
  for (const shop of [1, 6]) {
    const order = { price: "DESC", id: "ASC" } as const;
    all[`window of shop ${shop}`] = wide(() => products.find({ where: { shop }, order, take: 1 }));
  }
  all["shop 6 with deleted"] = exact(() => sorted(products.find({ where: { shop: 6 }, withDeleted: true })));
  // Of another table, which hardly any of these writes.
  all["label 1"] = wide(() => labels.findOneBy({ id: 1 }));
  all["new labels"] = wide(() => labels.countBy({ text: "new" }));
  // What is no look at a key is cached under its SQL.
  all["dearer than 3"] = wide(() => sorted(products.find({ where: { price: MoreThan(3) } })));
  all["with their labels"] = wide(() => products.find({ relations: { labels: true }, order: { id: "ASC" } }));
  all["the highest price"] = wide(() => products.maximum("price", {}));
  return all;
};

const products = (manager: EntityManager) => manager.getRepository(Product);
const builder = (manager: EntityManager) => manager.createQueryBuilder();
const loaded = (manager: EntityManager, id: number) => products(manager).findOneByOrFail({ id });
/** TypeORM notes in them which ids they got. */
const twoNew = () => [
  { code: "N", shop: 1 },
  { code: "O", shop: 2 },
];

function entityPaths(): Record<string, WritePath> {
  return {
    "save, new": precise((m) => products(m).save({ code: "N", shop: 1 })),
    "save, several new": precise((m) => products(m).save(twoNew())),
    "save, new, without reload": coarse((m) => products(m).save({ code: "N", shop: 1 }, { reload: false })),
    "save, partial": precise((m) => products(m).save({ id: A, price: 9 })),
    "save, another key": precise((m) => products(m).save({ id: A, shop: 2, code: "Z" })),
    "save, loaded": precise(async (m) => products(m).save({ ...(await loaded(m, B)), price: 8, shop: 6 })),
    "save, without listeners": precise((m) => products(m).save({ id: A, shop: 6 }, { listeners: false })),
    "save, without transaction": coarseAlone((m) =>
      products(m).save(
        [
          { id: A, shop: 6 },
          { code: "N", shop: 1 },
        ],
        { transaction: false },
      ),
    ),
    "save, in chunks": precise((m) =>
      products(m).save(
        [
          { id: A, price: 2 },
          { id: B, shop: 6 },
          { id: C, price: 4 },
        ],
        { chunk: 1 },
      ),
    ),
    remove: precise(async (m) => products(m).remove(await loaded(m, A))),
    "remove, several": precise(async (m) => products(m).remove(await products(m).findBy({ shop: 1 }))),
    softRemove: precise(async (m) => products(m).softRemove(await loaded(m, A))),
    recover: precise((m) => products(m).recover({ id: GONE })),
    "many-to-many by save": precise((m) => products(m).save({ id: A, labels: [{ id: 1 }, { text: "new" }] })),
    "relation add": precise((m) => builder(m).relation(Product, "labels").of(A).add(1)),
    "relation add and remove": precise(async (m) => {
      await builder(m).relation(Product, "labels").of(A).add(1);
      await builder(m).relation(Product, "labels").of(A).remove(1);
    }),
  };
}

function statementPaths({ name }: TestDatabase): Record<string, WritePath> {
  return {
    insert: coarseAlone((m) => products(m).insert({ code: "N", shop: 1 })),
    "insert, several": (name === "sqlite" ? coarse : coarseAlone)((m) => products(m).insert(twoNew())),
    "insert, without listeners": coarse((m) =>
      builder(m).insert().into(Product).values({ code: "N", shop: 1 }).callListeners(false).execute(),
    ),
    "upsert of a row that is there": coarse((m) => products(m).upsert({ code: "A", shop: 6 }, ["code"])),
    "upsert of a new row": coarse((m) => products(m).upsert([{ code: "N", shop: 1 }], ["code"])),
    "insert or ignore": coarse((m) =>
      builder(m)
        .insert()
        .into(Product)
        .values([
          { code: "A", shop: 6 },
          { code: "N", shop: 1 },
        ])
        .orIgnore()
        .execute(),
    ),
    "insert or update": coarse((m) =>
      builder(m).insert().into(Product).values({ code: "A", shop: 6 }).orUpdate(["shop"], ["code"]).execute(),
    ),
    "update by id": precise((m) => products(m).update(A, { price: 5 })),
    "update by id, a key": coarseAlone((m) => products(m).update(A, { shop: 6 })),
    "update by ids": precise((m) => products(m).update([A, B], { price: 5 })),
    "update by a declared key": precise((m) => products(m).update({ shop: 1 }, { price: 5 })),
    "update by a declared key, a key": coarse((m) => products(m).update({ shop: 1 }, { price: 5, shop: 6 })),
    "update by something else": coarse((m) => products(m).update({ price: 1 }, { note: "x" })),
    "update of nothing": precise((m) => products(m).update(77, { price: 5 })),
    increment: precise((m) => products(m).increment({ id: A }, "price", 3)),
    decrement: precise((m) => products(m).decrement({ shop: 1 }, "price", 3)),
    "QueryBuilder update": coarse((m) =>
      builder(m)
        .update(Product)
        .set({ price: () => "price + 1" })
        .where("price > :least", { least: 0 })
        .execute(),
    ),
    "QueryBuilder update, without listeners": coarseAlone((m) =>
      builder(m).update(Product).set({ shop: 6 }).whereInIds([A]).callListeners(false).execute(),
    ),
    "QueryBuilder update by code": coarse((m) =>
      builder(m).update(Product).set({ code: "Z" }).where({ code: "A" }).execute(),
    ),
    "delete by id": precise((m) => products(m).delete(A)),
    "delete by a key": precise((m) => products(m).delete({ shop: 1 })),
    "QueryBuilder delete": coarse((m) => builder(m).delete().from(Product).where("id <> :id", { id: A }).execute()),
    "softDelete by id": precise((m) => products(m).softDelete(A)),
    "softDelete by a key": precise((m) => products(m).softDelete({ shop: 1 })),
    "restore by id": precise((m) => products(m).restore(GONE)),
    "restore of all": coarse((m) => builder(m).restore().from(Product).where("id > 0").execute()),
    "a new primary key": coarse((m) => products(m).update(A, { id: 5 })),
  };
}

function rawPaths({ name }: TestDatabase): Record<string, WritePath> {
  const table = name === "mariadb" ? "product" : "PRODUCT";
  const conflict = name === "mariadb" ? "ON DUPLICATE KEY UPDATE" : "ON CONFLICT (code) DO UPDATE SET";
  const into = "INSERT INTO product (code, shop, version)";
  return {
    "INSERT … ON CONFLICT by hand": coarse((m) => m.query(`${into} VALUES ('A', 6, 1) ${conflict} shop = 6`)),
    "a new primary key by SQL": coarse((m) => m.query("UPDATE product SET id = 5, shop = 2 WHERE id = 2")),
    "raw update": coarseAlone((m) => m.query("UPDATE product SET shop = 6 WHERE id = 1")),
    "raw update of all": coarse((m) => m.query(`update ${table} set price = price + 1`)),
    "raw insert": coarse((m) => m.query(`${into} VALUES ('N', 1, 1)`)),
    "raw insert from a select": coarse((m) => m.query(`${into} SELECT 'N', shop, 1 FROM product WHERE id = 1`)),
    "raw delete, with a comment": precise((m) =>
      m.query("/* SELECT */ DELETE FROM product -- all\n WHERE id IN (1, 2)"),
    ),
    "the sql tag": coarse((m) => m.sql`UPDATE product SET shop = ${6} WHERE code = ${"A"}`),
    "quoted and qualified": coarseAlone((m) => {
      const { driver } = m.connection;
      const path = products(m).metadata.tablePath.split(".");
      const quoted = path.map((part) => driver.escape(part)).join(".");
      return m.query(`UPDATE /* id = 2 */ ${quoted} SET shop = 6 WHERE ${driver.escape("id")} = 1`);
    }),
    ...(name === "mariadb" ? MARIADB_ONLY : WITH_WRITING_CTES),
    ...(name === "postgres" ? POSTGRES_ONLY : {}),
  };
}

const MARIADB_ONLY: Record<string, WritePath> = {
  "raw execute immediate": committing((m) => m.query("EXECUTE IMMEDIATE 'UPDATE product SET shop = 6 WHERE id = 1'")),
  "raw replace": coarse((m) => m.query("REPLACE INTO product (id, code, shop, version) VALUES (1, 'Z', 6, 1)")),
};

const WITH_WRITING_CTES: Record<string, WritePath> = {
  "raw CTE": coarse((m) =>
    m.query("WITH found AS (SELECT 1 AS id) UPDATE product SET shop = 6 WHERE id IN (SELECT id FROM found)"),
  ),
};

const POSTGRES_ONLY: Record<string, WritePath> = {
  "several statements in one text": coarseAlone((m) =>
    m.query("UPDATE product SET shop = 6 WHERE id = 1; SELECT 1; DELETE FROM product WHERE id = 2"),
  ),
  "a CTE that writes": coarse((m) =>
    m.query("WITH gone AS (DELETE FROM product WHERE id = 1 RETURNING *) SELECT count(*) FROM gone"),
  ),
  MERGE: coarse(async (m) => {
    const [row] = await m.query<{ server_version_num: string }[]>("SHOW server_version_num");
    if (Number(row?.server_version_num) < 150_000) {
      // It is not there yet.
      return m.query("UPDATE product SET shop = 6 WHERE price = 1");
    }
    return m.query(
      `MERGE INTO product USING (VALUES ('A'), ('N')) AS wanted (code) ON product.code = wanted.code
       WHEN MATCHED THEN UPDATE SET shop = 6
       WHEN NOT MATCHED THEN INSERT (code, shop, version) VALUES (wanted.code, 6, 1)`,
    );
  }),
  "PREPARE and EXECUTE": committing((m) =>
    m.query("PREPARE shut AS UPDATE product SET shop = 6 WHERE id = 1; EXECUTE shut; DEALLOCATE shut"),
  ),
  DO: committing((m) => m.query("DO $$ BEGIN UPDATE product SET shop = 6 WHERE id = 1; END $$")),
};

/** Declared keys alone and together, a version, soft delete, and a join table that only TypeORM knows. */
export const PRODUCTS: Shape = {
  name: "version, soft delete, many-to-many",
  entities: [Product, Label],
  seed,
  reads,
  other: (m) => m.update(Product, B, { price: 1000 }),
  paths: (database) => ({ ...entityPaths(), ...statementPaths(database), ...rawPaths(database) }),
};
