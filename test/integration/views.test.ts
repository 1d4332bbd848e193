import { Redis } from "ioredis";
import {
  Column,
  DataSource,
  Entity,
  JoinTable,
  ManyToMany,
  ManyToOne,
  PrimaryColumn,
  ViewColumn,
  ViewEntity,
  type ObjectLiteral,
} from "typeorm";
import { CacheKey, Cached, RedisStore, attachCache, type CacheOptions, type CoherentCache } from "typeorm-coherent";
import { attachMemory, quarantineOver } from "../support/cache-harness";
import { describeEachDatabase, type Entities, type TestDatabase } from "../support/databases";
import { startRedis, type RedisServer } from "../support/redis-server";

@Entity()
class Shelf {
  @PrimaryColumn() id!: number;
  @Column() room!: string;
}

/** Not cached itself, as all tables here: what a view is made of is followed for the view's sake. */
@Entity()
class Book {
  @PrimaryColumn() id!: number;
  @Column() title!: string;
  @ManyToOne(() => Shelf, { onDelete: "CASCADE", cascade: true }) shelf!: Shelf;
  @Column({ nullable: true }) shelfId!: number;
  @ManyToMany(() => Word, { cascade: true }) @JoinTable({ name: "tagging" }) words!: Word[];
}

@Entity()
class Word {
  @PrimaryColumn() id!: number;
  @Column() text!: string;
}

/** No view is made of it. */
@Entity()
class Visitor {
  @PrimaryColumn() id!: number;
}

@ViewEntity({
  expression: `SELECT b.id AS "id", b.title AS "title", s.room AS "room" FROM book b LEFT JOIN shelf s ON s.id = b.${'"shelfId"'}`,
})
@Cached()
class PlacedBook {
  @ViewColumn() @PrimaryColumn() id!: number;
  @ViewColumn() title!: string;
  @CacheKey() @ViewColumn() room!: string;
}

@ViewEntity({
  expression: (dataSource: DataSource) =>
    dataSource
      .createQueryBuilder()
      .select("s.room", "room")
      .addSelect("COUNT(b.id)", "books")
      .from(Shelf, "s")
      .leftJoin(Book, "b", "b.shelfId = s.id")
      .groupBy("s.room"),
})
@Cached()
class RoomSize {
  @CacheKey() @ViewColumn() room!: string;
  @CacheKey() @ViewColumn() books!: number;
}

@ViewEntity({
  expression: `WITH big AS (SELECT * FROM room_size WHERE books > 1) SELECT big.room AS "room", big.books AS "books" FROM big`,
  dependsOn: [RoomSize],
})
@Cached({ ttl: "1h" })
class BigRoom {
  @CacheKey() @ViewColumn() room!: string;
  @ViewColumn() books!: number;
}

/** Several rows of it are alike, to TypeORM one. */
@ViewEntity({
  expression: `SELECT w.text AS "text", 'x' AS "mark" FROM word w, tagging t WHERE EXISTS (SELECT 1 FROM book b WHERE b.id = t.${'"bookId"'}) AND t.${'"wordId"'} = w.id`,
})
@Cached()
class UsedWord {
  @CacheKey() @ViewColumn() text!: string;
  @ViewColumn() mark!: string;
}

/** TypeORM is not told of what it is made of. */
@ViewEntity({ name: "hand_made", synchronize: false })
@Cached({ dependsOn: ["book", Shelf] })
class HandMade {
  @CacheKey() @ViewColumn() room!: string;
  @ViewColumn() title!: string;
}

const TABLES = [Shelf, Book, Word, Visitor];
const VIEWS = [PlacedBook, RoomSize, BigRoom, UsedWord, HandMade];

type Reads = Pick<ReturnType<CoherentCache["repository"]>, "findBy" | "findOneBy" | "countBy" | "existsBy" | "find">;
type RepositoryOf = (entity: new () => ObjectLiteral) => Reads;

/** Rows of a view have no order. */
const sorted = (rows: readonly unknown[]) => rows.map((row) => JSON.stringify(row)).sort();

