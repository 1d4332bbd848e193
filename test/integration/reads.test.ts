import * as typeorm from "typeorm";
import {
  Column,
  Entity,
  Equal,
  In,
  JoinTable,
  ManyToMany,
  ManyToOne,
  MoreThan,
  Not,
  OneToMany,
  PrimaryGeneratedColumn,
  RelationId,
  VirtualColumn,
  type DataSource,
  type EntityTarget,
  type FindManyOptions,
  type FindOptionsWhere,
  type ObjectLiteral,
  type Repository,
} from "typeorm";
import {
  CacheKey,
  Cached,
  MemoryStore,
  type BypassReason,
  type CachedRepository,
  type CoherentCache,
} from "typeorm-coherent";
import { attachMemory, countStatements } from "../support/cache-harness";
import { countingStore } from "../support/counting-store";
import { describeEachDatabase } from "../support/databases";
import { Item, Owner, Seat, Word } from "../support/entities/item";
import { expectSame } from "../support/same-as";

type Read = (items: Repository<Item>) => Promise<unknown>;

describeEachDatabase("reads", (database) => {
  const store = countingStore(new MemoryStore());
  let dataSource: DataSource;
  let cache: CoherentCache;
  let items: CachedRepository<Item>;
  let plain: Repository<Item>;
  let statements: ReturnType<typeof countStatements>;

  beforeAll(async () => {
    dataSource = await database.open([Item, Owner, Word, Seat]);
    await dataSource.getRepository(Owner).save([{ name: "one" }, { name: "two" }]);
    await dataSource.getRepository(Item).save([
      { code: "A", shelf: 1, slot: "x", rank: 3, ownerId: 1 },
      { code: "B", shelf: 1, slot: "x", rank: 1, ownerId: 1 },
      { code: "C", shelf: 1, slot: "y", rank: 2, active: false },
      { code: "D", shelf: 2, slot: "x", rank: 4, ownerId: 2 },
      { code: "E", shelf: 2, slot: "x", rank: 5, deletedAt: new Date() },
    ]);
    cache = await attachMemory(dataSource, { store });
    items = cache.repository(Item);
    plain = dataSource.getRepository(Item);
    statements = countStatements(dataSource);
  });
  beforeEach(() => cache.clear());

  async function hit<Result>(read: () => Promise<Result>): Promise<Result> {
    statements.reset();
    const result = await read();
    expect(statements.selects).toEqual([]);
    return result;
  }

  /** In SQL, because TypeORM lets PostgreSQL number the rows whatever the entity says. */
  const insertWithId = (id: number) =>
    dataSource.query(`INSERT INTO item (id, code, shelf) VALUES (${id}, 'n${id}', 9)`);

  /** How many entries a read asks for, and under which keys. */
  const keysOf = async (method: "find" | "findOne" | "exists" | "count", options: FindManyOptions<Item>) => {
    const explained = await cache.explain(Item, method, options);
    if (!explained.cacheable) return explained.reason;
    return explained.kind === "statement" ? undefined : explained.keys;
  };

  const wheres: Record<string, FindOptionsWhere<Item> | FindOptionsWhere<Item>[]> = {
    "the primary key": { id: 2 },
    "a primary key that no row has": { id: 99 },
    "a unique key": { code: "B" },
    "a unique key that no row has": { code: "Z" },
    "a key of many rows": { shelf: 1 },
    "a boolean": { active: false },
    "a composite key": { slot: "x", shelf: 1 },
    "a relation by id": { owner: { id: 1 } },
    "a relation by Equal": { owner: Equal(2) },
    "a relation's column": { ownerId: 1 },
    Equal: { code: Equal("C") },
    "one alternative": [{ shelf: 2 }],
    "a soft deleted row": { code: "E" },
  };
  const methods: Record<
    string,
    (items: Repository<Item>, where: FindOptionsWhere<Item> | FindOptionsWhere<Item>[]) => Promise<unknown>
  > = {
    find: (repository, where) => repository.find({ where }),
    "find, deleted ones too": (repository, where) => repository.find({ where, withDeleted: true }),
    "find in order": (repository, where) => repository.find({ where, order: { rank: "DESC" } }),
    "find a page": (repository, where) => repository.find({ where, order: { rank: "ASC" }, take: 1 }),
    findBy: (repository, where) => repository.findBy(where),
    findOne: (repository, where) => repository.findOne({ where, order: { rank: "ASC" } }),
    findOneBy: (repository, where) => repository.findOneBy(where),
    exists: (repository, where) => repository.exists({ where }),
    existsBy: (repository, where) => repository.existsBy(where),
    count: (repository, where) => repository.count({ where, withDeleted: true }),
    countBy: (repository, where) => repository.countBy(where),
  };
  const combinations = Object.entries(methods).flatMap(([method, read]) =>
    Object.entries(wheres).map(([what, where]) => ({
      title: `${method} by ${what}`,
      read: (repository: Repository<Item>) => read(repository, where),
    })),
  );

  it.each(combinations)("$title: as the database says, then without it", async ({ read }) => {
    const expected = await read(plain);
    statements.reset();
    expectSame(await read(items), expected);
    expect(statements.selects.length).toBeGreaterThan(0);
    expectSame(await hit(() => read(items)), expected);
  });

  it.each([
    ["findOneOrFail", (repository) => repository.findOneOrFail({ where: { code: "Z" } })],
    [
      "findOneOrFail with options",
      (repository) => repository.findOneOrFail({ where: { shelf: 9 }, order: { rank: "ASC" } }),
    ],
    ["findOneByOrFail", (repository) => repository.findOneByOrFail({ id: 99 })],
    ["findOneByOrFail by relation", (repository) => repository.findOneByOrFail({ owner: { id: 9 } })],
  ] satisfies [string, Read][])("%s rejects as TypeORM does", async (_, read) => {
    const failure = async (repository: Repository<Item>) =>
      read(repository).then(
        () => undefined,
        (error: unknown) => error,
      );
    const expected = (await failure(plain)) as Error;
    for (const actual of [await failure(items), await hit(() => failure(items))]) {
      expect(actual).toBeInstanceOf(expected.constructor);
      expectSame({ ...(actual as Error) }, { ...expected });
      expect((actual as Error).message).toBe(expected.message);
      expect((actual as Error).name).toBe(expected.name);
    }
  });

  it("findOneOrFail and findOneByOrFail return what is there", async () => {
    for (const read of [
      () => items.findOneOrFail({ where: { code: "A" } }),
      () => items.findOneByOrFail({ code: "A" }),
    ]) {
      expectSame(await read(), await plain.findOneBy({ code: "A" }));
      expectSame(await hit(read), await plain.findOneBy({ code: "A" }));
    }
  });

  describe("In([...]) on a unique key", () => {
    const ids = (...values: unknown[]) => ({ id: In(values as number[]) });
    const idsOf = (found: readonly { readonly id: number }[]) => found.map(({ id }) => id);

    it("asks the store once, and the database for what is missing only", async () => {
      await items.findOneBy({ id: 2 });
      store.reads.length = 0;
      statements.reset();
      expect(idsOf(await items.findBy(ids(3, 1, 2)))).toEqual([1, 2, 3]);
      expect(store.reads.map((requests) => requests.length)).toEqual([3]);
      expect(statements.selects).toHaveLength(1);
      expect(await items.findBy(ids(3, 1))).toHaveLength(2);
      store.reads.length = 0;
      expectSame(
        await hit(() => items.findBy(ids(1, 2, 3))),
        await plain.find({ where: ids(1, 2, 3), order: { id: "ASC" } }),
      );
      expect(store.reads).toHaveLength(1);
      // What it has found serves reads by id, and the other way round.
      await hit(() => items.findOneBy({ id: 3 }));
    });

    it("does not ask for what it has", async () => {
      await items.findOneBy({ id: 2 });
      const parameters: unknown[] = [];
      const { logger } = dataSource;
      const { logQuery } = logger;
      logger.logQuery = (query, values) => void parameters.push(query, ...(Array.isArray(values) ? values : []));
      await items.findBy(ids(2, 4));
      logger.logQuery = logQuery;
      // SQLite's driver writes numbers into the text.
      expect(parameters.join(" ")).toMatch(/\b4\b/);
      expect(parameters.join(" ").replaceAll(/\$\d/g, "")).not.toMatch(/\b2\b/);
    });

    it('takes duplicates, and 1 and "1", for one', async () => {
      expect(await keysOf("find", { where: ids(1, 1, "1") })).toHaveLength(1);
      expectSame(await items.findBy(ids(1, "1", 2, 1)), await plain.find({ where: ids(1, 2), order: { id: "ASC" } }));
      expect(idsOf(await hit(() => items.findBy(ids("2", 1, "1"))))).toEqual([1, 2]);
    });

    it("remembers ids that no row has, until one has", async () => {
      const rows = await items.findBy(ids(1, 98, 99));
      expect(idsOf(rows)).toEqual([1]);
      expect(await hit(() => items.findOneBy({ id: 98 }))).toBeNull();
      expect(idsOf(await hit(() => items.findBy(ids(98, 1))))).toEqual([1]);
      await insertWithId(98);
      expect(idsOf(await items.findBy(ids(98, 1, 99)))).toEqual([1, 98]);
      await items.delete(98);
      expect(idsOf(await items.findBy(ids(98, 1)))).toEqual([1]);
    });

    it("leaves soft deleted rows out unless they are asked for", async () => {
      for (const read of [() => items.findBy(ids(4, 5)), () => items.find({ where: ids(4, 5), withDeleted: true })]) {
        const expected = idsOf(await read());
        expect(idsOf(await hit(read))).toEqual(expected);
      }
      expect(idsOf(await items.findBy(ids(4, 5)))).toEqual([4]);
      expect(idsOf(await items.find({ where: ids(4, 5), withDeleted: true }))).toEqual([4, 5]);
    });

    it("an empty list, and one that is too long, are TypeORM's", async () => {
      expect(await items.findBy({ id: In([]) })).toEqual([]);
      const many = Array.from({ length: 501 }, (_, index) => index + 1);
      expect(await keysOf("find", { where: { id: In(many) } })).toBeUndefined();
      expect(idsOf(await items.find({ where: { id: In(many) }, order: { id: "ASC" } }))).toEqual([1, 2, 3, 4]);
      expect(await keysOf("find", { where: { id: In(many.slice(1)) } })).toHaveLength(500);
      expect(idsOf(await items.findBy({ id: In(many.slice(1)) }))).toEqual([2, 3, 4]);
      expect(idsOf(await hit(() => items.findBy({ id: In(many.slice(1)) })))).toEqual([2, 3, 4]);
    });

    it("on a declared key that is unique, is split per row as well", async () => {
      const codes = (...values: string[]) => ({ where: { code: In(values) } });
      expect(await keysOf("find", codes("A", "B", "A"))).toHaveLength(2);
      await items.findOneBy({ code: "A" });
      statements.reset();
      const expected = await plain.find({ ...codes("A", "B"), order: { id: "ASC" } });
      statements.reset();
      expectSame(await items.find(codes("B", "A")), expected);
      expect(statements.selects).toHaveLength(1);
      expect(statements.selects[0]).not.toMatch(/IN *\([^)]*,/); // It asks for B alone.
      expectSame(await hit(() => items.find(codes("A", "B"))), expected);
      expect(await hit(() => items.findOneBy({ code: "B" }))).toMatchObject({ code: "B" });
      expect(idsOf(await items.find(codes("B", "none")))).toEqual([2]);
      await items.update({ code: "B" }, { code: "none" });
      expect(await items.find(codes("A", "B"))).toHaveLength(1);
      expect(idsOf(await items.find(codes("B", "none")))).toEqual([2]);
      await items.update({ code: "none" }, { code: "B" });
      expect(await keysOf("find", { ...codes("A"), order: { code: "ASC" } })).toBeUndefined();
    });

    it("on a composite key, with a limit or in an order, is TypeORM's", async () => {
      expect(await keysOf("find", { where: { shelf: In([1]) } })).toBeUndefined();
      expect(await keysOf("find", { where: { shelf: 1, slot: In(["x"]) } })).toBeUndefined();
      expect(await keysOf("findOne", { where: ids(1) })).toBeUndefined();
      expect(await keysOf("count", { where: ids(1) })).toBeUndefined();
      expect(await keysOf("find", { where: ids(1), take: 1 })).toBeUndefined();
      expect(await keysOf("find", { where: ids(2, 1), order: { id: "DESC" } })).toBeUndefined();
      expect(idsOf(await items.find({ where: ids(2, 1), order: { id: "DESC" } }))).toEqual([2, 1]);
    });

    it("orders texts, negative numbers and several digits as numbers where they are some", async () => {
      const values = [-2, -10, 9, 10];
      for (const id of values) await insertWithId(id * 1000);
      expect(idsOf(await items.findBy(ids(...values.map((id) => id * 1000))))).toEqual([-10000, -2000, 9000, 10000]);
      await items.delete({ shelf: 9 });
    });
  });

  describe("entries", () => {
    const same: [string, ["find" | "findOne" | "exists" | "count", FindManyOptions<Item>][]][] = [
      [
        "of the primary key",
        [
          ["findOne", { where: { id: 1 } }],
          ["findOne", { where: { id: "1" as unknown as number } }],
          ["findOne", { where: [{ id: 1 }] }],
          ["findOne", { where: { id: Equal(1) }, order: { rank: "ASC" } }],
          ["findOne", { where: { id: 1 }, cache: 1000, comment: "why" }],
          ["find", { where: { id: 1 }, take: 5, skip: 0 }],
          ["find", { where: { id: In([1]) } }],
          ["exists", { where: { id: 1 } }],
        ],
      ],
      [
        "of a unique key",
        [
          ["findOne", { where: { code: "A" } }],
          ["find", { where: { code: "A" }, order: { id: "DESC" } }],
          ["exists", { where: { code: "A" }, relations: {}, select: {} }],
        ],
      ],
      [
        "of a composite key",
        [
          ["find", { where: { shelf: 1, slot: "x" } }],
          ["find", { where: { slot: "x", shelf: 1 }, order: {}, skip: 0 }],
          ["find", { where: { slot: Equal("x"), shelf: 1 }, withDeleted: false }],
        ],
      ],
      [
        "in an order",
        [
          ["find", { where: { shelf: 1 }, order: { rank: "ASC", id: "DESC" } }],
          ["find", { where: { shelf: 1 }, order: { rank: "asc", id: "desc" } }],
          ["find", { where: { shelf: 1 }, order: { rank: 1, id: -1 } }],
          ["find", { where: { shelf: 1 }, order: { rank: { direction: "ASC" }, id: { direction: "desc" } } }],
        ],
      ],
      [
        "with deleted rows",
        [
          ["find", { where: { shelf: 1 }, withDeleted: true }],
          // Whatever is true to TypeORM.
          ["find", { where: { shelf: 1 }, withDeleted: 1 as unknown as boolean }],
        ],
      ],
      [
        "of a where that inherits",
        [
          ["find", { where: { shelf: 2 } }],
          ["find", { where: Object.create({ shelf: 2 }) as { shelf: number } }],
        ],
      ],
      [
        "of a boolean",
        [
          ["find", { where: { active: true } }],
          ["find", { where: { active: 1 as unknown as boolean } }],
        ],
      ],
    ];

    it.each(same)("%s are shared by every way to say it", async (_, reads) => {
      const keys = await Promise.all(reads.map(([method, options]) => keysOf(method, options)));
      for (const key of keys) expect(key).toEqual(keys[0]);
      expect(keys[0]).toHaveLength(1);
    });

    it("are of one query each: no two that may differ share one", async () => {
      const different: ["find" | "findOne" | "exists" | "count", FindManyOptions<Item>][] = [
        ...same.map(([, reads]) => reads[0]!),
        ["findOne", { where: { id: 2 } }],
        ["findOne", { where: { id: 1n as unknown as number } }],
        ["findOne", { where: { id: true as unknown as number } }],
        ["findOne", { where: { id: "01" as unknown as number } }],
        ["findOne", { where: { id: 1.5 } }],
        ["findOne", { where: { id: 1 }, withDeleted: true }],
        ["count", { where: { id: 1 } }],
        ["count", { where: { id: 1 }, withDeleted: true }],
        ["findOne", { where: { code: "a" } }],
        ["findOne", { where: { code: "A " } }],
        ["findOne", { where: { code: 1 as unknown as string } }],
        ["findOne", { where: { code: "1" } }],
        ["findOne", { where: { code: "undefined" } }],
        ["findOne", { where: { code: true as unknown as string } }],
        ["findOne", { where: { code: "true" } }],
        ["findOne", { where: { code: new Date(0) as unknown as string } }],
        ["findOne", { where: { code: new Date(0).toISOString() } }],
        ["findOne", { where: { code: Buffer.from("A") as unknown as string } }],
        ["findOne", { where: { shelf: 1 } }],
        ["findOne", { where: { shelf: 1 }, order: { id: "ASC" } }],
        ["findOne", { where: { shelf: 1 }, skip: 1 }],
        ["find", { where: { shelf: 1 } }],
        ["find", { where: { shelf: 1 }, take: 1 }],
        ["find", { where: { shelf: 1 }, take: 2 }],
        ["find", { where: { shelf: 1 }, skip: 1, take: 2 }],
        ["find", { where: { shelf: 1 }, order: { rank: "ASC" } }],
        ["find", { where: { shelf: 1 }, order: { rank: "DESC" } }],
        ["find", { where: { shelf: 1 }, order: { id: "DESC", rank: "ASC" } }],
        ["find", { where: { shelf: 1 }, order: { rank: { direction: "ASC", nulls: "LAST" } } }],
        ["count", { where: { shelf: 1 } }],
        ["find", { where: { slot: "x,y", shelf: 1 } }],
        ["find", { where: { slot: 'x","y', shelf: 1 } }],
        ["find", { where: { slot: "x", shelf: 11 } }],
        ["find", { where: { active: false } }],
        ["find", { where: { active: "1" as unknown as boolean } }],
        ["find", { where: { ownerId: 1 } }],
        ["find", { where: { owner: { id: 1 } } }],
        ["find", { where: { owner: { id: 1 } }, withDeleted: true }],
      ];
      const keys = await Promise.all(different.map(([method, options]) => keysOf(method, options)));
      expect(new Set(keys.map((key) => JSON.stringify(key))).size).toBe(different.length);
      expect(keys.filter((key) => typeof key === "string")).toEqual([]);
    });
  });

  describe("the option cache of a call", () => {
    it("false goes past the cache", async () => {
      await items.findOne({ where: { id: 1 } });
      const before = cache.stats().bypasses["cache-off"] ?? 0;
      statements.reset();
      expectSame(await items.findOne({ where: { id: 1 }, cache: false }), await plain.findOneBy({ id: 1 }));
      expect(statements.selects).toHaveLength(2);
      expect(cache.stats().bypasses["cache-off"]).toBe(before + 1);
    });

    it.each([
      ["a number", 5000, 5000],
      ["an id and milliseconds", { id: "mine", milliseconds: 7000 }, 7000],
      ["true", true, 600_000],
      ["zero", 0, 600_000],
      ["nonsense", { id: "mine", milliseconds: -1 }, 600_000],
    ])("%s is a time to live", async (_, option, expected) => {
      const fills: number[] = [];
      const stop = cache.on("fill", ({ ttl }) => fills.push(ttl));
      for (const options of [{ where: { id: 1 } }, { where: { shelf: 1 } }]) {
        await items.find({ ...options, cache: option });
        await items.count({ ...options, cache: option });
      }
      await items.exists({ where: { code: "Q" }, cache: option });
      stop();
      const least = expected * 0.9;
      for (const ttl of fills.slice(0, 4)) expect(ttl >= least && ttl <= expected).toBe(true);
      expect(fills).toHaveLength(5);
      expect(fills[4]).toBeLessThanOrEqual(Math.min(expected, 60_000)); // Nothing was found: at most negativeTtl.
      expect((await cache.explain(Item, "find", { where: { id: 1 }, cache: option })) as { ttl: number }).toMatchObject(
        { ttl: expected },
      );
    });
  });

  describe("what is no look at a key is served under its SQL", () => {
    const bySql: [string, Read][] = [
      ["findAndCount", (repository) => repository.findAndCount({ where: { shelf: 1 }, order: { id: "ASC" } })],
      ["findAndCountBy", (repository) => repository.findAndCountBy({ id: 1 })],
      ["relations", (repository) => repository.find({ where: { id: 1 }, relations: { owner: true } })],
      ["select", (repository) => repository.find({ where: { id: 1 }, select: { code: true } })],
      ["relation ids, said by nothing", (repository) => repository.find({ where: { id: 1 }, loadRelationIds: {} })],
      ["relation ids", (repository) => repository.find({ where: { id: 1 }, loadRelationIds: true })],
      ["skip of a single row", (repository) => repository.find({ where: { id: 1 }, skip: 1, take: 1 })],
      ["take: 0", (repository) => repository.find({ where: { id: 1 }, take: 0 })],
      ["a page of exists", (repository) => repository.exists({ where: { shelf: 1 }, skip: 2, take: 1 })],
      ["a page of a count", (repository) => repository.count({ where: { shelf: 1 }, skip: 1, take: 1 })],
      ["an ordered count", (repository) => repository.count({ where: { shelf: 1 }, order: { id: "ASC" } })],
      ["nothing", (repository) => repository.find({ order: { id: "ASC" } })],
      ["nothing at all", (repository) => repository.count()],
      ["an empty where", (repository) => repository.find({ where: {}, order: { id: "ASC" } })],
      ["alternatives", (repository) => repository.find({ where: [{ id: 1 }, { id: 2 }], order: { id: "ASC" } })],
      ["a column that is no key", (repository) => repository.findBy({ rank: 3 })],
      ["more than the key", (repository) => repository.findBy({ id: 1, rank: 3 })],
      ["less than the key", (repository) => repository.find({ where: { slot: "y" } })],
      ["an inequality", (repository) => repository.findBy({ shelf: MoreThan(1) })],
      ["a negation", (repository) => repository.find({ where: { shelf: Not(1) } })],
      ["more of the relation", (repository) => repository.findBy({ owner: { id: 2, name: "two" } })],
      ["another column of the relation", (repository) => repository.findBy({ owner: { name: "two" } })],
      ["the same column twice", (repository) => repository.findBy({ owner: { id: 2 }, ownerId: 2 })],
      ["of a relation", (repository) => repository.find({ where: { shelf: 2 }, order: { owner: { id: "ASC" } } })],
    ];
    it.each(bySql)("%s", async (_, read) => {
      const expected = await read(plain);
      const events: string[] = [];
      const stops = (["hit", "miss", "bypass", "unfilled"] as const).map((name) =>
        cache.on(name, () => events.push(name)),
      );
      expectSame(await read(items), expected);
      events.length = 0;
      statements.reset();
      expectSame(await read(items), expected);
      for (const stop of stops) stop();
      expect(statements.selects).toEqual([]);
      expect([...new Set(events)]).toEqual(["hit"]);
    });
  });

  describe("what the cache cannot serve is TypeORM's, with a reason", () => {
    const bypasses: [BypassReason, string, Read][] = [
      ["cache-off", "cache: false", (repository) => repository.find({ where: { id: 1 }, cache: false })],
      [
        "transaction",
        "a transaction of its own",
        (repository) => repository.find({ where: { id: 1 }, transaction: true }),
      ],
      ["value", "what is no value", (repository) => repository.findBy({ code: { toString: () => "A" } as never })],
    ];
    it.each(bypasses)("%s: %s", async (reason, _, read) => {
      const outcome = (repository: Repository<Item>) => read(repository).catch((error: unknown) => String(error));
      const events: unknown[] = [];
      const stop = cache.on("bypass", (event) => events.push(event));
      const [actual, expected] = [await outcome(items), await outcome(plain)];
      stop();
      expectSame(actual, expected);
      expect(events).toEqual([{ entity: "Item", method: expect.any(String), reason }]);
    });

    it.each([
      ["no where", (repository) => repository.findOne({})],
      ["no options", (repository) => repository.findOne(undefined as never)],
      ["null for options", (repository) => repository.find(null as never)],
      ["null for a where", (repository) => repository.findOneBy(null as never)],
      ["undefined in a where", (repository) => repository.findBy({ id: undefined as never })],
      ["null in a where", (repository) => repository.findBy({ id: null as never })],
      ["relation ids, by null", (repository) => repository.find({ where: { id: 1 }, loadRelationIds: null as never })],
      ["an empty list of relations", (repository) => repository.find({ where: { id: 1 }, relations: [] as never })],
      ["an empty list of columns", (repository) => repository.findOne({ where: { id: 1 }, select: [] as never })],
      ["an unknown property", (repository) => repository.findBy({ nothing: 1 } as never)],
      [
        "an order of an unknown property",
        (repository) => repository.find({ where: { shelf: 1 }, order: { nothing: 1 } as never }),
      ],
      [
        "an unknown property, counted",
        (repository) => repository.count({ where: { shelf: 1 }, order: { nothing: 1 } as never }),
      ],
    ] satisfies [string, Read][])("what TypeORM refuses or forgives it refuses or forgives: %s", async (_, read) => {
      const outcome = async (repository: Repository<Item>) => {
        try {
          return { found: await read(repository) };
        } catch (error) {
          return { name: (error as Error).constructor.name, message: (error as Error).message };
        }
      };
      // From a miss, from what it filled, and beside an entry of the same row.
      await items.findOneBy({ id: 1 });
      for (let time = 0; time < 3; time += 1) expectSame(await outcome(items), await outcome(plain));
    });

    it("an optimistic lock", async () => {
      const bypassed: string[] = [];
      const stop = cache.on("bypass", ({ reason }) => bypassed.push(reason));
      const read = (repository: Repository<Item>) =>
        repository
          .findOne({ where: { id: 1 }, lock: { mode: "optimistic", version: 1 } })
          .catch((error: unknown) => String(error));
      expect(await read(items)).toEqual(await read(plain));
      stop();
      expect(bypassed).toEqual([]); // It locks nothing: the version is compared with that of the row.
    });

    it("a transaction, which sees its own writes", async () => {
      await items.findOneBy({ id: 1 });
      const reasons: string[] = [];
      const stop = cache.on("bypass", ({ reason }) => reasons.push(reason));
      await dataSource.transaction(async (manager) => {
        const inside = manager.withRepository(items);
        expect(inside.constructor).toBe(items.constructor);
        await inside.update(1, { rank: 100 });
        expect((await inside.findOneByOrFail({ id: 1 })).rank).toBe(100);
        await inside.update(1, { rank: 3 });
      });
      const runner = dataSource.createQueryRunner();
      expect((await runner.manager.withRepository(items).findOneByOrFail({ id: 1 })).rank).toBe(3);
      await runner.release();
      stop();
      expect(reasons).toEqual(["transaction", "transaction"]);
    });

    it("an extended repository is cached too", async () => {
      const extended = items.extend({
        byCode(code: string) {
          return this.findOneBy({ code });
        },
      });
      expectSame(await extended.byCode("A"), await plain.findOneBy({ code: "A" }));
      expectSame(await hit(() => extended.byCode("A")), await plain.findOneBy({ code: "A" }));
    });

    it("the text of a query never gets into the way: other texts in where than the driver expects", async () => {
      for (const code of ["'; DROP TABLE item; --", "\n1\n", "\u0000"]) {
        const read = (repository: Repository<Item>) =>
          repository.findOneBy({ code }).catch((error: unknown) => String(error));
        expectSame(await read(items), await read(plain));
        expectSame(await read(items), await read(plain));
      }
    });
  });

  it("other primary keys: a text, two columns", async () => {
    const words = cache.repository(Word);
    await words.insert([{ text: "apple" }, { text: "pear" }, { text: "zebra" }]);
    const found = await words.findBy({ text: In(["zebra", "apple", "none"]) });
    expect(found.map(({ text }) => text)).toEqual(["apple", "zebra"]);
    expectSame(await hit(() => words.findBy({ text: In(["none", "zebra", "apple"]) })), found);
    await words.update("apple", { uses: 5 });
    expect((await words.findBy({ text: In(["zebra", "apple"]) }))[0]?.uses).toBe(5);

    const seats = cache.repository(Seat);
    await seats.insert([
      { row: 1, place: "a" },
      { row: 1, place: "b" },
    ]);
    expect(await seats.findOneBy({ place: "b", row: 1 })).toMatchObject({ price: 0 });
    await hit(() => seats.findOne({ where: { row: 1, place: "b" } }));
    await seats.update({ row: 1 }, { price: 3 });
    expect(await seats.findOneBy({ row: 1, place: "b" })).toMatchObject({ price: 3 });
    expect(await seats.findOneBy({ row: 2, place: "b" })).toBeNull();
    await seats.save({ row: 2, place: "b" });
    expect(await seats.findOneBy({ row: 2, place: "b" })).toMatchObject({ price: 0 });
  });
});

