import {
  ChildEntity,
  Column,
  DataSource,
  Entity,
  EntitySchema,
  Equal,
  ManyToOne,
  PrimaryGeneratedColumn,
  TableInheritance,
  type EntityTarget,
  type FindManyOptions,
  type ObjectLiteral,
} from "typeorm";
import { CacheKey, Cached, type CacheOptions, type CoherentCache } from "typeorm-coherent";
import { attachMemory, countStatements } from "../support/cache-harness";
import { describeEachDatabase } from "../support/databases";

class City {
  @CacheKey() @Column({ length: 40 }) name!: string;
  @Column({ length: 10 }) zip!: string;
}

class Address {
  @Column({ length: 40 }) street!: string;
  @Column(() => City) city!: City;
}

@Cached({ ttl: "90s" })
abstract class Base {
  @PrimaryGeneratedColumn() id!: number;
  @CacheKey() @Column({ length: 40 }) code!: string;
}

@Entity()
@CacheKey(["code", "address.city.zip"])
class Shop extends Base {
  @Column(() => Address) address!: Address;
}

@Entity()
@Cached({ strategy: "write-through" })
class Shelf {
  @PrimaryGeneratedColumn() id!: number;
  @CacheKey() @ManyToOne(() => Shop, { nullable: true }) shop!: Shop | null;
  @Column({ type: "int", nullable: true }) shopId!: number | null;
}

@Entity()
@TableInheritance({ column: { type: "varchar", length: 20, name: "kind" } })
@Cached()
class Animal {
  @PrimaryGeneratedColumn() id!: number;
  @CacheKey() @Column({ length: 40 }) name!: string;
}

@ChildEntity()
class Dog extends Animal {
  @Column({ type: "int", nullable: true }) tricks!: number | null;
}

@Entity()
class Foreign {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ length: 40 }) name!: string;
}

interface Country {
  id: number;
  iso: string;
}
const CountrySchema = new EntitySchema<Country>({
  name: "Country",
  columns: { id: { type: Number, primary: true, generated: true }, iso: { type: String, length: 2 } },
});

const ENTITIES = [Shop, Shelf, Animal, Dog, Foreign, CountrySchema];