function everything(of: RepositoryOf): Promise<unknown[]> {
  const rowsOf = async (view: new () => ObjectLiteral, where: object) => sorted(await of(view).findBy(where));
  return Promise.all([
    ...[1, 2, 3].map((id) => of(PlacedBook).findOneBy({ id })),
    ...["cellar", "attic", "hall"].flatMap((room) =>
      [PlacedBook, RoomSize, BigRoom, HandMade].flatMap((view) => [
        rowsOf(view, { room }),
        of(view).countBy({ room }),
        of(view).existsBy({ room }),
      ]),
    ),
    ...[0, 1, 2].map((books) => rowsOf(RoomSize, { books })),
    ...["red", "old"].flatMap((text) => [of(UsedWord).findBy({ text }), of(UsedWord).countBy({ text })]),
  ]);
}
const READS = 3 + 3 * 4 * 3 + 3 + 4;

/** The expressions are PostgreSQL's; MariaDB quotes names otherwise. */
function forMariadb(views: readonly (new () => ObjectLiteral)[], dataSource: DataSource): void {
  for (const view of views) {
    const metadata = dataSource.getMetadata(view);
    if (typeof metadata.expression === "string") metadata.expression = metadata.expression.replaceAll('"', "`");
  }
}

describeEachDatabase("views", (database) => {
  describe.each(["MemoryStore", "RedisStore"] as const)("on a %s", (store) => viewsOn(database, store));
});

