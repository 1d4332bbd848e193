import {
  ChildEntity,
  Column,
  Entity,
  EntityPropertyNotFoundError,
  PrimaryGeneratedColumn,
  TableInheritance,
  type DataSource,
  type Repository,
} from "typeorm";
import { CacheKey, Cached, type CoherentCache, type Strategy } from "typeorm-coherent";
import { attachMemory, countStatements } from "../support/cache-harness";
import { describeEachDatabase } from "../support/databases";
import { expectSame } from "../support/same-as";

@Entity()
@TableInheritance({ column: { type: "varchar", length: 20, name: "kind" } })
@Cached()
class Content {
  @PrimaryGeneratedColumn() id!: number;
  @CacheKey() @Column({ length: 40 }) title!: string;
}

@ChildEntity()
class Article extends Content {
  @CacheKey() @Column({ length: 40, nullable: true }) author!: string;
}

@ChildEntity("longread")
@CacheKey(["author", "pages"])
class LongRead extends Article {
  @Column({ type: "int", nullable: true }) pages!: number;
}

@ChildEntity()
@Cached({ ttl: "1s" })
class Photo extends Content {
  @Column({ type: "json", nullable: true }) exif!: { lens: string };
}

/** Its own table for each child. */
abstract class Stamped {
  @PrimaryGeneratedColumn("uuid") id!: string;
  @CacheKey() @Column({ length: 40 }) stamp!: string;
}

@Cached()
abstract class Owned extends Stamped {
  @CacheKey() @Column() ownerId!: number;
}

@Entity()
class Car extends Owned {
  @CacheKey() @Column({ length: 20, unique: true }) plate!: string;
}

@Entity()
@Cached({ strategy: "write-through", negativeTtl: 0 })
class Boat extends Owned {
  @Column({ default: 1 }) masts!: number;
}

@Entity()
class Log extends Stamped {}