@Entity()
class Author {
  @PrimaryGeneratedColumn() id!: number;
  @Column() name!: string;
  @OneToMany(() => Book, (book) => book.author) books!: Book[];
}

@Entity()
@Cached()
class Book {
  @PrimaryGeneratedColumn() id!: number;
  @CacheKey() @Column() title!: string;
  @ManyToOne(() => Author, { eager: true, createForeignKeyConstraints: false, nullable: false }) author!: Author;
}

@Entity()
@Cached()
class Review {
  @PrimaryGeneratedColumn() id!: number;
  @CacheKey() @Column() stars!: number;
  @ManyToOne(() => Author, { eager: true, nullable: false }) author!: Author;
}

/** Has something that is not in its own row. */
@Entity()
@Cached()
class Magazine {
  @PrimaryGeneratedColumn() id!: number;
  @CacheKey() @Column() title!: string;
  @ManyToOne(() => Author, { nullable: true }) author!: Author | null;
  @RelationId((magazine: Magazine) => magazine.author) authorId!: number;
}

@Entity()
@Cached()
class Shelf {
  @PrimaryGeneratedColumn() id!: number;
  @CacheKey() @Column() title!: string;
  @VirtualColumn({ query: (alias) => `SELECT COUNT(*) FROM author WHERE id >= ${alias}.id` }) authors!: number;
}