function viewsOn(database: TestDatabase, kind: "MemoryStore" | "RedisStore"): void {
  let dataSource: DataSource;
  let cache: CoherentCache;
  let server: RedisServer | undefined;
  let client: Redis | undefined;
  const plain: RepositoryOf = (entity) => dataSource.getRepository(entity);
  const cached: RepositoryOf = (entity) => cache.repository(entity);

  async function open(entities: Entities): Promise<DataSource> {
    const opened = await database.open(entities, { synchronize: false });
    if (database.name === "mariadb")
      forMariadb(
        VIEWS.filter((view) => opened.hasMetadata(view)),
        opened,
      );
    await opened.synchronize();
    return opened;
  }

  beforeAll(async () => {
    dataSource = await open([...TABLES, ...VIEWS]);
    const column = dataSource.driver.escape("shelfId");
    await dataSource.query(
      `CREATE VIEW hand_made AS SELECT s.room, b.title FROM book b JOIN shelf s ON s.id = b.${column}`,
    );
    if (kind === "MemoryStore") cache = await attachMemory(dataSource);
    else {
      server = await startRedis();
      client = new Redis(server.url);
      const store = new RedisStore(client);
      // A machine may be so busy that an answer takes its time.
      cache = await attachMemory(dataSource, { store, lockTtl: 1000, storeTimeout: 450 });
      await quarantineOver(
        store,
        TABLES.map((entity) => dataSource.getMetadata(entity).tablePath),
      );
    }
  });
  afterAll(async () => {
    await cache.close();
    await dataSource.destroy();
    client?.disconnect();
    await server?.stop();
  });
  beforeEach(async () => {
    for (const entity of [Book, Shelf, Word, Visitor])
      await dataSource.createQueryBuilder().delete().from(entity).execute();
    await dataSource.getRepository(Shelf).save([
      { id: 1, room: "cellar" },
      { id: 2, room: "attic" },
    ]);
    await dataSource.getRepository(Word).save([
      { id: 1, text: "red" },
      { id: 2, text: "old" },
    ]);
    await dataSource.getRepository(Book).save([
      { id: 1, title: "a", shelf: { id: 1 }, words: [{ id: 1 }] },
      { id: 2, title: "b", shelf: { id: 1 }, words: [{ id: 1 }, { id: 2 }] },
    ]);
    await everything(cached);
  });

  const shelfId = () => dataSource.driver.escape("shelfId");

  it.each<[string, () => Promise<unknown>]>([
    ["save of a changed row", () => dataSource.getRepository(Book).save({ id: 1, title: "z" })],
    ["save of a new row", () => dataSource.getRepository(Book).save({ id: 3, title: "c", shelf: { id: 2 } })],
    ["save of the other table", () => dataSource.getRepository(Shelf).save({ id: 1, room: "hall" })],
    ["update by id", () => dataSource.getRepository(Shelf).update(2, { room: "cellar" })],
    ["update of the join column", () => dataSource.getRepository(Book).update(2, { shelfId: 2 })],
    ["insert", () => dataSource.getRepository(Book).insert({ id: 3, title: "c", shelfId: 1 })],
    ["delete by id", () => dataSource.getRepository(Book).delete(2)],
    [
      "remove",
      async () =>
        dataSource.getRepository(Book).remove(await dataSource.getRepository(Book).findOneByOrFail({ id: 1 })),
    ],
    ["a bulk update", () => dataSource.createQueryBuilder().update(Book).set({ title: "all" }).execute()],
    ["a bulk delete", () => dataSource.createQueryBuilder().delete().from(Book).where("title <> 'a'").execute()],
    ["an update by SQL", () => dataSource.query("UPDATE shelf SET room = 'hall' WHERE room = 'cellar'")],
    ["an update by SQL and id", () => dataSource.query("UPDATE book SET title = 'sql' WHERE id = 1")],
    ["an insert by SQL", () => dataSource.query(`INSERT INTO book (id, title, ${shelfId()}) VALUES (3, 'c', 1)`)],
    ["a cascade of the database", () => dataSource.getRepository(Shelf).delete(1)],
    [
      "a cascade of TypeORM",
      () => dataSource.getRepository(Book).save({ id: 3, title: "c", shelf: { id: 3, room: "hall" } }),
    ],
    ["a row of a join table", () => dataSource.createQueryBuilder().relation(Book, "words").of(1).add(2)],
    ["a row less in a join table", () => dataSource.createQueryBuilder().relation(Book, "words").of(2).remove(2)],
    ["a table behind it", () => dataSource.getRepository(Word).update(1, { text: "blue" })],
    [
      "a transaction",
      () =>
        dataSource.transaction(async (manager) => {
          await manager.update(Shelf, 2, { room: "hall" });
          await manager.save(Book, { id: 3, title: "c", shelf: { id: 2 } });
        }),
    ],
  ])("are as the database has them after %s", async (_, write) => {
    const before = await everything(plain);
    expect(await everything(cached)).toEqual(before);
    const { hits } = cache.stats();
    expect(await everything(cached)).toEqual(before);
    expect(cache.stats().hits - hits).toBe(READS);
    await write();
    const now = await everything(plain);
    expect(now).not.toEqual(before);
    // And what those reads have filled is right too.
    for (let round = 0; round < 2; round += 1) expect(await everything(cached)).toEqual(now);
  });

  it("stay when a table is written that they are not made of, or nothing is committed", async () => {
    const before = await everything(cached);
    await dataSource.getRepository(Visitor).save({ id: 1 });
    await dataSource.query("DELETE FROM visitor");
    const rolledBack = dataSource.transaction(async (manager) => {
      await manager.delete(Book, 1);
      throw new Error("changed my mind");
    });
    await expect(rolledBack).rejects.toThrow("changed my mind");
    const { hits } = cache.stats();
    expect(await everything(cached)).toEqual(before);
    expect(cache.stats().hits - hits).toBe(READS);
  });

  it("rows that are alike are one to TypeORM, on a hit too", async () => {
    for (let round = 0; round < 2; round += 1) expect(await cached(UsedWord).findBy({ text: "red" })).toHaveLength(1);
    expect(await cached(UsedWord).countBy({ text: "red" })).toBe(2);
  });

  it("depend on the tables and nothing finer", async () => {
    const { tags } = (await cache.explain(BigRoom, "find", { where: { room: "hall" } })) as { tags: readonly string[] };
    const short = tags.map((tag) => tag.replace(/^.*?(\w+\|)/, "$1"));
    expect(short).toEqual(["big_room|", "book|", "book|*", "shelf|", "shelf|*"]);
    await cache.invalidate(PlacedBook, { id: 1 });
    expect(await cache.explain(PlacedBook, "find", { where: { room: "cellar" } })).toMatchObject({ present: [false] });
    expect(await cache.explain(RoomSize, "find", { where: { room: "cellar" } })).toMatchObject({ present: [true] });
  });

  if (database.name !== "postgres" || kind === "RedisStore") return;

  @ViewEntity({ materialized: true, expression: `SELECT s.room AS "room", now() AS "at" FROM shelf s` })
  @Cached()
  class Snapshot {
    @CacheKey() @ViewColumn() room!: string;
    @ViewColumn() at!: Date;
  }
  @ViewEntity({ expression: `SELECT room AS "room" FROM snapshot`, dependsOn: [Snapshot] })
  @Cached()
  class OfSnapshot {
    @CacheKey() @ViewColumn() room!: string;
  }

  it("that are materialized change with a refresh", async () => {
    const source = await database.open([Shelf, Snapshot, OfSnapshot]);
    const own = await attachMemory(source);
    const read = async (of: (entity: new () => ObjectLiteral) => Reads) => [
      await of(Snapshot).findBy({ room: "cellar" }),
      await of(OfSnapshot).findBy({ room: "cellar" }),
    ];
    const both = async () => {
      const now = await read((entity) => source.getRepository(entity));
      for (let round = 0; round < 2; round += 1) expect(await read((entity) => own.repository(entity))).toEqual(now);
      return now;
    };
    expect(await both()).toEqual([[], []]);
    const { hits } = own.stats();
    await source.getRepository(Shelf).save({ id: 1, room: "cellar" });
    expect(await both()).toEqual([[], []]);
    expect(own.stats().hits - hits).toBe(4);
    await source.query("REFRESH MATERIALIZED VIEW snapshot");
    expect(await both()).toMatchObject([[{ room: "cellar" }], [{ room: "cellar" }]]);
  });
}

