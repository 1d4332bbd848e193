import { createHmac } from "node:crypto";
import type { Redis } from "ioredis";
import { DataSource, type EntityManager } from "typeorm";
import {
  attachCache,
  MemoryStore,
  RedisStore,
  RedisStreamFeed,
  type CacheOptions,
  type CoherentCache,
  type InvalidatedEvent,
} from "typeorm-coherent";
import { quarantineOver } from "../support/cache-harness";
import { describeEachDatabase } from "../support/databases";
import { Item, Owner, Seat, Word } from "../support/entities/item";
import { redisForBlock } from "../support/redis-for-block";
import { until, type RedisServer } from "../support/redis-server";

const CHANNEL = "shop:changes";

describeEachDatabase("events", (database) => {
  let server: RedisServer;
  let client: Redis;
  let dataSource: DataSource;
  let other: DataSource;
  let cache: CoherentCache;
  let neighbour: CoherentCache;
  const caches: CoherentCache[] = [];

  const path = (entity: typeof Item | typeof Word | typeof Seat) => dataSource.getMetadata(entity).tablePath;

  async function attach(source: DataSource, options: CacheOptions = {}): Promise<CoherentCache> {
    const store = new RedisStore(client);
    const attached = await attachCache(source, {
      store,
      namespace: "shop",
      lockTtl: 400,
      storeTimeout: 150,
      logger: { warn: () => undefined },
      ...options,
    });
    caches.push(attached);
    if (options.store === undefined) await quarantineOver(store, [Item, Word, Seat].map(path));
    return attached;
  }

  /** What a cache is told, shortened. */
  function listen(to: CoherentCache) {
    const events: InvalidatedEvent[] = [];
    const gaps: string[] = [];
    to.on("invalidated", (event) => events.push(event));
    to.on("gap", ({ reason }) => gaps.push(reason));
    return {
      events,
      gaps,
      /** Everything that was written before has been heard when this has. */
      async settled() {
        const before = events.length;
        await cache.repository(Word).save({ text: `mark${before}` });
        await until(() => events.some(({ rows }) => rows?.[0]?.["text"] === `mark${before}`));
        return events.filter(({ table }) => table !== path(Word)).map(short);
      },
    };
  }

  const short = ({ table, operation, rows }: InvalidatedEvent) =>
    `${table.split(".").pop()} ${operation} ${rows === null ? "any" : rows.map((row) => Object.values(row).join("/")).join(",")}`;

  redisForBlock((...started) => ([client, server] = started));
  beforeEach(async () => {
    const options = await database.options([Item, Owner, Word, Seat], { file: true });
    dataSource = await new DataSource(options).initialize();
    other = await new DataSource({ ...options, synchronize: false }).initialize();
    for (const id of [1, 2, 3]) await dataSource.getRepository(Item).save({ code: `c${id}`, shelf: id });
    cache = await attach(dataSource);
    neighbour = await attach(other);
  });
  afterEach(async () => {
    for (const attached of caches.splice(0)) await attached.close();
    await dataSource.destroy();
    await other.destroy();
    await database.cleanup();
  });

  it("tell every process what was done to which rows, and who did it", async () => {
    const [mine, yours] = [listen(cache), listen(neighbour)];
    const items = cache.repository(Item);
    await items.save({ id: 1, rank: 5 });
    await items.update({ id: 2 }, { rank: 6 });
    await items.delete(3);
    await items.save({ code: "c4", shelf: 4 });
    await dataSource.query(
      "UPDATE item SET rank = 7 WHERE code = 'c1'".replace("rank", dataSource.driver.escape("rank")),
    );
    await dataSource.query(`UPDATE item SET ${dataSource.driver.escape("rank")} = 8 WHERE id > 0`);
    const told = [
      "item update 1",
      "item update 2",
      "item delete 3",
      "item insert 4",
      "item update 1",
      "item unknown any",
    ];
    expect(await yours.settled()).toEqual(told);
    expect(await mine.settled()).toEqual(told);
    expect(new Set(mine.events.map(({ own }) => own))).toEqual(new Set([true]));
    expect(new Set(yours.events.map(({ own }) => own))).toEqual(new Set([false]));
    expect(new Set([...mine.events, ...yours.events].map(({ origin }) => origin)).size).toBe(1);
    expect(yours.events.map(({ sequence }) => sequence)).toEqual(yours.events.map((_, at) => at + 1));
    const group = path(Item).replace(/[^\w.-]/g, "");
    expect(yours.events[0]!.tags).toEqual([`${group}|*`, `${group}|id=1`]);
    expect([...mine.gaps, ...yours.gaps]).toEqual([]);
    expect(neighbour.stats().invalidated).toBe(yours.events.length);
  });

  it("come once per table of a transaction, and not at all for what is rolled back", async () => {
    const { settled } = listen(neighbour);
    await dataSource.transaction(async (manager: EntityManager) => {
      await manager.getRepository(Item).save([
        { id: 1, rank: 1 },
        { id: 2, rank: 1 },
      ]);
      await manager.getRepository(Seat).save({ row: 1, place: "a" });
      await manager.getRepository(Item).delete(3);
    });
    const failed = dataSource.transaction(async (manager: EntityManager) => {
      await manager.getRepository(Item).save({ id: 1, rank: 2 });
      throw new Error("no");
    });
    await expect(failed).rejects.toThrow("no");
    expect(new Set(await settled())).toEqual(new Set(["item mixed 1,2,3", "seat insert 1/a"]));
  });

  it("come from cache.invalidate and cache.clear", async () => {
    const { settled } = listen(neighbour);
    await cache.invalidate(Item, { id: 1 });
    await cache.invalidate(Item);
    await cache.clear();
    const all = await settled();
    expect(all.filter((text) => text.startsWith("item"))).toEqual([
      "item unknown any",
      "item unknown any",
      "item unknown any",
    ]);
    expect(all.some((text) => text.startsWith("seat"))).toBe(true);
  });

  it("come when an UNLOCK that failed is made up for", async () => {
    const { events, gaps } = listen(neighbour);
    const frozen = new Promise<void>((resolve) =>
      cache.on("lock", () => {
        process.kill(server.pid, "SIGSTOP");
        resolve();
      }),
    );
    const saved = cache.repository(Item).save({ id: 1, rank: 9 });
    await frozen;
    await saved;
    expect(cache.stats().pending).toBeGreaterThan(0);
    process.kill(server.pid, "SIGCONT");
    await until(() => cache.stats().pending === 0);
    await until(() => events.length > 0 || gaps.includes("connection"));
    expect(await neighbour.repository(Item).findOneBy({ id: 1 })).toMatchObject({ rank: 9 });
  });

  it("that were missed are a gap", async () => {
    const { gaps, events } = listen(neighbour);
    await client.client("KILL", "TYPE", "pubsub");
    await until(() => gaps.length > 0);
    await cache.repository(Item).save({ id: 1, rank: 3 });
    await until(() => events.length > 0);
    expect(gaps).toEqual(["connection"]);
    expect(neighbour.stats().gaps).toBe(1);
    const [event] = events;
    const next = { ...event!, v: 1, sequence: event!.sequence + 2 };
    await client.publish(CHANNEL, JSON.stringify(next));
    await until(() => gaps.length > 1);
    expect(gaps[1]).toBe("sequence");
  });

  it("are neither sent nor heard with channel: false", async () => {
    await neighbour.close();
    const deaf = await attach(other, { channel: false });
    const [mine, theirs] = [listen(cache), listen(deaf)];
    await deaf.repository(Item).save({ id: 1, rank: 1 });
    expect(await mine.settled()).toEqual([]);
    expect(theirs.events).toEqual([]);
    expect(await cache.repository(Item).findOneBy({ id: 1 })).toMatchObject({ rank: 1 });
  });

  describe("of another program", () => {
    const tell = (message: object | string) =>
      client.publish(CHANNEL, typeof message === "string" ? message : JSON.stringify(message));
    /** What the program does, past the cache. */
    const write = (sql: string) => foreign.query(sql.replace("rank", dataSource.driver.escape("rank")));
    let foreign: DataSource;
    beforeEach(async () => {
      foreign = await new DataSource({ ...other.options, synchronize: false }).initialize();
    });
    afterEach(() => foreign.destroy());

    const ranks = async (by: CoherentCache) =>
      Promise.all([1, 2].map(async (id) => (await by.repository(Item).findOneBy({ id }))?.rank));
    const warm = async () => {
      for (const each of [cache, neighbour]) {
        await ranks(each);
        await each.repository(Item).findBy({ shelf: 9 });
        await each.repository(Item).countBy({ shelf: 1 });
      }
    };

    it("are obeyed: a row by its key", async () => {
      const { events } = listen(cache);
      await warm();
      await write("UPDATE item SET rank = 5, shelf = 9 WHERE id = 1");
      expect(await ranks(cache)).toEqual([0, 0]); // Nobody has told.
      await tell({ table: "item", id: 1 });
      await until(() => events.length > 0);
      const before = cache.stats().hits;
      expect(await ranks(cache)).toEqual([5, 0]);
      expect(cache.stats().hits).toBe(before + 1); // The other row is still there.
      expect(await cache.repository(Item).findBy({ shelf: 9 })).toHaveLength(1);
      expect(await cache.repository(Item).countBy({ shelf: 1 })).toBe(0);
      expect(short(events[0]!)).toBe("item unknown 1");
      expect(events[0]).toMatchObject({ origin: "outside", sequence: 0, own: false });
    });

    it.each([
      ["several rows", { table: "item", ids: [1, 2] }],
      ["rows by the name of their key", { table: "item", rows: [{ id: 1 }, { id: 2 }] }],
      ["a whole table", { table: "item" }],
      ["a key that is not the primary one: the whole table", { table: "item", rows: [{ code: "c1" }] }],
      ["ids as texts", { table: "item", ids: ["1", "2"] }],
    ])("are obeyed: %s", async (_, message) => {
      const { events } = listen(cache);
      await warm();
      await write("UPDATE item SET rank = 5");
      await tell(message);
      await until(() => events.length > 0);
      expect(await ranks(cache)).toEqual([5, 5]);
      expect(await ranks(neighbour)).toEqual([5, 5]);
    });

    it("by hundreds are obeyed in a few steps", async () => {
      const { events } = listen(cache);
      await warm();
      await write("UPDATE item SET rank = 6");
      let steps = 0;
      cache.on("invalidate", () => (steps += 1));
      await Promise.all(Array.from({ length: 300 }, (_, at) => tell({ table: "item", id: (at % 3) + 1 })));
      await until(() => events.length === 300);
      expect(await ranks(cache)).toEqual([6, 6]);
      expect(steps).toBeLessThan(300);
    });

    it("that nobody understands are counted and ignored", async () => {
      await warm();
      await tell("nonsense");
      await tell({ table: "nothing", id: 1 });
      await tell({ table: "item", id: null });
      await tell(`{"table":"item","more":"${"x".repeat(70_000)}"}`);
      await until(() => Object.values(cache.stats().rejected).reduce((sum, count) => sum + count, 0) === 4);
      expect(cache.stats().rejected).toEqual({ malformed: 2, oversized: 1, unsigned: 0, unknown: 1 });
      expect(cache.stats().invalidated).toBe(0);
    });

    it("must be signed if there is a secret", async () => {
      await cache.close();
      await neighbour.close();
      cache = await attach(dataSource, { channel: { secret: "s3cret" } });
      neighbour = await attach(other, { channel: { secret: "s3cret" } });
      const { events } = listen(cache);
      await warm();
      await write("UPDATE item SET rank = 5");
      const json = JSON.stringify({ table: "item", id: 1 });
      await tell(json);
      await until(() => cache.stats().rejected.unsigned === 1);
      expect(await ranks(cache)).toEqual([0, 0]);
      await tell(`${createHmac("sha256", "s3cret").update(json).digest("hex")} ${json}`);
      await until(() => events.length > 0);
      expect(await ranks(cache)).toEqual([5, 0]);
      await neighbour.repository(Item).save({ id: 2, rank: 7 });
      await until(() => events.length > 1);
      expect(short(events[1]!)).toBe("item update 2");
    });

    it("are obeyed from a stream, by one process for all", async () => {
      const { events } = listen(neighbour);
      const feed = await cache.feeds.add(new RedisStreamFeed(client));
      await until(async () => (await client.exists("shop:changes:stream")) === 1);
      await warm();
      await write("UPDATE item SET rank = 5 WHERE id = 1");
      const send = (message: object) => client.xadd("shop:changes:stream", "*", "message", JSON.stringify(message));
      await send({ table: "nothing", id: 1 });
      await send({ table: "item", id: 1 });
      await until(() => events.some(({ rows }) => rows?.[0]?.["id"] === 1));
      expect(await ranks(cache)).toEqual([5, 0]);
      expect(await ranks(neighbour)).toEqual([5, 0]);
      expect(cache.stats().rejected.unknown).toBe(1);
      await cache.feeds.remove(feed);
    });

    it("that a feed has lost invalidate everything", async () => {
      const gaps: unknown[] = [];
      cache.on("gap", (gap) => gaps.push(gap));
      await cache.feeds.add(new RedisStreamFeed(client));
      await until(async () => (await client.exists("shop:changes:stream")) === 1);
      await warm();
      await write("UPDATE item SET rank = 5");
      await client.del("shop:changes:stream");
      await until(() => gaps.length === 2);
      expect(gaps[1]).toEqual({ reason: "feed", origin: "redis-stream" });
      await until(async () => (await ranks(cache)).join() === "5,5");
    });

    it("about a parent invalidate the children that the database may have changed with it", async () => {
      await dataSource.getRepository(Owner).save({ name: "o" });
      await cache.repository(Item).save({ id: 1, owner: { id: 1 } });
      expect(await cache.repository(Item).findOneBy({ id: 1 })).toMatchObject({ ownerId: 1 });
      const { events } = listen(cache);
      if (database.name === "sqlite") await foreign.query("PRAGMA foreign_keys = ON");
      await foreign.query("DELETE FROM owner");
      await tell({ table: "owner", id: 1, operation: "delete" });
      // What was saved may be told of only now.
      await until(() => events.some((event) => short(event) === "owner delete 1"));
      expect(await cache.repository(Item).findOneBy({ id: 1 })).toMatchObject({ ownerId: null });
    });
  });

  it("come from the embedded store as well", async () => {
    await cache.close();
    cache = await attach(dataSource, { store: new MemoryStore() });
    const { settled } = listen(cache);
    await cache.repository(Item).save({ id: 1, rank: 1 });
    expect(await settled()).toEqual(["item update 1"]);
  });

  it("of the embedded store are heard by all that share it, until each is closed", async () => {
    await Promise.all([cache.close(), neighbour.close()]);
    const store = new MemoryStore();
    cache = await attach(dataSource, { store });
    neighbour = await attach(other, { store });
    const { events, settled } = listen(cache);
    const told = listen(neighbour).events;
    await cache.repository(Item).save({ id: 1, rank: 1 });
    expect(told.map(short)).toEqual(["item update 1"]);
    await neighbour.close();
    await cache.repository(Item).findOneBy({ id: 1 });
    await cache.repository(Item).save({ id: 1, rank: 2 });
    expect(await cache.repository(Item).findOneBy({ id: 1 })).toMatchObject({ rank: 2 });
    expect(await settled()).toEqual(["item update 1", "item update 1"]);
    expect(events.length).toBeGreaterThan(2);
    expect(told).toHaveLength(1);
    expect(cache.stats()).toMatchObject({ storeErrors: 0, pending: 0, bypasses: {} });
  });

  it.each([
    { channel: 1 },
    { channel: null },
    { channel: { secret: "" } },
    { channel: { secret: 1 } },
    { channel: { heartbeat: 0 } },
    { channel: { heartbeat: "soon" } },
  ])("refuse %j", async (options) => {
    await cache.close();
    await expect(attachCache(dataSource, options as unknown as CacheOptions)).rejects.toMatchObject({
      name: "CacheConfigError",
      code: "CONFIG_INVALID",
      message: expect.stringContaining("channel") as string,
    });
  });
});
