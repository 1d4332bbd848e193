import {
  Column,
  DeleteDateColumn,
  Entity,
  In,
  ManyToOne,
  PrimaryColumn,
  PrimaryGeneratedColumn,
  type DataSource,
  type EntityManager,
} from "typeorm";
import { CacheKey, Cached, type CoherentCache } from "typeorm-coherent";
import { attachMemory } from "../support/cache-harness";
import { describeEachDatabase, type TestDatabase } from "../support/databases";

@Entity()
@Cached()
class Shop {
  @PrimaryColumn() id!: number;
  @CacheKey() @Column({ length: 10 }) name!: string;
}

/** Goes with its shop; which these are its declared key tells. */
@Entity()
@Cached()
class Offer {
  @PrimaryColumn() id!: number;
  @ManyToOne(() => Shop, { onDelete: "CASCADE" }) shop!: Shop;
  @CacheKey() @Column() shopId!: number;
}

@Entity()
@Cached()
class Product {
  @PrimaryGeneratedColumn() id!: number;
  @CacheKey() @Column({ length: 10, unique: true }) sku!: string;
  @CacheKey() @Column({ default: 1 }) shelf!: number;
  @Column({ default: 1 }) price!: number;
  @DeleteDateColumn() deletedAt!: Date | null;
  @ManyToOne(() => Shop, { onDelete: "CASCADE" }) shop!: Shop | null;
}

/** No other key than its primary one, which is given. */
@Entity()
@Cached()
class Setting {
  @PrimaryColumn() id!: number;
  @Column({ default: 0 }) value!: number;
}

type Outcome = "precise" | "coarse";
type Path = readonly [
  title: string,
  write: (manager: EntityManager) => Promise<unknown>,
  inTransaction: Outcome,
  alone: Outcome,
];

const product = (manager: EntityManager) => manager.getRepository(Product);

/** The lines of the table in docs/consistency.md. */
function paths(database: TestDatabase): Path[] {
  const returning: Outcome = database.name === "sqlite" ? "coarse" : "precise";
  const sql = (text: string) => (manager: EntityManager) => manager.query(text);
  return [
    ["save of a row", (m) => product(m).save({ id: 1, price: 5 }), "precise", "precise"],
    ["save of a key", (m) => product(m).save({ id: 1, shelf: 5 }), "precise", "precise"],
    ["remove", async (m) => product(m).remove(await product(m).findOneByOrFail({ id: 1 })), "precise", "precise"],
    ["softRemove", (m) => product(m).softRemove({ id: 1 }), "precise", "precise"],
    ["recover", (m) => product(m).recover({ id: 3 }), "precise", "precise"],
    ["save of a new row", (m) => product(m).save({ sku: "N" }), "precise", "precise"],
    ["save without listeners", (m) => m.save(Product, { id: 1, price: 5 }, { listeners: false }), "precise", "precise"],
    [
      "save of a new row without listeners",
      (m) => m.save(Product, { sku: "N" }, { listeners: false }),
      "coarse",
      "coarse",
    ],
    ["insert", (m) => m.insert(Product, { sku: "N" }), "precise", "coarse"],
    ["insert of several", (m) => m.insert(Product, [{ sku: "N" }, { sku: "O" }]), returning, "coarse"],
    ["update by id", (m) => m.update(Product, 1, { price: 5 }), "precise", "precise"],
    ["update by ids", (m) => m.update(Product, [1, 3], { price: 5 }), "precise", "precise"],
    ["update by id of a key", (m) => m.update(Product, 1, { shelf: 5 }), "precise", "coarse"],
    ["increment by id", (m) => m.increment(Product, { id: 1 }, "price", 5), "precise", "precise"],
    ["delete by id", (m) => m.delete(Product, 1), "precise", "precise"],
    ["softDelete by id", (m) => m.softDelete(Product, 1), "precise", "precise"],
    ["restore by id", (m) => m.restore(Product, 3), "precise", "precise"],
    ["raw update by id", sql("UPDATE product SET price = 5 WHERE id = 1 OR id IN (3)"), "precise", "precise"],
    ["raw update of a key", sql("UPDATE product SET shelf = 5 WHERE id = 1"), "precise", "coarse"],
    ["a new primary key", (m) => m.update(Product, 1, { id: 9 }), "coarse", "coarse"],
    ["update by a declared key", (m) => m.update(Product, { sku: "A" }, { price: 5 }), "precise", "precise"],
    ["increment by a declared key", (m) => m.increment(Product, { shelf: 1 }, "price", 5), "precise", "precise"],
    ["delete by a declared key", (m) => m.delete(Product, { shelf: 1 }), "precise", "precise"],
    ["delete by values of a declared key", (m) => m.delete(Product, { sku: In(["A", "C"]) }), "precise", "precise"],
    ["softDelete by a declared key", (m) => m.softDelete(Product, { shelf: 1 }), "precise", "precise"],
    ["restore by a declared key", (m) => m.restore(Product, { sku: "C" }), "precise", "precise"],
    ["update by a declared key of a key", (m) => m.update(Product, { sku: "A" }, { shelf: 5 }), "coarse", "coarse"],
    [
      "update by a declared key and more",
      (m) => m.update(Product, { sku: "A", price: 1 }, { price: 5 }),
      "precise",
      "precise",
    ],
    ["update by something else", (m) => m.update(Product, { price: 7 }, { price: 5 }), "coarse", "coarse"],
    ["raw delete by a declared key", sql("DELETE FROM product WHERE shelf = 1 OR id = 3"), "precise", "precise"],
    ["upsert", (m) => m.upsert(Product, { sku: "A", price: 6 }, ["sku"]), "coarse", "coarse"],
    [
      "raw insert from a select",
      sql("INSERT INTO product (sku) SELECT 'N' FROM product WHERE id = 1"),
      "coarse",
      "coarse",
    ],
    ["a cascade through no key", (m) => m.delete(Shop, 1), "coarse", "coarse"],
  ];
}

