import {
  ChildEntity,
  Column,
  DataSource,
  DeleteDateColumn,
  Entity,
  EntitySchema,
  Equal,
  JoinColumn,
  JoinTable,
  ManyToMany,
  ManyToOne,
  OneToOne,
  PrimaryColumn,
  PrimaryGeneratedColumn,
  TableInheritance,
  ViewColumn,
  ViewEntity,
  type EntityTarget,
  type FindManyOptions,
  type ObjectLiteral,
  type Repository,
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
      kind: "statement",
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
    expect(await expectCached(Shelf, { where: { shop: Equal(1) } })).toHaveLength(2);
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

class Place {
  @CacheKey() @ManyToOne(() => Aisle, { nullable: true }) aisle!: Aisle | null;
  @Column({ length: 5 }) slot!: string;
}

@Entity()
@Cached()
class Aisle {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ length: 20, unique: true }) code!: string;
  @DeleteDateColumn() deletedAt!: Date | null;
}

/** Its primary key is a relation, and so is that of what refers to it. */
@Entity()
@Cached()
class AisleMap {
  @PrimaryColumn() aisleId!: number;
  @OneToOne(() => Aisle) @JoinColumn({ name: "aisleId" }) aisle!: Aisle;
  @Column({ length: 40 }) drawing!: string;
}

@Entity()
@Cached()
@CacheKey(["place.aisle", "place.slot"])
class Box {
  @PrimaryGeneratedColumn() id!: number;
  @Column(() => Place) place!: Place;
  @CacheKey() @OneToOne(() => Aisle, { nullable: true }) @JoinColumn() reservedFor!: Aisle | null;
  @CacheKey()
  @ManyToOne(() => Aisle, { nullable: true })
  @JoinColumn({ referencedColumnName: "code" })
  byCode!: Aisle | null;
  @ManyToMany(() => Aisle) @JoinTable() seenIn!: Aisle[];
}

/** Changes without a write. */
@ViewEntity({ expression: "SELECT CURRENT_TIMESTAMP AS one" })
class OneRow {
  @ViewColumn() one!: Date;
}

// TypeORM does not relate schemas to classes, only to each other.
interface Depot {
  id: number;
  city: { id: number } | null;
}
interface Parcel {
  id: number;
  to: { zip: string };
  depot: Depot | { id: number };
}
const CitySchema = new EntitySchema<{ id: number }>({
  name: "DepotCity",
  columns: { id: { type: Number, primary: true, generated: true } },
});
const DepotSchema = new EntitySchema<Depot>({
  name: "Depot",
  columns: { id: { type: Number, primary: true, generated: true } },
  relations: { city: { type: "many-to-one", target: "DepotCity", joinColumn: true, nullable: true } },
});
const ParcelSchema = new EntitySchema<Parcel>({
  name: "Parcel",
  columns: { id: { type: Number, primary: true, generated: true } },
  embeddeds: {
    to: { schema: new EntitySchema<Parcel["to"]>({ name: "To", columns: { zip: { type: String, length: 10 } } }) },
  },
  relations: { depot: { type: "many-to-one", target: "Depot", joinColumn: true, nullable: true } },
});

