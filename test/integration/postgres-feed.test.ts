import { Client } from "pg";
import { Column, DataSource, Entity, PrimaryColumn } from "typeorm";
import {
  attachCache,
  Cached,
  MemoryStore,
  PostgresFeed,
  type CacheOptions,
  type CoherentCache,
  type GapEvent,
  type InvalidatedEvent,
} from "typeorm-coherent";
import { databases } from "../support/databases";
import { Mark, Offer, Shop } from "../support/entities/shop-of-feeds";
import { until } from "../support/redis-server";
import { tcpSwitch } from "../support/tcp-switch";

/** With names that must be quoted. */
@Entity("Odd table")
@Cached()
class Odd {
  @PrimaryColumn({ name: "The key" }) key!: string;
  @PrimaryColumn({ type: "bigint" }) number!: string;
  @Column({ default: 0 }) value!: number;
}

const postgres = databases().find(({ name }) => name === "postgres");

(postgres === undefined ? describe.skip : describe)("the PostgreSQL feed", () => {
  const database = postgres!;
  let dataSource: DataSource;
  let cache: CoherentCache;
  /** Another program. */
  let psql: Client;
  let events: InvalidatedEvent[];
  let gaps: GapEvent[];
  const warnings: string[] = [];

  beforeEach(async () => {
    dataSource = await new DataSource(await database.options([Shop, Offer, Odd, Mark])).initialize();
    psql = new Client((dataSource.driver as unknown as { master: { options: object } }).master.options);
    await psql.connect();
    await psql.query("INSERT INTO shop VALUES (1, 'a'), (2, 'b')");
    await psql.query('INSERT INTO offer ("shopId") VALUES (1), (1), (2)');
    await attach();
  });
  afterEach(async () => {
    await cache.close();
    await psql.end();
    await dataSource.destroy();
    await database.cleanup();
  });

  async function attach(options: CacheOptions = {}): Promise<void> {
    warnings.length = 0;
    const logger = { warn: (message: string) => void warnings.push(message) };
    cache = await attachCache(dataSource, { store: new MemoryStore(), logger, ...options });
    events = [];
    gaps = [];
    cache.on("invalidated", (event) => events.push(event));
    cache.on("gap", (event) => gaps.push(event));
  }

  /** What was told since it was called last; `mark` is a write that comes after all of it. */
  let marks = 0;
  async function told(): Promise<string[]> {
    const id = ++marks;
    await psql.query("INSERT INTO mark VALUES ($1)", [id]);
    const isMark = ({ table, rows }: InvalidatedEvent) =>
      table.endsWith("mark") && rows?.some((row) => row["id"] === id) === true;
    await until(() => events.some(isMark));
    return events
      .splice(0)
      .filter(({ table }) => !table.endsWith("mark"))
      .map(({ table, operation, rows }) => `${table.split(".").pop()} ${operation} ${JSON.stringify(rows)}`);
  }
  const start = async (more: Parameters<CoherentCache["feeds"]["postgres"]>[0] = {}) => {
    const feed = await cache.feeds.postgres(more);
    await told();
    return feed;
  };
  const prices = async () =>
    (await cache.repository(Offer).findBy({ shopId: 1 })).map(({ price }) => price).sort((a, b) => a - b);

  it("hears of what others write, as soon as they commit, and of nothing that they roll back", async () => {
    await start();
    await prices();
    await psql.query("UPDATE offer SET price = 5 WHERE id = 1");
    expect(await told()).toEqual(['offer update [{"id":1}]']);
    expect(await prices()).toEqual([0, 5]);

    await psql.query("BEGIN; UPDATE offer SET price = 9");
    expect(await prices()).toEqual([0, 5]);
    await psql.query("ROLLBACK");
    await psql.query("BEGIN; DELETE FROM offer WHERE id = 2; UPDATE shop SET name = 'z' WHERE id = 1; COMMIT");
    expect((await told()).sort()).toEqual(['offer delete [{"id":2}]', 'shop update [{"id":1}]']);
    expect(await prices()).toEqual([5]);

    await psql.query('INSERT INTO offer ("shopId", price) VALUES (1, 7), (1, 8)');
    expect(await told()).toEqual(['offer insert [{"id":4},{"id":5}]']);
    expect(await prices()).toEqual([5, 7, 8]);
  });

  it("is served until the write was told of, and no longer", async () => {
    await start();
    await prices();
    const { hits } = cache.stats();
    await psql.query("UPDATE offer SET price = price + 1 WHERE id = 3"); // Of another shop.
    await told();
    await prices();
    expect(cache.stats().hits).toBe(hits + 1);
  });

  it("says the old and the new primary key of a row", async () => {
    await start();
    await psql.query("UPDATE offer SET id = 20 WHERE id = 2");
    expect(await told()).toEqual(['offer update [{"id":2},{"id":20}]']);
  });

  it("says nothing of a statement that writes no row", async () => {
    await start();
    await psql.query("UPDATE offer SET price = 1 WHERE id = 99");
    await psql.query("DELETE FROM offer WHERE id = 99");
    await psql.query("INSERT INTO shop VALUES (1, 'c') ON CONFLICT DO NOTHING");
    expect(await told()).toEqual([]);
  });

  it("says the whole table for TRUNCATE, for many rows, and for keys that are too long", async () => {
    await start();
    await psql.query("INSERT INTO offer (price) SELECT n FROM generate_series(1, 5000) n");
    expect(await told()).toEqual(["offer unknown null"]);
    await psql.query("TRUNCATE offer");
    expect(await told()).toEqual(["offer unknown null"]);
    expect(await prices()).toEqual([]);
    await psql.query(`INSERT INTO "Odd table" VALUES (repeat('long', 3000), 1)`);
    expect(await told()).toEqual(["Odd table unknown null"]);
  });

  it("hears of tables whose names must be quoted, and of keys of several columns", async () => {
    await start();
    await cache.repository(Odd).findOneBy({ key: "it's", number: "9007199254740993" });
    await psql.query(`INSERT INTO "Odd table" VALUES ('it''s', 5), ('it''s', 9007199254740993)`);
    const [event] = await told();
    // JavaScript cannot say the second number.
    expect(event).toBe("Odd table insert null");
    expect(await cache.repository(Odd).findOneBy({ key: "it's", number: "9007199254740993" })).not.toBeNull();
    await psql.query(`UPDATE "Odd table" SET value = 2 WHERE number = 5`);
    expect((await told())[0]).toContain("update [{");
  });

  it("hears of rows that the database deletes with others, by their own triggers", async () => {
    await start();
    await prices();
    await psql.query("DELETE FROM shop WHERE id = 1");
    expect((await told()).sort()).toEqual(['offer delete [{"id":1},{"id":2}]', 'shop delete [{"id":1}]']);
    expect(await prices()).toEqual([]);
  });

  it("hears of a partitioned table, of writes straight to a partition, and of partitions that come later", async () => {
    await psql.query("DROP TABLE offer");
    await psql.query(
      'CREATE TABLE offer (id serial, "shopId" int, price int DEFAULT 0, PRIMARY KEY (id)) PARTITION BY RANGE (id)',
    );
    await psql.query("CREATE TABLE offer_1 PARTITION OF offer FOR VALUES FROM (1) TO (100)");
    await start();
    await psql.query("CREATE TABLE offer_2 PARTITION OF offer FOR VALUES FROM (100) TO (200)");
    await psql.query('INSERT INTO offer (id, "shopId") VALUES (1, 1), (101, 1)');
    expect((await told()).join()).toMatch(/"id":1}.*"id":101}/);
    await psql.query("UPDATE offer_1 SET price = 3");
    await psql.query("UPDATE offer_2 SET price = 4");
    expect((await told()).join()).toMatch(/"id":1}.*"id":101}/);
    expect(await prices()).toEqual([3, 4]);
    await psql.query("TRUNCATE offer");
    expect(await told()).toEqual(["offer unknown null"]);
  });

  it("invalidates everything when its connection was lost, and listens again", async () => {
    await start();
    await prices();
    const kill =
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'typeorm-coherent feed'";
    expect(gaps).toEqual([{ reason: "feed", origin: "postgres" }]); // Nobody knows what came before the start.
    await psql.query("BEGIN; UPDATE offer SET price = 6 WHERE id = 1");
    await psql.query(kill);
    await psql.query("COMMIT");
    await until(() => gaps.length === 2);
    await until(async () => (await prices()).join() === "0,6");
    await psql.query("UPDATE offer SET price = 7 WHERE id = 1");
    await told();
    expect(await prices()).toEqual([0, 7]);
    expect(warnings.some((text) => text.includes("postgres"))).toBe(true);
  });

  it("notices a cable that was pulled", async () => {
    const { options } = (dataSource.driver as unknown as { master: { options: { host: string; port: number } } })
      .master;
    const cable = await tcpSwitch(options.port);
    try {
      const connect = () =>
        new Client(Object.assign(Object.create(options) as object, { host: "127.0.0.1", port: cable.port }));
      await start({ connect, heartbeat: 200 });
      cable.freeze();
      await prices();
      await psql.query("UPDATE offer SET price = 6 WHERE id = 1");
      await until(() => warnings.length > 0);
      cable.thaw();
      await until(() => gaps.length === 2, 20_000);
      await until(async () => (await prices()).join() === "0,6");
    } finally {
      await cable.stop();
    }
  });

  it("hands over again what the store did not take", async () => {
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
    state.refuses = true;
    state.calls = 0;
    await psql.query("UPDATE offer SET price = 6 WHERE id = 1");
    await until(() => state.calls > 2);
    expect(await prices()).toEqual([0, 6]); // This process bypasses while something waits.
    state.refuses = false;
    await told();
    expect(await prices()).toEqual([0, 6]);
    expect(cache.stats().pending).toBe(0);
  });

  it("does not keep the start waiting for a store that is away", async () => {
    await cache.close();
    const store = new MemoryStore();
    store.invalidate = () => Promise.reject(new Error("away"));
    await attach({ store });
    await cache.feeds.postgres();
    expect(cache.stats().pending).toBeGreaterThan(0);
  });

  it("installs once, and does not touch what is there", async () => {
    await start();
    const triggers = async () =>
      (
        await psql.query(
          "SELECT t.oid FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid WHERE tgname LIKE 'coherent_%' AND c.relnamespace = current_schema()::regnamespace ORDER BY 1",
        )
      ).rows;
    const before = await triggers();
    expect(before).toHaveLength(16);
    await cache.feeds.postgres();
    expect(await triggers()).toEqual(before);
    await psql.query("ALTER TABLE offer DISABLE TRIGGER USER");
    await cache.feeds.postgres();
    const after = await triggers();
    expect(after).toHaveLength(16);
    expect(after).not.toEqual(before);
  });

  it("is installed by a migration, and refuses to start without", async () => {
    await expect(cache.feeds.postgres({ install: false })).rejects.toMatchObject({
      name: "CacheConfigError",
      code: "CONFIG_INVALID",
      message: expect.stringMatching(/triggers of .*offer.* are missing.*postgresTriggers/) as string,
    });
    const { up, down } = await cache.feeds.postgresTriggers();
    for (const statement of up) await psql.query(statement);
    const feed = await start({ install: false });
    expect(feed).toBeInstanceOf(PostgresFeed);
    await psql.query("UPDATE offer SET price = 6 WHERE id = 1");
    expect(await told()).toEqual(['offer update [{"id":1}]']);
    await cache.feeds.remove(feed);
    for (const statement of down) await psql.query(statement);
    await expect(cache.feeds.postgres({ install: false })).rejects.toMatchObject({ code: "CONFIG_INVALID" });
    await psql.query("UPDATE offer SET price = 7 WHERE id = 1"); // Nothing is left that would fail.
  });

  it("refuses a table that is not there, and options that cannot be meant", async () => {
    await psql.query("DROP TABLE offer");
    await expect(cache.feeds.postgres()).rejects.toMatchObject({
      code: "CONFIG_INVALID",
      message: expect.stringMatching(/no table .*offer.*migrations/) as string,
    });
    for (const options of [{ install: 1 }, { heartbeat: 0 }, { heartbeat: NaN }])
      await expect(cache.feeds.postgres(options as never)).rejects.toMatchObject({ code: "CONFIG_INVALID" });
  });

  it("needs an initialised data source", async () => {
    await cache.close();
    await expect(cache.feeds.postgres()).rejects.toMatchObject({ code: "NOT_INITIALIZED" });
  });
});
