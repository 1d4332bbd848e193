import { AsyncLocalStorage } from "node:async_hooks";
import { Column, Entity, PrimaryGeneratedColumn, type DataSource } from "typeorm";
import { CacheKey, Cached, type CacheOptions, type CoherentCache, type KeyBuilder } from "typeorm-coherent";
import { attachMemory, countStatements } from "../support/cache-harness";
import { databases, type TestDatabase } from "../support/databases";

@Entity()
@Cached({ strategy: "write-through" })
class Page {
  @PrimaryGeneratedColumn() id!: number;
  @CacheKey() @Column() slug!: string;
  @Column({ default: 0 }) views!: number;
}

const ownKey: KeyBuilder = ({ entity, kind, fields, values }) =>
  `own:${entity}:${kind}:${fields.join()}:${values.join()}`;

@Entity()
@Cached({ keyBuilder: ownKey })
class Note {
  @PrimaryGeneratedColumn() id!: number;
  @Column() text!: string;
}

// A key builder sees no SQL: one database tells all.
const [sqlite] = databases() as [TestDatabase];

describe("key builders", () => {
  let dataSource: DataSource;
  let cache: CoherentCache;
  let statements: ReturnType<typeof countStatements>;
  const warnings: string[] = [];

  async function attach(options: CacheOptions): Promise<void> {
    dataSource = await sqlite.open([Page, Note]);
    await dataSource.getRepository(Page).save([{ slug: "home" }, { slug: "about" }]);
    await dataSource.getRepository(Note).save({ text: "first" });
    warnings.length = 0;
    cache = await attachMemory(dataSource, { logger: { warn: (message) => warnings.push(message) }, ...options });
    statements = countStatements(dataSource);
  }
  afterEach(() => sqlite.cleanup());

  it("keep tenants apart, and a write of one reaches the entries of all", async () => {
    const tenant = new AsyncLocalStorage<string>();
    await attach({ keyBuilder: ({ entity, digest }) => `${tenant.getStore() ?? "none"}:${entity}:${digest}` });
    const pages = cache.repository(Page);
    const keys: string[] = [];
    cache.on("fill", ({ key }) => keys.push(key));
    const readAs = (name: string) => tenant.run(name, () => pages.findOneBy({ id: 1 }));

    await readAs("a");
    await readAs("b");
    expect(keys).toEqual([expect.stringMatching(/^a:Page:/), expect.stringMatching(/^b:Page:/)]);
    statements.reset();
    await readAs("a");
    await readAs("b");
    expect(statements.selects).toEqual([]);

    await tenant.run("a", () => pages.save({ id: 1, views: 5 }));
    expect(await readAs("a")).toMatchObject({ views: 5 });
    expect(await readAs("b")).toMatchObject({ views: 5 });
  });

  it("of an entity win over that of the cache", async () => {
    await attach({ keyBuilder: () => "of the cache" });
    expect(await cache.explain(Note, "findOne", { where: { id: 1 } })).toMatchObject({ keys: ["own:Note:row:id:1"] });
    expect(await cache.explain(Page, "findOne", { where: { id: 1 } })).toMatchObject({ keys: ["of the cache"] });
  });

  it("that give two queries one text cost misses, never wrong data", async () => {
    await attach({ keyBuilder: () => "same" });
    const pages = cache.repository(Page);
    for (let round = 0; round < 3; round += 1) {
      expect(await pages.findOneBy({ id: 1 })).toMatchObject({ slug: "home" });
      expect(await pages.findOneBy({ id: 2 })).toMatchObject({ slug: "about" });
      expect(await pages.findBy({ slug: "home" })).toMatchObject([{ id: 1 }]);
      expect(await pages.countBy({ slug: "nowhere" })).toBe(0);
      expect(await pages.findOneBy({ id: 99 })).toBeNull();
    }
    expect(cache.stats().misses.collision).toBeGreaterThan(0);
    expect(cache.stats().hits).toBe(0);
  });

  it.each([
    ["an empty text", () => ""],
    ["no text", () => 7 as unknown as string],
    ["nothing", () => undefined as unknown as string],
    ["a promise", () => Promise.resolve("key") as unknown as string],
  ])("that return %s send the read to the database, with a warning that says what to do", async (_, keyBuilder) => {
    await attach({ keyBuilder });
    const pages = cache.repository(Page);
    expect(await pages.findOneBy({ id: 1 })).toMatchObject({ slug: "home" });
    expect(cache.stats()).toMatchObject({ fills: 0, bypasses: { "key-builder": 1 } });
    expect(warnings).toEqual([expect.stringMatching(/key builder of Page returned .* must return a text/)]);
    await expect(pages.save({ id: 1, views: 1 })).resolves.toBeDefined();
  });

  it("that throw send the read to the database; writes go on", async () => {
    await attach({
      keyBuilder: () => {
        throw new Error("no tenant");
      },
    });
    const pages = cache.repository(Page);
    await pages.save({ id: 1, views: 3 });
    expect(await pages.findOneBy({ id: 1 })).toMatchObject({ views: 3 });
    expect(await pages.countBy({ slug: "home" })).toBe(1);
    expect(cache.stats()).toMatchObject({ writeThroughs: 0, bypasses: { "key-builder": 2 } });
    expect(warnings[0]).toMatch(/key builder of Page threw/);
  });
});
