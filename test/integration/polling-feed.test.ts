import { Column, DataSource, Entity, PrimaryColumn } from "typeorm";
import {
  attachCache,
  Cached,
  MemoryStore,
  type CacheOptions,
  type CoherentCache,
  type GapEvent,
  type InvalidatedEvent,
} from "typeorm-coherent";
import { describeEachDatabase } from "../support/databases";
import { Mark, Offer, Shop } from "../support/entities/shop-of-feeds";
import { until } from "../support/redis-server";

@Entity("Odd table")
@Cached()
class Odd {
  @PrimaryColumn({ name: "The key", length: 40 }) key!: string;
  @PrimaryColumn() number!: number;
  @Column({ default: 0 }) value!: number;
}

describeEachDatabase("the polling feed", (database) => {
  if (database.name === "postgres") {
    it("is not for PostgreSQL, which has a better one", async () => {
      const dataSource = await database.open([Mark]);
      const cache = await attachCache(dataSource);
      await expect(cache.feeds.polling()).rejects.toMatchObject({
        code: "CONFIG_INVALID",
        message: expect.stringContaining("cache.feeds.postgres()") as string,
      });
    });
    return;
  }

  let dataSource: DataSource;
  let cache: CoherentCache;
  /** Another program. */
  let foreign: DataSource;
  let events: InvalidatedEvent[];
  let gaps: GapEvent[];
  const quote = (name: string) => dataSource.driver.escape(name);

  beforeEach(async () => {
    const options = await database.options([Shop, Offer, Mark, Odd], { file: true });
    dataSource = await new DataSource(options).initialize();
    foreign = await new DataSource({ ...options, synchronize: false }).initialize();
    if (database.name === "sqlite") await foreign.query("PRAGMA foreign_keys = ON");
    await foreign.query("INSERT INTO shop VALUES (1, 'a'), (2, 'b')");
    await foreign.query(`INSERT INTO offer (${quote("shopId")}) VALUES (1), (1), (2)`);
    await attach();
  });
  afterEach(async () => {
    await cache.close();
    await foreign.destroy();
    await dataSource.destroy();
    await database.cleanup();
  });

  async function attach(options: CacheOptions = {}): Promise<void> {
    cache = await attachCache(dataSource, { store: new MemoryStore(), logger: { warn: () => undefined }, ...options });
    events = [];
    gaps = [];
    cache.on("invalidated", (event) => events.push(event));
    cache.on("gap", (event) => gaps.push(event));
  }

  let marks = 0;
  /** What was told since it was called last. */
  async function told(): Promise<string[]> {
    const id = ++marks;
    await foreign.query(`INSERT INTO mark VALUES (${id})`);
    await until(() =>
      events.some(({ table, rows }) => table === "mark" && rows?.some((row) => row["id"] === id) === true),
    );
    return events
      .splice(0)
      .filter(({ table }) => table !== "mark")
      .map(({ table, operation, rows }) => `${table} ${operation} ${JSON.stringify(rows)}`);
  }
  const start = async (more: Parameters<CoherentCache["feeds"]["polling"]>[0] = {}) => {
    const feed = await cache.feeds.polling({ every: 5, ...more });
    await told();
    return feed;
  };
  const prices = async () =>
    (await cache.repository(Offer).findBy({ shopId: 1 })).map(({ price }) => price).sort((a, b) => a - b);
  const waiting = async (table = "coherent_changes") => {
    const [row] = await foreign.query<{ n: unknown }[]>(`SELECT count(*) AS n FROM ${table}`);
    return Number(row!.n);
  };

  it("hears of what others write, as soon as they commit, and of nothing that they roll back", async () => {
    await start();
    await prices();
    await foreign.query("UPDATE offer SET price = 5 WHERE id = 1");
    expect(await told()).toEqual(['offer update [{"id":1}]']);
    expect(await prices()).toEqual([0, 5]);

    const runner = foreign.createQueryRunner();
    await runner.startTransaction();
    await runner.query("UPDATE offer SET price = 9");
    await runner.rollbackTransaction();
    expect(await told()).toEqual([]);
    await runner.startTransaction();
    await runner.query("DELETE FROM offer WHERE id = 2");
    await runner.query("UPDATE shop SET name = 'z' WHERE id = 1");
    await runner.commitTransaction();
    await runner.release();
    expect((await told()).sort()).toEqual(['offer delete [{"id":2}]', 'shop update [{"id":1}]']);
    expect(await prices()).toEqual([5]);
    await until(async () => (await waiting()) === 0);
  });

  it("hears of many rows, and of old and new primary keys", async () => {
    await start();
    await prices();
    const values = Array.from({ length: 3000 }, (_, at) => `(${10 + at}, 1, ${at})`).join();
    await foreign.query(`INSERT INTO offer (id, ${quote("shopId")}, price) VALUES ${values}`);
    await told();
    expect(await prices()).toHaveLength(3002);
    await foreign.query("UPDATE offer SET id = 5000 WHERE id = 2");
    expect(await told()).toEqual(['offer update [{"id":2},{"id":5000}]']);
    await foreign.query("DELETE FROM offer");
    await told();
    expect(await prices()).toEqual([]);
  });

  it("hears of tables whose names must be quoted, and of keys of several columns", async () => {
    await start();
    const table = quote("Odd table");
    await foreign.query(`INSERT INTO ${table} VALUES ('it''s \\\\ "x"', 5, 1)`);
    const [event] = await told();
    expect(event).toContain("Odd table insert [{");
    const rows = await cache.repository(Odd).find();
    expect(await cache.repository(Odd).findOneBy({ key: rows[0]!.key, number: 5 })).toMatchObject({ value: 1 });
    await foreign.query(`UPDATE ${table} SET value = 2`);
    await told();
    expect(await cache.repository(Odd).findOneBy({ key: rows[0]!.key, number: 5 })).toMatchObject({ value: 2 });
  });

  it("sees to rows that the database deletes with others", async () => {
    await start();
    await prices();
    await foreign.query("DELETE FROM shop WHERE id = 1");
    await told();
    expect(await prices()).toEqual([]);
  });

  it("obeys what came in while no process was there, and begins anew after a crash in the middle", async () => {
    const feed = await start();
    await prices();
    await cache.feeds.remove(feed);
    await foreign.query("UPDATE offer SET price = 6 WHERE id = 1");
    expect(await waiting()).toBe(1);
    // Handed over, and the process has died before it could delete it.
    await foreign.query("UPDATE offer SET price = 7 WHERE id = 1");
    gaps.length = 0;
    await start();
    expect(await prices()).toEqual([0, 7]);
    expect(gaps).toEqual([]);
    await until(async () => (await waiting()) === 0);
  });

  it("deletes nothing that the store has not taken", async () => {
    await cache.close();
    const store = new MemoryStore();
    const state = { refuses: false, calls: 0 };
    const invalidate = store.invalidate.bind(store);
    store.invalidate = async (...args) => {
      state.calls += 1;
      if (state.refuses) throw new Error("away");
      await invalidate(...args);
    };
    await attach({ store });
    await start();
    await prices();
    await until(async () => (await waiting()) === 0);
    state.refuses = true;
    state.calls = 0;
    await foreign.query("UPDATE offer SET price = 6 WHERE id = 1");
    await until(() => state.calls > 2);
    expect(await waiting()).toBe(1);
    state.refuses = false;
    await told();
    expect(await prices()).toEqual([0, 6]);
    await until(async () => (await waiting()) === 0);
  });

  it("misses nothing of a transaction that began earlier and commits later", async () => {
    if (database.name === "sqlite") return; // One writer at a time.
    await start();
    await prices();
    const slow = foreign.createQueryRunner();
    await slow.startTransaction();
    await slow.query("UPDATE offer SET price = 3 WHERE id = 1");
    await told(); // With a higher number.
    await until(async () => (await waiting()) === 0);
    await slow.commitTransaction();
    await slow.release();
    expect(await told()).toEqual(['offer update [{"id":1}]']);
    expect(await prices()).toEqual([0, 3]);
  });

  it("shares the change table with other processes", async () => {
    const other = await new DataSource({
      ...dataSource.options,
      synchronize: false,
    }).initialize();
    const store = new MemoryStore();
    await cache.close();
    await attach({ store, namespace: "shop" });
    const neighbour = await attachCache(other, { store, namespace: "shop" });
    await Promise.all([cache.feeds.polling({ every: 5 }), neighbour.feeds.polling({ every: 5 })]);
    for (let price = 1; price <= 50; price += 1) {
      await prices();
      await foreign.query(`UPDATE offer SET price = ${price} WHERE id = 1`);
      await until(async () => (await waiting()) === 0);
      expect(await prices()).toEqual([0, price]);
    }
    await neighbour.close();
    await other.destroy();
  });
  it("is not in the way of a writer that takes its time", async () => {
    await start();
    await prices();
    const runner = foreign.createQueryRunner();
    await runner.startTransaction();
    await runner.query("UPDATE offer SET price = 8 WHERE id = 1");
    await new Promise((resolve) => setTimeout(resolve, 200));
    await runner.commitTransaction();
    await runner.release();
    await told();
    expect(await prices()).toEqual([0, 8]);
  });

  const triggers = async (): Promise<string[]> => {
    const sql =
      database.name === "sqlite"
        ? "SELECT name FROM sqlite_master WHERE type = 'trigger' ORDER BY 1"
        : "SELECT TRIGGER_NAME AS name FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = DATABASE() ORDER BY 1";
    return (await foreign.query<{ name: string }[]>(sql)).map(({ name }) => name);
  };

  it("installs once, and again what is missing, which it then makes up for", async () => {
    const feed = await start();
    expect(gaps).toHaveLength(1);
    const before = await triggers();
    expect(before).toHaveLength(12);
    await cache.feeds.remove(feed);
    await cache.feeds.remove(await start());
    expect(gaps).toHaveLength(1);
    await prices();
    const old = before[0]!;
    const name = old.replace(/_[0-9a-f]+$/, "_0000000000");
    const [row] = await foreign.query<{ text: string }[]>(
      database.name === "sqlite"
        ? `SELECT sql AS text FROM sqlite_master WHERE name = '${old}'`
        : `SELECT CONCAT('CREATE TRIGGER ', TRIGGER_NAME, ' AFTER ', EVENT_MANIPULATION, ' ON \`', EVENT_OBJECT_TABLE, '\` FOR EACH ROW ', ACTION_STATEMENT) AS text FROM information_schema.TRIGGERS WHERE TRIGGER_NAME = '${old}' AND TRIGGER_SCHEMA = DATABASE()`,
    );
    await foreign.query(`DROP TRIGGER ${quote(old)}`);
    await foreign.query(row!.text.replace(old, name)); // Of an older version.
    await start();
    expect(gaps).toHaveLength(2);
    expect(await triggers()).toEqual(before);
  });

  it("is installed by a migration, and refuses to start without", async () => {
    await expect(cache.feeds.polling({ install: false })).rejects.toMatchObject({
      name: "CacheConfigError",
      message: expect.stringMatching(/coherent_changes, .*offer.*pollingTriggers/) as string,
    });
    const { up, down } = cache.feeds.pollingTriggers("notes");
    for (const statement of up) await foreign.query(statement);
    const feed = await start({ install: false, table: "notes" });
    await foreign.query("UPDATE offer SET price = 6 WHERE id = 1");
    expect(await told()).toEqual(['offer update [{"id":1}]']);
    await cache.feeds.remove(feed);
    for (const statement of down) await foreign.query(statement);
    expect(await triggers()).toEqual([]);
    await foreign.query("UPDATE offer SET price = 7 WHERE id = 1"); // Nothing is left that would fail.
  });

  it("refuses options that cannot be meant, and a database in memory", async () => {
    for (const options of [{ every: 0 }, { every: NaN }, { install: 1 }, { table: "" }])
      await expect(cache.feeds.polling(options as never)).rejects.toMatchObject({ code: "CONFIG_INVALID" });
    if (database.name !== "sqlite") return;
    const memory = await database.open([Mark]);
    const its = await attachCache(memory);
    await expect(its.feeds.polling()).rejects.toMatchObject({ code: "CONFIG_INVALID" });
  });
});
