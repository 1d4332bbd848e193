import {
  AfterLoad,
  Column,
  DataSource,
  Entity,
  EntityNotFoundError,
  OneToMany,
  ManyToOne,
  PrimaryGeneratedColumn,
  type EntityManager,
  type EntitySubscriberInterface,
  type Repository,
} from "typeorm";
import { Cached, type CoherentCache } from "typeorm-coherent";
import { attachMemory, countStatements } from "../support/cache-harness";
import { describeEachDatabase } from "../support/databases";
import { fillLibrary, Author, Book, LIBRARY, Note, Place, Topic, Visit } from "../support/entities/library";
import { expectSame } from "../support/same-as";

// One line attaches the cache, and the app goes on as it was: its own repositories, manager and query builders are served.
describeEachDatabase("transparent", (database) => {
  let dataSource: DataSource;
  let plain: DataSource;
  let cache: CoherentCache;
  let before: Repository<Book>;
  let sent: ReturnType<typeof countStatements>;
  beforeAll(async () => {
    const options = await database.options(LIBRARY, { file: true });
    dataSource = await new DataSource(options).initialize();
    plain = await new DataSource({ ...options, synchronize: false }).initialize();
    await fillLibrary(dataSource);
    before = dataSource.getRepository(Book);
    cache = await attachMemory(dataSource, { transparent: true });
    sent = countStatements(dataSource);
  });
  afterAll(async () => {
    await dataSource.destroy();
    await plain.destroy();
  });
  beforeEach(() => cache.clear());

  /** The same from an uncached data source, and the second time without a statement. */
  async function expectServed<Result>(read: (from: DataSource) => Promise<Result>): Promise<Result> {
    const expected = await read(plain);
    expectSame(await read(dataSource), expected);
    sent.reset();
    const found = await read(dataSource);
    expectSame(found, expected);
    expect(sent.selects).toEqual([]);
    return found;
  }

  const one = { where: { title: "Anchors" } };

  describe("every door is served", () => {
    it.each<[string, (from: DataSource) => Promise<unknown>]>([
      ["dataSource.manager", ({ manager }) => manager.findOne(Book, one)],
      ["manager.find by key", ({ manager }) => manager.findBy(Book, { shelf: 1 })],
      ["manager.exists", ({ manager }) => manager.exists(Book, one)],
      ["manager.sum", ({ manager }) => manager.sum(Book, "shelf")],
      ["getRepository", (from) => from.getRepository(Book).find(one)],
      ["an entity that is not decorated, and is joined by one that is", (from) => from.getRepository(Topic).find()],
      ["a query builder of the data source", (from) => from.createQueryBuilder(Book, "b").where("b.id = 1").getMany()],
      ["a query builder of a repository", (from) => from.getRepository(Book).createQueryBuilder("b").getCount()],
      [
        "a relation, loaded by hand",
        (from) => from.createQueryBuilder().relation(Author, "books").of(1).loadMany<Book>(),
      ],
      ["trees", (from) => from.getTreeRepository(Place).findTrees()],
      ["roots", (from) => from.getTreeRepository(Place).findRoots()],
      ["descendants", (from) => from.getTreeRepository(Place).findDescendants({ id: 1 } as Place)],
      ["a tree of descendants", (from) => from.getTreeRepository(Place).findDescendantsTree({ id: 1 } as Place)],
      ["the number of descendants", (from) => from.getTreeRepository(Place).countDescendants({ id: 1 } as Place)],
      ["ancestors", (from) => from.getTreeRepository(Place).findAncestors({ id: 3 } as Place)],
      ["a tree of ancestors", (from) => from.getTreeRepository(Place).findAncestorsTree({ id: 3 } as Place)],
      ["the number of ancestors", (from) => from.getTreeRepository(Place).countAncestors({ id: 3 } as Place)],
      [
        "a repository that was extended",
        (from) =>
          from
            .getRepository(Book)
            .extend({
              onShelf(this: Repository<Book>, shelf: number) {
                return this.find({ where: { shelf }, order: { id: "DESC" }, take: 1 });
              },
            })
            .onShelf(1),
      ],
    ])("%s", async (_, read) => {
      await expectServed(read);
    });

    it("a repository that was taken before the cache was there", async () => {
      const expected = await plain.getRepository(Book).find(one);
      expectSame(await before.find(one), expected);
      sent.reset();
      expectSame(await before.find(one), expected);
      expect(sent.selects).toEqual([]);
    });

    it("by key, if that says it all", async () => {
      const keys: string[] = [];
      const stop = cache.on("fill", ({ key }) => keys.push(key));
      await expectServed((from) => from.getRepository(Author).findOneBy({ id: 2 }));
      await expectServed((from) => from.manager.existsBy(Author, { name: "Cay" }));
      stop();
      expect(keys).toEqual([
        expect.stringMatching(/^Author@.* row id=2$/),
        expect.stringMatching(/^Author@.* row name=/),
      ]);
    });

    it("active record", async () => {
      const read = (from: DataSource) => {
        Note.useDataSource(from);
        return Note.find({ where: { text: "good" } });
      };
      const [note] = await expectServed(read);
      Note.useDataSource(dataSource);
      note!.text = "better";
      await note!.save();
      expect(await Note.find({ where: { text: "good" } })).toEqual([]);
      expect(await Note.findOneByOrFail({ id: note!.id })).toMatchObject({ text: "better" });
      note!.text = "good";
      await note!.save();
    });

    it("lazy relations are promises, and are served when they are awaited", async () => {
      const edited = async (from: DataSource) => {
        const author = await from.getRepository(Author).findOneByOrFail({ name: "Ada" });
        const books = author.edited;
        expect(books).toBeInstanceOf(Promise);
        return books;
      };
      expect(await expectServed(edited)).toHaveLength(1);
    });
  });

  describe("what must not be served is not", () => {
    async function expectSent(read: (manager: EntityManager) => Promise<unknown>, manager = dataSource.manager) {
      await read(manager);
      const { hits } = cache.stats();
      sent.reset();
      await read(manager);
      expect(sent.selects.length).toBeGreaterThan(0);
      expect(cache.stats().hits).toBe(hits);
    }

    it("cache: false and .cache(false), eager relations and numbers included", async () => {
      await expectSent((manager) => manager.find(Book, { ...one, cache: false }));
      await expectSent((manager) => manager.exists(Book, { ...one, cache: false }));
      await expectSent((manager) => manager.createQueryBuilder(Book, "b").cache(false).getMany());
      await expectSent((manager) => manager.createQueryBuilder(Book, "b").cache(false).getExists());
      await expectSent((manager) => manager.createQueryBuilder(Book, "b").cache(false).getManyAndCount());
    });

    it("tables that nobody follows", async () => {
      const reasons: string[] = [];
      const stop = cache.on("bypass", ({ reason, entity }) => reasons.push(`${entity} ${reason}`));
      await expectSent((manager) => manager.find(Visit));
      await expectSent((manager) =>
        manager.createQueryBuilder(Book, "b").leftJoin(Visit, "v", "v.door = b.id").getRawMany(),
      );
      stop();
      expect(reasons).toEqual(["Visit tables", "Visit tables", "Book tables", "Book tables"]);
    });

    it("what asks for the time, or for chance", async () => {
      await expectSent((manager) =>
        manager.createQueryBuilder(Book, "b").where("b.madeAt < CURRENT_TIMESTAMP").getRawMany(),
      );
      const random = database.name === "mariadb" ? "RAND()" : "RANDOM()";
      await expectSent((manager) =>
        manager.createQueryBuilder(Book, "b").addSelect(random, "r").orderBy("r").getRawMany(),
      );
    });

    it("a SELECT that writes on the way", async () => {
      if (database.name !== "postgres") return; // The others have no such thing.
      const { manager } = dataSource;
      const older = "UPDATE author SET born = born + 1 WHERE id = 1 RETURNING id";
      const read = () =>
        manager
          .createQueryBuilder(Book, "b")
          .addCommonTableExpression(older, "older")
          .select("b.id", "id")
          .getRawMany();
      const born = async () => (await plain.manager.findOneByOrFail(Author, { id: 1 })).born;
      const before = await born();
      for (let time = 0; time < 3; time += 1) await read();
      await Promise.all([read(), read()]);
      expect(await born()).toBe(before + 5);
      expect(await manager.findOneByOrFail(Author, { id: 1 })).toMatchObject({ born: before + 5 });
      await manager.update(Author, 1, { born: before });
    });

    it("a transaction sees its own writes, and nobody else does", async () => {
      await dataSource.manager.find(Book, one);
      await dataSource
        .transaction(async (manager) => {
          await manager.update(Book, 1, { title: "Anvils" });
          expect(await manager.find(Book, one)).toEqual([]);
          expect(await manager.createQueryBuilder(Book, "b").where("b.title = 'Anvils'").cache(true).getExists()).toBe(
            true,
          );
          throw new Error("rolled back");
        })
        .catch(() => undefined);
      expect(await dataSource.manager.find(Book, one)).toHaveLength(1);
    });

    it("a query runner of the caller's, also outside of a transaction", async () => {
      // On SQLite all share one query runner, so that nobody can tell whose it is.
      const runner = dataSource.createQueryRunner();
      await expectSent((manager) => manager.find(Book, one), runner.manager);
      await expectSent((manager) => manager.exists(Book, one), runner.manager);
      await expectSent((manager) => manager.find(Book, { ...one, relations: { topics: true } }), runner.manager);
      await runner.release();
    });

    it("what save() and remove() read for themselves", async () => {
      const book = await dataSource.manager.findOneOrFail(Book, one);
      const { hits, fills } = cache.stats();
      sent.reset();
      await dataSource.manager.save(Book, { id: book.id, title: "Anvils", topics: [{ code: "war" }] } as never);
      await dataSource.manager.save(Book, { id: book.id, title: "Anchors", topics: [{ code: "sea" }] } as never);
      expect(sent.selects.length).toBeGreaterThan(1);
      expect(cache.stats()).toMatchObject({ hits, fills });
      expect(await dataSource.manager.findOneOrFail(Book, one)).toMatchObject({ topicIds: ["sea"] });
    });

    it("a stream", async () => {
      if (database.name !== "mariadb") return; // SQLite has none, and PostgreSQL's needs a package more.
      const { hits, fills } = cache.stats();
      const stream = await dataSource.createQueryBuilder(Book, "b").stream();
      let rows = 0;
      for await (const row of stream) rows += row === undefined ? 0 : 1;
      expect(rows).toBeGreaterThan(3);
      expect(cache.stats()).toMatchObject({ hits, fills });
    });
  });

  it("errors are TypeORM's own", async () => {
    const { manager } = dataSource;
    for (let time = 0; time < 2; time += 1) {
      await expect(manager.findOneOrFail(Book, { where: { title: "none" } })).rejects.toThrow(EntityNotFoundError);
      await expect(manager.findOneByOrFail(Book, { id: 99 })).rejects.toThrow(EntityNotFoundError);
      await expect(manager.find(Book, { where: { nothing: 1 } as never })).rejects.toThrow(/nothing/);
      await expect(manager.createQueryBuilder(Book, "b").where("b.nothing = 1").getMany()).rejects.toThrow(/nothing/);
    }
  });

  it("changing what was returned changes nothing that is cached", async () => {
    const read = (from: DataSource) =>
      from.manager.find(Book, { relations: { topics: true, author: true }, order: { id: "ASC" } });
    const raw = (from: DataSource) =>
      from.createQueryBuilder(Book, "b").orderBy("b.id").getRawMany<Record<string, unknown>>();
    for (let time = 0; time < 3; time += 1) {
      const books = await read(dataSource);
      expectSame(books, await read(plain));
      books[0]!.topics.length = 0;
      books[0]!.madeAt.setFullYear(1980);
      books[0]!.author!.name = "changed";
      const rows = await raw(dataSource);
      expectSame(rows, await raw(plain));
      for (const name of Object.keys(rows[0]!)) rows[0]![name] = "changed";
    }
  });

  it("many readers at once share one load, and no object", async () => {
    sent.reset();
    const found = await Promise.all(Array.from({ length: 10 }, () => before.find({ relations: { author: true } })));
    expect(sent.selects.length).toBeLessThanOrEqual(2);
    expect(new Set(found.map(([first]) => first)).size).toBe(10);
    const expected = await plain.getRepository(Book).find({ relations: { author: true } });
    for (const books of found) expectSame(books, expected);
  });
});