describeEachDatabase("views that cannot be followed", (database) => {
  const view = (expression: string | undefined, options: Parameters<typeof Cached>[0] | undefined = {}) => {
    @ViewEntity({ name: "odd", synchronize: false, ...(expression === undefined ? {} : { expression }) })
    class Odd {
      @CacheKey() @ViewColumn() id!: number;
    }
    return { Odd, options };
  };
  const attach = async (
    { Odd, options }: ReturnType<typeof view>,
    entities: CacheOptions["entities"] = { Odd: options },
    defaults: CacheOptions["defaults"] = {},
  ) => {
    const dataSource = await database.open([Shelf, Odd]);
    return { Odd, cache: await attachCache(dataSource, { entities, defaults }) };
  };
  const KNOWN = "SELECT id FROM shelf";

  it.each<[string, ReturnType<typeof view>, RegExp]>([
    ["no expression", view(undefined), /Odd has no expression.*dependsOn/],
    ["an unknown table", view("SELECT id FROM shelf, ledger"), /Odd reads ledger, which is no entity.*dependsOn/],
    ["a table of another schema", view("SELECT id FROM elsewhere.shelf"), /reads elsewhere.shelf/],
    ["a function", view("SELECT total(id) AS id, stock(id) AS n FROM shelf"), /calls stock\(\), which may read any/],
    ["the clock", view("SELECT id FROM shelf WHERE room < CURRENT_DATE"), /uses current_date.*Take @Cached off it\.$/],
    ["the clock, declared", view("SELECT now() AS id", { dependsOn: ["shelf"] }), /uses now/],
    ["a list of unknown names", view(undefined, { dependsOn: ["shelves"] }), /dependsOn names 'shelves'/],
    ["a class that is not there yet", view(undefined, { dependsOn: [undefined as never] }), /import each other/],
    ["no list", view(KNOWN, { dependsOn: "shelf" as never }), /dependsOn must be a list/],
    ["write-through", view(KNOWN, { strategy: "write-through" }), /write-through" is for tables/],
  ])("are refused: %s", async (_, odd, message) => {
    await expect(attach(odd)).rejects.toMatchObject({
      code: "CONFIG_INVALID",
      entity: "Odd",
      message: expect.stringMatching(message) as string,
    });
  });

  it("a table has no list", async () => {
    await expect(attach(view(KNOWN), { Shelf: { dependsOn: ["odd"] } })).rejects.toThrow("is for views");
  });

  it("are left out if all entities are cached", async () => {
    for (const expression of ["SELECT id FROM ledger", "SELECT now() AS id", undefined]) {
      const { Odd, cache } = await attach(view(expression), "all", { strategy: "write-through" });
      expect(() => cache.repository(Odd)).toThrow("Odd is not cached");
      expect(cache.repository(Shelf)).toBeDefined();
    }
    const { Odd, cache } = await attach(view(KNOWN), "all", { strategy: "write-through" });
    expect(cache.repository(Odd)).toBeDefined();
  });
});