/** What they do to offers. */
const CASCADES: Path[] = [
  ["delete of the parent by id", (m) => m.delete(Shop, 1), "precise", "precise"],
  ["remove of the parent", (m) => m.remove(Shop, Object.assign(new Shop(), { id: 1 })), "precise", "precise"],
  ["delete of parents by ids", (m) => m.delete(Shop, [1, 3]), "precise", "precise"],
  ["delete of the parent by a declared key", (m) => m.delete(Shop, { name: "one" }), "coarse", "coarse"],
];

const SETTINGS: Path[] = [
  ["insert with its primary key", (m) => m.insert(Setting, { id: 7 }), "precise", "precise"],
  ["insert of several", (m) => m.insert(Setting, [{ id: 7 }, { id: 8 }]), "precise", "precise"],
  ["delete of all", (m) => m.createQueryBuilder().delete().from(Setting).where("id > 1").execute(), "coarse", "coarse"],
];

describeEachDatabase("how precise a write is", (database) => {
  let dataSource: DataSource;
  let cache: CoherentCache;
  beforeAll(async () => {
    dataSource = await database.open([Shop, Product, Offer, Setting]);
    cache = await attachMemory(dataSource);
  });
  beforeEach(async () => {
    for (const entity of [Product, Offer, Shop, Setting]) {
      await dataSource.createQueryBuilder().delete().from(entity).execute();
    }
    await dataSource.getRepository(Shop).insert([
      { id: 1, name: "one" },
      { id: 2, name: "two" },
    ]);
    await dataSource.getRepository(Offer).insert([
      { id: 1, shopId: 1 },
      { id: 2, shopId: 2 },
    ]);
    const names = ["id", "sku", "shelf", "shopId"].map((name) => dataSource.driver.escape(name)).join(", ");
    for (const row of ["1, 'A', 1, 1", "2, 'B', 2, 2", "3, 'C', 1, NULL"]) {
      await dataSource.query(`INSERT INTO product (${names}) VALUES (${row})`);
    }
    await dataSource.getRepository(Product).softDelete(3);
    await dataSource.getRepository(Setting).insert([{ id: 1 }, { id: 2 }]);
    if (database.name === "postgres") {
      await dataSource.query("SELECT setval(pg_get_serial_sequence('product', 'id'), 100)");
    }
  });

  const forms: [string, 2 | 3, (write: Path[1]) => Promise<unknown>][] = [
    ["in a transaction", 2, (write) => dataSource.transaction(write)],
    ["by itself", 3, (write) => write(dataSource.manager)],
  ];

  describe.each(forms)("%s", (_, column, run) => {
    /** What nothing has been done to is served still, if the write is precise, and not if it is coarse. */
    async function expectOutcome(path: Path, bystanders: () => Promise<unknown>, count: number): Promise<void> {
      await bystanders();
      await run(path[1]);
      const { hits } = cache.stats();
      await bystanders();
      expect(cache.stats().hits - hits).toBe(path[column] === "precise" ? count : 0);
    }

    it.each(paths(database))("%s", async (...path) => {
      const products = cache.repository(Product);
      const bystanders = async () => {
        await products.findOneBy({ id: 2 });
        await products.findOneBy({ sku: "B" });
        await products.findBy({ shelf: 2 });
      };
      await expectOutcome(path, bystanders, 3);
    });

    it.each(CASCADES)("a cascade: %s", async (...path) => {
      const offers = cache.repository(Offer);
      const bystanders = async () => {
        await offers.findOneBy({ id: 2 });
        await offers.findBy({ shopId: 2 });
      };
      await expectOutcome(path, bystanders, 2);
    });

    it.each(SETTINGS)("%s", async (...path) => {
      await expectOutcome(path, () => cache.repository(Setting).findOneBy({ id: 1 }), 1);
    });
  });
});