describeEachDatabase("inheritance", (database) => {
  describe.each(["write-through", "invalidate"] satisfies Strategy[])("in one table (%s)", (strategy) => {
    let dataSource: DataSource;
    let cache: CoherentCache;
    let statements: ReturnType<typeof countStatements>;
    beforeEach(async () => {
      dataSource = await database.open([Content, Article, LongRead, Photo]);
      cache = await attachMemory(dataSource, { defaults: { strategy } });
      statements = countStatements(dataSource);
      await dataSource.getRepository(Content).save({ title: "plain" });
      await dataSource.getRepository(Article).save({ title: "news", author: "ada" });
      await dataSource.getRepository(LongRead).save({ title: "essay", author: "ada", pages: 40 });
      await dataSource.getRepository(Photo).save({ title: "sunset", exif: { lens: "50mm" } });
    });
    afterEach(() => database.cleanup());

    const everyClass = [Content, Article, LongRead, Photo] as readonly (new () => Content)[];
    const reads: ((repository: Repository<Content>) => Promise<unknown>)[] = [
      ...[1, 2, 3, 4, 5].map((id) => (repository: Repository<Content>) => repository.findOneBy({ id })),
      (repository) => repository.findBy({ title: "essay" }),
      (repository) => repository.countBy({ title: "news" }),
      (repository) => repository.existsBy({ id: 3 }),
    ];

    /** Every read through every class's repository is what TypeORM says, and comes from the cache the second time. */
    async function expectRight(): Promise<void> {
      for (const target of everyClass) {
        const [cached, plain] = [cache.repository(target), dataSource.getRepository(target)];
        for (const read of reads) {
          const expected = await read(plain);
          expectSame(await read(cached), expected);
          statements.reset();
          expectSame(await read(cached), expected);
          expect(statements.selects).toEqual([]);
        }
      }
    }

    it("rows have their own class through every repository, before and after every write", async () => {
      await expectRight();
      expect(await cache.repository(Content).findOneBy({ id: 3 })).toBeInstanceOf(LongRead);
      expect(await cache.repository(Article).findOneBy({ id: 4 })).toBeNull();
      const kind = dataSource.driver.escape("kind");
      const writes: (() => Promise<unknown>)[] = [
        () => cache.repository(Content).save({ id: 3, title: "longer essay" }),
        () => cache.repository(LongRead).save({ id: 3, title: "essay", pages: 41 }),
        () => dataSource.getRepository(Article).update(3, { author: "bob" }),
        () => dataSource.getRepository(Content).update({ title: "essay" }, { title: "news" }),
        () => cache.repository(Photo).save({ title: "essay", exif: { lens: "85mm" } }),
        // A row changes its class.
        () => dataSource.query(`UPDATE content SET ${kind} = 'longread' WHERE id = 2`),
        () => dataSource.query(`UPDATE content SET ${kind} = 'Photo' WHERE title = 'news'`),
        () => cache.repository(Content).delete(1),
        () => dataSource.getRepository(Photo).delete({ title: "sunset" }),
      ];
      for (const write of writes) {
        await write();
        await expectRight();
      }
    });

    it("a child adds keys of its own to those of its parents", async () => {
      const articles = cache.repository(Article);
      const longReads = cache.repository(LongRead);
      expect(await cache.explain(Content, "find", { where: { title: "x" } })).toMatchObject({ cacheable: true });
      expect(await cache.explain(Content, "find", { where: { author: "x" } as never })).toMatchObject({
        kind: "statement",
      });
      expect(await cache.explain(LongRead, "find", { where: { author: "x", pages: 1 } })).toMatchObject({
        cacheable: true,
      });
      expect(await articles.findBy({ author: "ada" })).toHaveLength(2);
      expect(await longReads.findBy({ author: "ada", pages: 40 })).toHaveLength(1);
      await cache.repository(Content).save({ id: 4, title: "renamed" });
      // Written through the parent's repository, which knows nothing of the child's key.
      const author = dataSource.driver.escape("author");
      await dataSource.query(`UPDATE content SET ${author} = 'bob' WHERE id = 3`);
      expect(await articles.findBy({ author: "ada" })).toHaveLength(1);
      expect(await articles.findBy({ author: "bob" })).toHaveLength(1);
      expect(await longReads.findBy({ author: "ada", pages: 40 })).toHaveLength(0);
    });

    it("a child's own settings win, and it can be turned off alone", async () => {
      const ttlOf = async (target: new () => Content) =>
        (await cache.explain(target, "findOne", { where: { id: 1 } })) as { ttl?: number };
      expect(await ttlOf(Photo)).toMatchObject({ ttl: 1000 });
      expect(await ttlOf(Article)).toMatchObject({ ttl: 600_000 });
      await cache.close();
      cache = await attachMemory(dataSource, { entities: { Article: false, Photo: { ttl: 5 } } });
      expect(await ttlOf(Photo)).toMatchObject({ ttl: 5 });
      expect(() => cache.repository(Article)).toThrow(expect.objectContaining({ code: "NOT_CACHED" }));
      expect(cache.repository(LongRead)).toBeDefined();
      // The parent's entries hold rows of the child that is off, and are right none the less.
      expect(await cache.repository(Content).findOneBy({ id: 2 })).toMatchObject({ author: "ada" });
      await dataSource.getRepository(Article).save({ id: 2, author: "eve" });
      expect(await cache.repository(Content).findOneBy({ id: 2 })).toMatchObject({ author: "eve" });
    });
  });

  it("has one pattern in TypeORM, which all tables of a hierarchy follow", async () => {
    const dataSource = await database.open([Content, Article, Car]);
    expect(dataSource.getMetadata(Article)).toMatchObject({ inheritancePattern: "STI", tableName: "content" });
    expect(dataSource.getMetadata(Car).inheritancePattern).toBeUndefined();
    // @ts-expect-error -- no class-table inheritance; docs/writes.md says what to do instead
    TableInheritance({ pattern: "CTI" });
    await database.cleanup();
  });

  it("of classes with a table each: options and keys come down from every parent", async () => {
    const dataSource = await database.open([Car, Boat, Log]);
    const cache = await attachMemory(dataSource);
    const cars = cache.repository(Car);
    const boats = cache.repository(Boat);
    expect(() => cache.repository(Log)).toThrow(expect.objectContaining({ code: "NOT_CACHED" }));
    const [car] = await cars.save([cars.create({ stamp: "s", ownerId: 1, plate: "ZH 1" })]);
    await boats.save(boats.create({ stamp: "s", ownerId: 1 }));
    for (const where of [{ stamp: "s" }, { ownerId: 1 }, { plate: "ZH 1" }, { id: car!.id }]) {
      await cars.findBy(where);
      expect(await cache.explain(Car, "find", { where })).toMatchObject({ cacheable: true, present: [true] });
    }
    const unknown = cache.explain(Boat, "find", { where: { plate: "x" } as never });
    await expect(unknown).rejects.toThrow(EntityPropertyNotFoundError);
    // One parent, two tables: a write of one says nothing of the other.
    await boats.findBy({ ownerId: 1 });
    await cars.update({ ownerId: 1 }, { ownerId: 2 });
    expect(await cache.explain(Boat, "find", { where: { ownerId: 1 } })).toMatchObject({ present: [true] });
    expect(await cars.findBy({ ownerId: 1 })).toEqual([]);
    // Negative entries are off for boats.
    await boats.findOneBy({ id: "6f9619ff-8b86-4011-b42d-00cf4fc964ff" });
    expect(cache.stats().unfilled["negative-off"]).toBe(1);
    await dataSource.destroy();
  });
});
