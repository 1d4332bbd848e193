import { DataSource, EntitySchema, type DataSourceOptions } from "typeorm";
import { attachCache, MemoryStore, type CacheOptions, type CoherentCache } from "typeorm-coherent";
import { databases } from "../support/databases";

interface Product {
  id: number;
  sku: string;
  categoryId: number;
}
const Product = new EntitySchema<Product>({
  name: "Product",
  columns: {
    id: { type: Number, primary: true, generated: true },
    sku: { type: String },
    categoryId: { type: Number },
  },
});

/** What docs/versioning.md says of processes that do not declare the same. SQLite alone: the database has no part in it. */
describe("two versions of an app on one database", () => {
  const database = databases().find(({ name }) => name === "sqlite")!;
  const keyed: CacheOptions = { entities: { Product: { keys: ["categoryId"] } } };
  let settings: DataSourceOptions;
  let store: MemoryStore;
  let running: DataSource[];
  beforeEach(async () => {
    settings = await database.options([Product], { file: true });
    store = new MemoryStore();
    running = [];
  });
  afterEach(async () => {
    for (const dataSource of running) await dataSource.destroy();
    await database.cleanup();
  });

  const open = async (): Promise<DataSource> => {
    const synchronize = running.length === 0;
    const dataSource = await new DataSource({ ...settings, synchronize }).initialize();
    running.push(dataSource);
    return dataSource;
  };
  const deploy = async (options: CacheOptions): Promise<CoherentCache> =>
    attachCache(await open(), { store, ...options });
  const listed = async (cache: CoherentCache) => {
    await cache.repository(Product).findBy({ categoryId: 1 });
    return (await cache.repository(Product).findBy({ categoryId: 1 })).length;
  };

  it("serves lists by a new key that lack what the old version inserts", async () => {
    const old = await deploy({ entities: { Product: {} } });
    const next = await deploy(keyed);
    expect(await listed(next)).toBe(0);
    await old.repository(Product).save({ sku: "A", categoryId: 1 });
    expect(await listed(next)).toBe(0);
  });

  it("serves them right where nothing is stored until the old version is gone", async () => {
    const old = await deploy({ entities: { Product: {} } });
    const next = await deploy({ ...keyed, defaults: { maxEntryBytes: 1 } });
    expect(await listed(next)).toBe(0);
    await old.repository(Product).save({ sku: "A", categoryId: 1 });
    expect(await listed(next)).toBe(1);
    expect(next.stats()).toMatchObject({ fills: 0, hits: 0 });

    // What the new version writes reaches the old one, and then the version that stores.
    const { id } = await old.repository(Product).findOneByOrFail({ sku: "A" });
    await old.repository(Product).findOneBy({ id });
    await next.repository(Product).save({ id, sku: "B" });
    expect((await old.repository(Product).findOneBy({ id }))?.sku).toBe("B");
    const last = await deploy(keyed);
    expect(await listed(last)).toBe(1);
    await next.repository(Product).save({ sku: "C", categoryId: 1 });
    expect(await listed(last)).toBe(2);
    expect(last.stats().hits).toBeGreaterThan(0);
  });

  it("has the cache brought in beside processes that have none", async () => {
    const without = (await open()).getRepository(Product);
    const next = await deploy({ ...keyed, defaults: { maxEntryBytes: 1 } });
    expect(await listed(next)).toBe(0);
    await without.save({ sku: "A", categoryId: 1 });
    expect(await listed(next)).toBe(1);
    expect(next.stats().fills).toBe(0);
  });
});
