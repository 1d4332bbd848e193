import { AsyncLocalStorage } from "node:async_hooks";
import { Redis } from "ioredis";
import { Column, Entity, In, PrimaryGeneratedColumn, type DataSource } from "typeorm";
import {
  CacheKey,
  Cached,
  RedisStore,
  type CacheOptions,
  type CoherentCache,
  type KeyBuilder,
  type KeyParts,
} from "typeorm-coherent";
import { attachMemory, countStatements, quarantineOver } from "../support/cache-harness";
import { databases, type TestDatabase } from "../support/databases";
import { startRedis } from "../support/redis-server";

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
    expect(warnings).toEqual([expect.stringMatching(/key builder of Page gives two queries the same key.*digest/)]);
  });

  it("that give two queries one text never hand one the load of the other", async () => {
    await attach({ keyBuilder: () => "same" });
    const pages = cache.repository(Page);
    await pages.save({ slug: "contact" });
    // The tags of all three get their tokens at once, and then look alike.
    await pages.findBy({ id: In([1, 2, 3]) });
    const reads = [1, 2, 1, 2].map((id) => pages.findOneBy({ id }));
    expect((await Promise.all(reads)).map((page) => page?.slug)).toEqual(["home", "about", "home", "about"]);
    const counts = [pages.countBy({ id: 1 }), pages.countBy({ id: 99 }), pages.existsBy({ id: 99 })];
    expect(await Promise.all(counts)).toEqual([1, 0, false]);
  });

  it("get the parts of a key: what is asked for, and a digest that tells it from every other query", async () => {
    const asked: KeyParts[] = [];
    await attach({
      namespace: "shop",
      keyBuilder: (parts) => {
        asked.push(parts);
        return parts.digest;
      },
    });
    const pages = cache.repository(Page);
    await pages.findOneBy({ id: 1 });
    await pages.findBy({ slug: "home" });
    await pages.countBy({ slug: "home" });
    await pages.findBy({ id: In([1, 2]) });
    expect(asked.map(({ digest: _, ...parts }) => parts)).toEqual([
      { namespace: "shop", entity: "Page", kind: "row", fields: ["id"], values: [1] },
      { namespace: "shop", entity: "Page", kind: "rows", fields: ["slug"], values: ["home"] },
      { namespace: "shop", entity: "Page", kind: "count", fields: ["slug"], values: ["home"] },
      { namespace: "shop", entity: "Page", kind: "row", fields: ["id"], values: [1] },
      { namespace: "shop", entity: "Page", kind: "row", fields: ["id"], values: [2] },
    ]);
    expect(new Set(asked.map(({ digest }) => digest)).size).toBe(4);
  });

  it("write through under the key that a reader of the same kind asks for", async () => {
    await attach({ keyBuilder: ({ entity, fields, values }) => `${entity}/${fields.join()}/${values.join()}` });
    const pages = cache.repository(Page);
    await pages.findOneBy({ id: 1 });
    const written: string[] = [];
    cache.on("writeThrough", ({ key }) => written.push(key));
    await pages.save({ id: 1, views: 8 });
    expect(written).toEqual(["Page/id/1"]);
    statements.reset();
    expect(await pages.findOneBy({ id: 1 })).toMatchObject({ views: 8 });
    expect(statements.selects).toEqual([]);
  });

  it("may return any text: each is a key of its own, in Redis too", async () => {
    const server = await startRedis();
    const client = new Redis(server.url);
    try {
      let text = "";
      const store = new RedisStore(client);
      await attach({ store, keyBuilder: () => text, lockTtl: 200, storeTimeout: 99 });
      await quarantineOver(store, ["page"]);
      const pages = cache.repository(Page);
      const long = "x".repeat(5000);
      const texts = ["a b", "a\nb", "a\0b", "{a}", "}{", "*", "\ud800", "🎉", "e:", "g", "t:|", long, `${long}y`];
      for (text of texts) {
        expect(await pages.findOneBy({ id: 1 })).toMatchObject({ slug: "home" });
        statements.reset();
        expect(await pages.findOneBy({ id: 1 })).toMatchObject({ slug: "home" });
        expect(statements.selects).toEqual([]);
      }
      expect(cache.stats().misses).toMatchObject({ absent: texts.length, collision: 0, corrupt: 0 });
      await cache.close();
    } finally {
      client.disconnect();
      await server.stop();
    }
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
    await pages.findOneBy({ id: 2 });
    // Said once, not once a read.
    expect(warnings).toEqual([expect.stringMatching(/key builder of Page returned .* must return a text/)]);
    const explained = await cache.explain(Page, "findOne", { where: { id: 1 } });
    expect(explained).toMatchObject({ cacheable: false, reason: "key-builder" });
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
