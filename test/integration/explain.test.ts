import { LessThan, MoreThan, Raw, type DataSource } from "typeorm";
import { CacheConfigError, type CoherentCache } from "typeorm-coherent";
import { attachMemory } from "../support/cache-harness";
import { databases } from "../support/databases";
import { Author, Book, fillLibrary, LIBRARY } from "../support/entities/library";

const database = databases().find(({ name }) => name === "sqlite")!;

describe("where a read stands", () => {
  let dataSource: DataSource;
  let cache: CoherentCache;
  const lines: string[] = [];
  beforeAll(async () => {
    dataSource = await database.open(LIBRARY);
    await fillLibrary(dataSource);
    cache = await attachMemory(dataSource, { debug: (line) => lines.push(line) });
  });
  afterAll(() => database.cleanup());
  beforeEach(() => (lines.length = 0));

  const ranged = { where: { born: MoreThan(1850) } };

  it("by its statement: key, tags, tables, whether and since when it is there, and who invalidated it last", async () => {
    const before = await cache.explain(Author, "find", ranged);
    expect(before).toMatchObject({
      cacheable: true,
      kind: "statement",
      keys: [expect.stringMatching(/^#/)],
      tags: ["author|", "author|*"],
      tables: ["author"],
      ttl: 600_000,
      present: [false],
      filledAt: [undefined],
    });
    const authors = cache.repository(Author);
    const from = Date.now();
    await authors.find(ranged);
    const there = await cache.explain(Author, "find", ranged);
    expect(there).toMatchObject({ present: [true] });
    const [filled] = there.cacheable ? there.filledAt : [];
    expect(filled!.getTime()).toBeGreaterThanOrEqual(from);
    expect(there.text).toContain(`present, stored ${filled!.toISOString()}`);

    await authors.update(2, { born: 1901 });
    const gone = await cache.explain(Author, "find", ranged);
    expect(gone).toMatchObject({ present: [false], invalidated: { cause: "update author", at: expect.any(Date) } });
    expect(gone.text.split("\n")).toEqual([
      "Author.find() is cached, for 600000 ms at most.",
      expect.stringMatching(/^ {2}absent, stored .*: #/),
      "  depends on author| author|*",
      expect.stringMatching(/^ {2}last invalidated .* by: update author$/),
    ]);
  });

  it("of several statements, each", async () => {
    const find = { relations: { topics: true }, take: 2, order: { id: "ASC" as const } };
    await cache.repository(Book).find(find);
    const explained = await cache.explain(Book, "find", find);
    if (!explained.cacheable) throw new Error(explained.text);
    expect(explained.keys.length).toBeGreaterThan(2);
    expect(explained.present).toEqual(explained.keys.map(() => true));
    expect(await cache.explain(Book, "findAndCount", { where: { shelf: 1 }, take: 1 })).toMatchObject({
      kind: "statement",
    });
  });

  it("counts, serves and stores nothing", async () => {
    const stats = cache.stats();
    await cache.explain(Author, "find", { where: { born: LessThan(1950) } });
    await cache.explain(Author, "findOne", { where: { id: 1 } });
    expect(cache.stats()).toEqual(stats);
    expect(lines).toEqual([]);
  });

  it("with the reason why it is not cached", async () => {
    const volatile = { where: { name: Raw((column) => `${column} < CURRENT_TIMESTAMP`) } };
    expect(await cache.explain(Author, "find", volatile)).toEqual({
      cacheable: false,
      reason: "volatile",
      text: "Author.find() goes to the database: its result depends on the clock, on chance or on the session.",
    });
    expect(await cache.explain(Author, "find", { cache: false })).toMatchObject({ reason: "cache-off" });
    await dataSource.transaction(async () => {
      // On SQLite all share a connection.
      expect(await cache.explain(Author, "find", {})).toMatchObject({ reason: "transaction" });
    });
  });

  it("in the log: one line per read, fill and write", async () => {
    const authors = cache.repository(Author);
    await authors.find({ where: { born: LessThan(1900) } });
    await authors.find({ where: { born: LessThan(1900) } });
    await authors.findOne({ where: { id: 1 }, cache: false });
    await authors.update(1, { born: 1816 });
    expect(lines.filter((line) => !line.startsWith("heard"))).toEqual([
      expect.stringMatching(/^read Author: miss \(absent\) #/),
      expect.stringMatching(/^fill Author: #.* for \d+ ms under author\| author\|\*$/),
      expect.stringMatching(/^read Author: hit #/),
      "read Author: findOne past the cache (cache-off)",
      "write update author: locks author|* author|id=1",
      "write update author: invalidates author|* author|id=1",
    ]);
  });
});

it("an option that is none is refused", async () => {
  const dataSource = await database.open([Author, Book, ...LIBRARY.slice(2)]);
  for (const options of [{ transparent: "yes" }, { debug: true }]) {
    await expect(attachMemory(dataSource, options as never)).rejects.toThrow(CacheConfigError);
  }
  await database.cleanup();
});
