import { Column, Entity, PrimaryGeneratedColumn, type DataSource } from "typeorm";
import { CacheKey, Cached, type CoherentCache } from "typeorm-coherent";
import { attachMemory, countStatements } from "../support/cache-harness";
import { describeEachDatabase } from "../support/databases";

@Entity()
@Cached({ strategy: "write-through" })
class Product {
  @PrimaryGeneratedColumn() id!: number;
  @CacheKey() @Column({ unique: true }) sku!: string;
  @CacheKey() @Column() categoryId!: number;
  @Column({ default: 7 }) price!: number;
}

describeEachDatabase("smoke", (database) => {
  let dataSource: DataSource;
  let cache: CoherentCache;
  let statements: ReturnType<typeof countStatements>;
  beforeAll(async () => {
    dataSource = await database.open([Product]);
    cache = await attachMemory(dataSource);
    statements = countStatements(dataSource);
  });

  it("works", async () => {
    const products = cache.repository(Product);
    await products.findOneBy({ id: 1 });
    const saved = await products.save({ sku: "A", categoryId: 1 });
    statements.reset();
    const found = await products.findOneBy({ id: saved.id });
    expect(statements.selects).toHaveLength(0);
    expect(found).toEqual(await dataSource.getRepository(Product).findOneBy({ id: saved.id }));
    expect(found).toBeInstanceOf(Product);
    expect(statements.selects).toHaveLength(1);
    statements.reset();
    expect((await products.findOneBy({ sku: "A" }))?.price).toBe(7);
    expect(statements.selects).toHaveLength(0);
    expect(await products.findBy({ categoryId: 1 })).toHaveLength(1);
    expect(await products.findBy({ categoryId: 1 })).toHaveLength(1);
    expect(statements.selects).toHaveLength(1);
    await products.save({ id: saved.id, price: 9 });
    statements.reset();
    expect((await products.findOneBy({ sku: "A" }))?.price).toBe(9);
    expect((await products.findBy({ categoryId: 1 }))[0]?.price).toBe(9);
    await products.update(saved.id, { price: 11 });
    expect((await products.findOneBy({ id: saved.id }))?.price).toBe(11);
    await products.delete(saved.id);
    expect(await products.findOneBy({ id: saved.id })).toBeNull();
    expect(await products.findBy({ categoryId: 1 })).toEqual([]);
  });
});