@Entity()
@Cached()
class Band {
  @PrimaryGeneratedColumn() id!: number;
  @Column() name!: string;
  @OneToMany(() => Song, (song) => song.band) songs!: Song[];
  seen?: number;
  @AfterLoad() see(): void {
    this.seen = (this.seen ?? 0) + 1;
  }
}

@Entity()
@Cached()
class Song {
  @PrimaryGeneratedColumn() id!: number;
  @Column() name!: string;
  @ManyToOne(() => Band, (band) => band.songs) band!: Band;
  told?: string[];
}

describeEachDatabase("transparent, beside", (database) => {
  afterEach(() => database.cleanup());

  it("load listeners run as often on a hit as on a load", async () => {
    let told: string[] = [];
    class Listener implements EntitySubscriberInterface<Song> {
      listenTo = () => Song;
      async afterLoad(song: Song): Promise<void> {
        await Promise.resolve();
        told.push(song.name);
        song.told = [...(song.told ?? []), song.name];
      }
    }
    const dataSource = await database.open([Band, Song], { subscribers: [Listener] });
    const { manager } = dataSource;
    const band = await manager.save(Band, { name: "b" });
    await manager.save(Song, [
      { name: "x", band },
      { name: "y", band },
    ]);
    const read = () => manager.find(Band, { relations: { songs: true }, order: { songs: { id: "ASC" } } });
    told = [];
    const expected = await read();
    const times = told;
    const cache = await attachMemory(dataSource, { transparent: true });
    for (let time = 0; time < 3; time += 1) {
      told = [];
      expectSame(await read(), expected);
      expect(told).toEqual(times);
    }
    expect(cache.stats().hits).toBe(2);
    expect(expected[0]).toMatchObject({ seen: 1 });
  });

  it("schema synchronisation and migrations are left alone, and are writes", async () => {
    class AddSong1700000000000 {
      async up(runner: { query(sql: string): Promise<unknown> }): Promise<void> {
        await runner.query("INSERT INTO band (name) VALUES ('migrated')");
      }
      async down(): Promise<void> {}
    }
    const dataSource = await database.open([Band, Song], { migrations: [AddSong1700000000000] });
    const cache = await attachMemory(dataSource, { transparent: true });
    const names = async () => (await dataSource.manager.find(Band)).map(({ name }) => name);
    expect(await names()).toEqual([]);
    expect(await names()).toEqual([]);
    const { hits } = cache.stats();
    await dataSource.runMigrations();
    expect(cache.stats().hits).toBe(hits);
    expect(await names()).toEqual(["migrated"]);
    await dataSource.synchronize(true);
    expect(await names()).toEqual([]);
  });

  it("TypeORM's own query cache goes on where nobody asks for this one, and is not asked where somebody does", async () => {
    const dataSource = await database.open([Band, Song], { cache: { type: "database", alwaysEnabled: true } });
    const cache = await attachMemory(dataSource);
    await dataSource.manager.save(Band, { name: "first" });
    const read = (from: Repository<Band>) => from.find({ order: { name: "ASC" } });
    const ours = cache.repository(Band);
    expect(await read(ours)).toHaveLength(1);
    expect(await read(dataSource.getRepository(Band))).toHaveLength(1);
    await dataSource.manager.save(Band, { name: "second" });
    expect(await read(ours)).toHaveLength(2);
    expect(await read(dataSource.getRepository(Band))).toHaveLength(1);
    const { hits } = cache.stats();
    expect(await read(ours)).toHaveLength(2);
    expect(cache.stats().hits).toBe(hits + 1);
  });

  it("closing the cache gives TypeORM back as it was, for this data source", async () => {
    const first = await database.open([Band, Song]);
    const second = await database.open([Band, Song]);
    const cache = await attachMemory(first, { transparent: true });
    const other = await attachMemory(second, { transparent: true });
    const prototype = Object.getPrototypeOf(first.createQueryBuilder()) as { loadRawResults: unknown };
    const patched = prototype.loadRawResults;
    await cache.close();
    expect(prototype.loadRawResults).toBe(patched);
    for (let time = 0; time < 2; time += 1) {
      await first.manager.find(Band);
      await second.manager.find(Band);
    }
    expect(cache.stats().hits).toBe(0);
    expect(other.stats().hits).toBe(1);
    await other.close();
    expect(prototype.loadRawResults).not.toBe(patched);
    await second.manager.find(Band);
    expect(other.stats()).toMatchObject({ hits: 1, bypasses: {} });
  });
});