describeEachDatabase("keys of relations, and what a cache leaves behind", (database) => {
  const entities = [Box, Aisle, AisleMap, OneRow, ParcelSchema, DepotSchema, CitySchema];
  let dataSource: DataSource;
  let cache: CoherentCache;
  let statements: ReturnType<typeof countStatements>;
  beforeEach(async () => {
    dataSource = await database.open(entities);
    cache = await attachMemory(dataSource, { entities: { Parcel: { keys: ["to.zip", "depot"] } } });
    statements = countStatements(dataSource);
    await dataSource.getRepository(Aisle).save([{ code: "one" }, { code: "two" }]);
    await dataSource.getRepository(AisleMap).save([{ aisleId: 1, drawing: "first" }]);
    await dataSource.getRepository(Box).save([
      { place: { aisle: { id: 1 }, slot: "a" }, reservedFor: { id: 1 }, byCode: { code: "one" } },
      { place: { aisle: { id: 1 }, slot: "b" }, reservedFor: { id: 2 }, byCode: { code: "two" } },
    ]);
    await dataSource.getRepository(CitySchema).save({});
    await dataSource.getRepository(DepotSchema).save([{ city: { id: 1 } }, {}]);
    await dataSource.getRepository(ParcelSchema).save([{ to: { zip: "8000" }, depot: { id: 1 } }]);
  });
  afterEach(() => database.cleanup());

  type Read = [string, (from: (target: EntityTarget<ObjectLiteral>) => Repository<ObjectLiteral>) => Promise<unknown>];
  const reads: Read[] = [
    ["a relation inside of an embedded class", (from) => from(Box).findBy({ place: { aisle: { id: 1 } } })],
    ["the same by Equal", (from) => from(Box).findBy({ place: { aisle: Equal(1) } })],
    [
      "a composite key of a relation and a column",
      (from) => from(Box).findBy({ place: { slot: "a", aisle: { id: 1 } } }),
    ],
    ["a one-to-one relation", (from) => from(Box).findOneBy({ reservedFor: { id: 2 } })],
    ["a list by a one-to-one relation", (from) => from(Box).findBy({ reservedFor: { id: 1 } })],
    ["a relation by another column than the primary key", (from) => from(Box).findBy({ byCode: { code: "one" } })],
    ["whether a row of a relation is there", (from) => from(Box).existsBy({ reservedFor: { id: 1 } })],
    ["a count by relation", (from) => from(Box).countBy({ place: { aisle: { id: 1 } } })],
    ["a primary key that is a relation", (from) => from(AisleMap).findOneBy({ aisle: { id: 1 } })],
    ["the same by its column", (from) => from(AisleMap).findOneBy({ aisleId: 1 })],
    ["EntitySchema: an embedded column", (from) => from(ParcelSchema).findBy({ to: { zip: "8000" } })],
    ["EntitySchema: a relation", (from) => from(ParcelSchema).findBy({ depot: { id: 1 } })],
  ];

  it.each(reads)("%s: served, and right after every write of either side", async (_, read) => {
    const cached = () => read((target) => cache.repository(target));
    const plain = () => read((target) => dataSource.getRepository(target));
    const writes: (() => Promise<unknown>)[] = [
      () => Promise.resolve(),
      () => dataSource.getRepository(Aisle).softDelete(1),
      () => dataSource.getRepository(Aisle).restore(1),
      () => dataSource.getRepository(Aisle).softRemove({ id: 2, code: "two" }),
      () => dataSource.getRepository(Aisle).recover({ id: 2, code: "two" }),
      () => dataSource.getRepository(Box).save({ id: 2, place: { slot: "a" } }),
      () => dataSource.getRepository(Box).save({ id: 1, place: { aisle: { id: 2 } }, byCode: { code: "two" } }),
      () => dataSource.createQueryBuilder().relation(Box, "reservedFor").of(1).set(null),
      () => dataSource.createQueryBuilder().relation(Box, "reservedFor").of(2).set(1),
      () => dataSource.getRepository(ParcelSchema).save({ id: 1, to: { zip: "9000" }, depot: { id: 2 } }),
      () => dataSource.getRepository(ParcelSchema).save({ to: { zip: "8000" }, depot: { id: 1 } }),
      () => dataSource.getRepository(AisleMap).save({ aisleId: 1, drawing: "second" }),
      () => dataSource.getRepository(AisleMap).delete({ aisleId: 1 }),
    ];
    for (const write of writes) {
      await write();
      const expected = await plain();
      expect(await cached()).toEqual(expected);
      statements.reset();
      expect(await cached()).toEqual(expected);
      expect(statements.selects).toEqual([]);
    }
  });

  it("a relation of a relation is a statement, and its third table is followed", async () => {
    const where = { depot: { city: { id: 1 } } };
    const read = () => cache.repository<Parcel>(ParcelSchema).findBy(where);
    expect(await read()).toHaveLength(1);
    expect(await cache.explain<Parcel>("Parcel", "find", { where })).toMatchObject({
      kind: "statement",
      tables: [/parcel$/, /depot$/, /depot_city$/].map((name): unknown => expect.stringMatching(name)),
      present: [true],
    });
    await dataSource.getRepository(DepotSchema).save({ id: 1, city: null });
    expect(await read()).toHaveLength(0);
  });

  it("all entities: views that cannot be followed and join tables are none of them", async () => {
    await cache.close();
    cache = await attachMemory(dataSource, { entities: "all" });
    expect(() => cache.repository(OneRow)).toThrow(expect.objectContaining({ code: "NOT_CACHED" }));
    expect(() => cache.repository("box_seen_in_aisle")).toThrow(expect.objectContaining({ code: "NOT_CACHED" }));
    expect(cache.repository(ParcelSchema)).toBeDefined();
    const boxes = cache.repository(Box);
    await boxes.findOneBy({ id: 1 });
    await dataSource.createQueryBuilder().relation(Box, "seenIn").of(1).add(2);
    expect(await boxes.findOne({ where: { id: 1 }, relations: { seenIn: true } })).toMatchObject({
      seenIn: [{ id: 2 }],
    });
  });

  it("two data sources at once know nothing of each other", async () => {
    const other = await database.open(entities);
    const otherCache = await attachMemory(other, { entities: { Box: { strategy: "write-through" } } });
    await other.getRepository(Aisle).save({ code: "other" });
    for (const one of [cache, otherCache]) await one.repository(Aisle).findOneBy({ id: 1 });
    expect(await cache.repository(Aisle).findOneBy({ id: 1 })).toMatchObject({ code: "one" });
    expect(await otherCache.repository(Aisle).findOneBy({ id: 1 })).toMatchObject({ code: "other" });
    await other.getRepository(Aisle).update(1, { code: "changed" });
    expect(await cache.explain(Aisle, "findOne", { where: { id: 1 } })).toMatchObject({ present: [true] });
    expect(await otherCache.repository(Aisle).findOneBy({ id: 1 })).toMatchObject({ code: "changed" });
    await otherCache.close();
    expect(await cache.repository(Aisle).findOneBy({ id: 1 })).toMatchObject({ code: "one" });
    expect(cache.stats().hits).toBe(2);
  });

  it("close() and destroy() leave the data source as they found it", async () => {
    await cache.close();
    const trace = () => ({
      dataSource: Object.getOwnPropertyNames(dataSource).sort(),
      driver: Object.getOwnPropertyNames(dataSource.driver).sort(),
      subscribers: [...dataSource.subscribers],
      runner: ownMethods(dataSource.createQueryRunner()),
    });
    const before = trace();
    cache = await attachMemory(dataSource);
    expect(trace()).not.toEqual(before);
    await cache.repository(Aisle).findOneBy({ id: 1 });
    await cache.close();
    expect(trace()).toEqual(before);
    // Statements pass unobserved again.
    await dataSource.getRepository(Aisle).save({ code: "later" });
    expect(cache.stats().locks).toBe(0);

    cache = await attachMemory(dataSource);
    await cache.repository(Aisle).findOneBy({ id: 1 });
    await dataSource.destroy();
    expect(() => cache.repository(Aisle)).toThrow(expect.objectContaining({ code: "CLOSED" }));
    await dataSource.initialize();
    expect(dataSource.subscribers).toEqual([]);
    const again = await attachMemory(dataSource);
    expect(again.repository(Aisle)).not.toBe(undefined);
    await again.close();
  });
});

function ownMethods(object: object): string[] {
  return Object.entries(object)
    .filter(([, value]) => typeof value === "function")
    .map(([name]) => name);
}