/** Of TypeORM 0.3 only. */
const { RelationCount } = typeorm as { RelationCount?: (relation: (author: Author) => unknown) => PropertyDecorator };

@Entity("author_with_count")
@Cached()
class Counted {
  @PrimaryGeneratedColumn() id!: number;
  @CacheKey() @Column() name!: string;
  @ManyToMany(() => Author) @JoinTable() friends!: Author[];
  friendCount!: number;
}
RelationCount?.(((counted: Counted) => counted.friends) as never)(Counted.prototype, "friendCount");

describeEachDatabase("reads of entities that reach beyond their row", (database) => {
  let dataSource: DataSource;
  let cache: CoherentCache;
  beforeAll(async () => {
    dataSource = await database.open([Author, Book, Review, Magazine, Shelf, Counted]);
    cache = await attachMemory(dataSource);
    const author = await dataSource.getRepository(Author).save({ name: "Ada" });
    await dataSource.getRepository(Book).save([
      { title: "Engines", author },
      { title: "Orphan", author: { id: 99 } },
    ]);
    await dataSource.getRepository(Review).save({ stars: 5, author });
    await dataSource.getRepository(Magazine).save({ title: "Weekly", author });
    await dataSource.getRepository(Shelf).save({ title: "upper" });
    await dataSource.getRepository(Counted).save({ name: "Bob", friends: [author] });
  });

  /** What TypeORM says, and the reasons why it was asked. */
  async function bypassed<Row extends ObjectLiteral>(
    target: EntityTarget<Row>,
    read: (repository: Repository<Row>) => Promise<unknown>,
  ): Promise<string[]> {
    const reasons: string[] = [];
    const stop = cache.on("bypass", ({ reason }) => reasons.push(reason));
    const expected = await read(dataSource.getRepository(target));
    for (let time = 0; time < 2; time += 1) expectSame(await read(cache.repository(target)), expected);
    stop();
    return reasons;
  }

  it("eager relations are joined, unless the call leaves them out", async () => {
    expect(await bypassed(Review, (reviews) => reviews.findOneBy({ id: 1 }))).toEqual([]);
    expect(await bypassed(Review, (reviews) => reviews.findBy({ stars: 5 }))).toEqual([]);
    const alone = (reviews: Repository<Review>) => reviews.find({ where: { stars: 5 }, loadEagerRelations: false });
    expect(await bypassed(Review, alone)).toEqual([]);
    expect(await bypassed(Review, (reviews) => reviews.countBy({ stars: 5 }))).toEqual([]);
    expect(await bypassed(Review, (reviews) => reviews.existsBy({ id: 1 }))).toEqual([]);
  });

  it("a row whose partner need not be there may not be found: counts and exists ask the database too", async () => {
    for (const title of ["Engines", "Orphan"]) {
      expect(await bypassed(Book, (books) => books.existsBy({ title }))).toEqual([]);
      expect(await bypassed(Book, (books) => books.countBy({ title }))).toEqual([]);
      expect(await bypassed(Book, (books) => books.exists({ where: { title }, loadEagerRelations: false }))).toEqual(
        [],
      );
    }
  });

  it.each<[string, EntityTarget<ObjectLiteral>]>([
    ["relation ids", Magazine],
    ["virtual columns", Shelf],
    ...(RelationCount === undefined ? [] : [["relation counts", Counted] as [string, EntityTarget<ObjectLiteral>]]),
  ])("%s come from other tables, and are served with what they depend on", async (_, target) => {
    for (const read of [
      (repository: Repository<ObjectLiteral>) => repository.findOneBy({ id: 1 }),
      (repository: Repository<ObjectLiteral>) => repository.existsBy({ id: 1 }),
      (repository: Repository<ObjectLiteral>) => repository.countBy({ id: 1 }),
    ]) {
      expect(await bypassed(target, read)).toEqual([]);
    }
  });
});