describeEachDatabase("what is cached", (database) => {
  let dataSource: DataSource;
  let cache: CoherentCache;
  let statements: ReturnType<typeof countStatements>;

  async function open(options: CacheOptions = {}): Promise<void> {
    dataSource = await database.open(ENTITIES);
    cache = await attachMemory(dataSource, options);
    statements = countStatements(dataSource);
  }
  afterEach(() => database.cleanup());

  /** A read that is a miss, then a hit, with the result of a plain repository. */
  async function expectCached<Row extends ObjectLiteral>(
    target: EntityTarget<Row>,
    options: FindManyOptions<Row>,
  ): Promise<Row[]> {
    await cache.repository(target).find(options);
    statements.reset();
    const found = await cache.repository(target).find(options);
    expect(statements.selects).toEqual([]);
    expect(found).toEqual(await dataSource.getRepository(target).find(options));
    return found;
  }

  const shop = (code: string, name: string, zip: string) => ({
    code,
    address: { street: "Main", city: { name, zip } },
  });

  it("keys and options of an abstract parent, keys inside of embedded columns, composite keys", async () => {
    await open();
    const shops = cache.repository(Shop);
    await shops.save([shop("A", "Bern", "3000"), shop("A", "Basel", "4000"), shop("B", "Bern", "3001")]);
    expect(await expectCached(Shop, { where: { code: "A" } })).toHaveLength(2);
    expect(await expectCached(Shop, { where: { address: { city: { name: "Bern" } } } })).toHaveLength(2);
    expect(await expectCached(Shop, { where: { code: "A", address: { city: { zip: "4000" } } } })).toHaveLength(1);
    expect(await cache.explain(Shop, "find", { where: { code: "A" } })).toMatchObject({ ttl: 90_000 });
    expect(await cache.explain(Shop, "find", { where: { address: { street: "Main" } } })).toMatchObject({
      reason: "where",
    });

    await shops.save({ id: 3, address: { city: { name: "Basel" } } });
    expect(await expectCached(Shop, { where: { address: { city: { name: "Basel" } } } })).toHaveLength(2);
    expect(await expectCached(Shop, { where: { address: { city: { name: "Bern" } } } })).toHaveLength(1);
  });

  it("a relation as key, however the where clause names it, and the row that it joins", async () => {
    await open();
    await cache.repository(Shop).save([shop("A", "Bern", "3000"), shop("B", "Bern", "3001")]);
    const shelves = cache.repository(Shelf);
    await shelves.save([{ shop: { id: 1 } }, { shop: { id: 1 } }, { shop: { id: 2 } }]);
    expect(await expectCached(Shelf, { where: { shop: { id: 1 } } })).toHaveLength(2);
    expect(await expectCached(Shelf, { where: { shop: Equal(1) } as never })).toHaveLength(2);
    expect(await expectCached(Shelf, { where: { shopId: 1 } })).toHaveLength(2);

    await shelves.update(3, { shopId: 1 });
    expect(await expectCached(Shelf, { where: { shop: { id: 1 } } })).toHaveLength(3);
    await shelves.update({ shopId: 1 }, { shopId: null });
    expect(await expectCached(Shelf, { where: { shop: { id: 1 } } })).toHaveLength(0);
  });

  it("children of single-table inheritance, by their own repository and by the parent's", async () => {
    await open();
    const [animals, dogs] = [cache.repository(Animal), cache.repository(Dog)];
    await animals.save({ name: "cat" });
    const rex = await dogs.save({ name: "rex", tricks: 1 });
    const byParent = await expectCached(Animal, { where: { id: rex.id } });
    expect(byParent[0]).toBeInstanceOf(Dog);
    await expectCached(Animal, { where: { name: "rex" } });
    await expectCached(Dog, { where: { id: rex.id } });
    expect(await dogs.findOneBy({ id: 1 })).toBeNull();

    await dogs.save({ id: rex.id, tricks: 2 });
    expect(await animals.findOneBy({ id: rex.id })).toMatchObject({ tricks: 2 });
    await animals.save({ id: rex.id, name: "max" });
    expect(await dogs.findOneBy({ id: rex.id })).toMatchObject({ name: "max", tricks: 2 });
    const kind = dataSource.driver.escape("kind");
    await dataSource.query(`UPDATE animal SET ${kind} = 'Dog' WHERE id = 1`);
    expect(await dogs.findOneBy({ id: 1 })).toMatchObject({ name: "cat" });
  });

  it("EntitySchema and classes that cannot be decorated, by option", async () => {
    await open({
      entities: {
        Country: { strategy: "write-through", keys: ["iso"], ttl: 5000 },
        Foreign: { keys: [["id", "name"]] },
      },
    });
    const countries = cache.repository<Country>(CountrySchema);
    await countries.save({ iso: "CH" });
    expect(await expectCached<Country>(CountrySchema, { where: { iso: "CH" } })).toHaveLength(1);
    expect(await cache.explain<Country>("Country", "find", { where: { iso: "CH" } })).toMatchObject({ ttl: 5000 });
    await cache.repository(Foreign).save({ name: "x" });
    expect(await expectCached(Foreign, { where: { id: 1, name: "x" } })).toHaveLength(1);
    // The decorated ones stay.
    expect(cache.repository(Animal)).toBeDefined();
  });

  it("all entities, or a decorated one not, by option", async () => {
    await open({ entities: "all", defaults: { ttl: "5s" } });
    expect(await cache.explain(Foreign, "findOne", { where: { id: 1 } })).toMatchObject({ cacheable: true, ttl: 5000 });
    expect(await cache.explain(Shop, "findOne", { where: { id: 1 } })).toMatchObject({ ttl: 90_000 });
    await cache.close();
    cache = await attachMemory(dataSource, { entities: { Shop: false } });
    expect(() => cache.repository(Shop)).toThrow(expect.objectContaining({ code: "NOT_CACHED" }));
  });

  it("before initialize() as after it, and never again after close()", async () => {
    const early = new DataSource(await database.options(ENTITIES));
    cache = await attachMemory(early);
    expect(() => cache.repository(Shop)).toThrow(expect.objectContaining({ code: "NOT_INITIALIZED" }));
    await early.initialize();
    dataSource = early;
    statements = countStatements(early);
    await cache.repository(Animal).save({ name: "cat" });
    await expectCached(Animal, { where: { name: "cat" } });

    const animals = cache.repository(Animal);
    await cache.close();
    expect(early.subscribers).toHaveLength(0);
    statements.reset();
    expect(await animals.findBy({ name: "cat" })).toHaveLength(1);
    expect(statements.selects).toHaveLength(1);
    cache = await attachMemory(early);
    await expectCached(Animal, { where: { name: "cat" } });
    await early.destroy();
    expect(() => cache.repository(Animal)).toThrow(expect.objectContaining({ code: "CLOSED" }));
  });
});
