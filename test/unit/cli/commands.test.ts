import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { DataSource, type DataSourceOptions, type FindOptionsWhere } from "typeorm";
import { attachCache, RedisStore, type CacheOptions, type CoherentCache } from "typeorm-coherent";
import { AuditLog, Product } from "../../support/cli/entities";
import { DATA_SOURCE, runCli, startCli } from "../../support/cli/run-cli";
import { startRedis, until, type RedisServer } from "../../support/redis-server";

const NAMESPACE = "sh*p: 1";

let server: RedisServer;
let client: Redis;
let folder: string;
let dataSource: DataSource;
let cache: CoherentCache;
// One of each for all tests: after a flush nothing is kept for a lock TTL.
beforeAll(async () => {
  server = await startRedis();
  client = new Redis(server.url);
  folder = mkdtempSync(join(tmpdir(), "coherent-cli-"));
  const database = join(folder, "shop.db");
  dataSource = new DataSource({ type: "better-sqlite3", database, entities: [Product, AuditLog], synchronize: true });
  await dataSource.initialize();
  await dataSource.getRepository(Product).insert([{ sku: "A-1" }, { sku: "A-2" }]);
  cache = await attach();
});
afterAll(async () => {
  await dataSource.destroy();
  client.disconnect();
  await server.stop();
  rmSync(folder, { recursive: true });
});
// By id and by sku.
beforeEach(() => until(async () => (await isHit({ sku: "A-1" })) && (await isHit())));

const attach = (options: CacheOptions = {}) =>
  attachCache(dataSource, { store: new RedisStore(client), namespace: NAMESPACE, storeTimeout: 900, ...options });
/** Its data source would make the schema anew: a command that looked at it would have emptied the database. */
const application = () => ({
  database: { type: "better-sqlite3", database: join(folder, "shop.db"), synchronize: true, dropSchema: true } as const,
  redis: server.url,
  namespace: NAMESPACE,
});
/** With the application's module. */
const withModule = (...args: string[]) => runCli([...args, "-d", DATA_SOURCE], application());
/** With nothing but a Redis and a namespace. */
const without = (...args: string[]) => runCli([...args, "-n", NAMESPACE], undefined, { REDIS_URL: server.url });
const isHit = async (where: FindOptionsWhere<Product> = { id: 1 }) => {
  const { hits } = cache.stats();
  await cache.repository(Product).findOneBy(where);
  return cache.stats().hits > hits;
};

describe("stats", () => {
  it("counts entries, tags and locks of each table, and says what is set", async () => {
    const store = new RedisStore(client);
    await store.open({ namespace: NAMESPACE, lockTtl: 60_000, timeout: 900, onStateChange: () => undefined }, [
      "product",
    ]);
    await store.lock(["product|id=7"], "somebody", [], 60_000);
    await client.set("another:v1:{product}:s", "x");
    await client.set("of nobody", "x");
    const [{ output, code, errors }, table, plain] = await Promise.all([
      withModule("stats", "--json"),
      withModule("stats"),
      runCli(["stats", "--json", "-r", server.url]),
    ]);
    await store.unlock({ tags: ["product|id=7"], holder: "somebody", token: "", tagTtl: 1, watched: [], entries: [] });
    await store.close();
    await client.del("another:v1:{product}:s");
    // Progress is told of what takes long.
    const complaints = errors.replaceAll(/^\d+ of \d+ keys looked at\n/gm, "");
    expect({ code, complaints }).toEqual({ code: 0, complaints: "" });
    const figures = JSON.parse(output);
    expect(figures.namespaces).toEqual([
      {
        namespace: NAMESPACE,
        left: 0,
        tables: [
          {
            table: "product",
            entries: 2,
            entryBytes: expect.any(Number),
            tags: expect.any(Number),
            loads: 0,
            locks: { live: 1, dead: 0 },
            quarantined: false,
          },
        ],
      },
    ]);
    expect(figures).toMatchObject({ complete: true, listeners: { [NAMESPACE]: 1 } });
    expect(figures.entities).toEqual([
      { entity: "Product", table: "product", strategy: "write-through", ttl: 600_000, keys: ["id", "sku"], near: null },
    ]);
    expect(table.output).toMatch(/^product +2 +~/m);
    expect(table.output).toMatch(/^Product +product +write-through +10m +id, sku/m);
    expect(JSON.parse(plain.output).namespaces.map(({ namespace }: { namespace: string }) => namespace)).toEqual([
      "another",
      NAMESPACE,
    ]);
  });

  it("looks at no more keys than it may", async () => {
    await client.eval("for i = 1, 5000 do redis.call('SET', 'k' .. i, '') end", 0);
    const { output } = await without("stats", "--json", "--limit", "1000");
    await client.eval("for i = 1, 5000 do redis.call('DEL', 'k' .. i) end", 0);
    expect(JSON.parse(output)).toMatchObject({ complete: false, scanned: 1000 });
  });
});

describe("watch", () => {
  it("prints writes and messages as they come, and ends when it has enough", async () => {
    const watch = startCli(["watch", "--json", "--limit", "2", "-d", DATA_SOURCE], application());
    await until(() => watch.soFar.errors.includes("Listening"));
    await cache.repository(Product).save({ id: 2, price: 5 });
    await client.publish(`${NAMESPACE}:changes`, "nonsense");
    await client.publish(`${NAMESPACE}:changes`, '{"table":"product","id":1}');
    const { code, output, errors } = await watch.ended;
    expect({ code, errors: errors.split("\n").length }).toEqual({ code: 0, errors: 2 });
    const lines = output
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(lines).toMatchObject([
      { kind: "invalidated", table: "product", operation: "update", rows: [{ id: 2 }] },
      { kind: "rejected", why: "malformed" },
      { kind: "asked", table: "product", rows: [{ "": 1 }] },
    ]);
  });

  it("shows what is signed to who does not know the secret, and ends at Ctrl-C", async () => {
    await cache.close();
    const signing = await attach({ namespace: "signed", channel: { secret: "of the channel" } });
    const args = ["watch", "-n", "signed", "-r", server.url];
    const stranger = startCli([...args, "--table", "product"]);
    const other = startCli([...args, "--table", "order"]);
    const wrong = startCli(args, undefined, { COHERENT_CHANNEL_SECRET: "of somebody else" });
    const all = [stranger, other, wrong];
    await until(() => all.every(({ soFar }) => soFar.errors.includes("Listening")));
    await dataSource.getRepository(Product).update(2, { price: 6 });
    await until(() => stranger.soFar.output.includes('update product {"id":2}'));
    await until(() => wrong.soFar.output.includes("ignored: a message that is unsigned"));
    for (const one of all) one.kill("SIGINT");
    expect((await Promise.all(all.map(({ ended }) => ended))).map(({ code }) => code)).toEqual([0, 0, 0]);
    expect(other.soFar.output).toBe("");
    expect(all.map(({ soFar }) => soFar.output + soFar.errors).join()).not.toMatch(/of the channel|of somebody else/);
    await signing.close();
    cache = await attach();
  });
});

describe("invalidate", () => {
  it.each<[string, () => ReturnType<typeof runCli>]>([
    ["a row of an entity", () => withModule("invalidate", "Product", "--where", '{"id":1}')],
    ["everything", () => withModule("invalidate", "--all")],
    ["a table by its name", () => without("invalidate", "--table", "product")],
    ["a tag", () => without("invalidate", "--tag", "product|id=1")],
    ["everything, without a data source", () => without("invalidate", "--all")],
  ])("makes unreadable: %s", async (_, run) => {
    expect(await isHit()).toBe(true);
    const { code, errors, output } = await run();
    expect({ code, errors }).toEqual({ code: 0, errors: "" });
    expect(output).toContain("Invalidated what depends on product|");
    expect(await isHit()).toBe(false);
  });

  it("asks the processes that listen for rows, and says if there are none", async () => {
    const ask = () => without("invalidate", "--json", "--table", "product", "--rows", '[{"id":1}]');
    const { code, output } = await ask();
    expect({ code, ...JSON.parse(output) }).toEqual({
      code: 0,
      asked: { table: "product", rows: [{ id: 1 }] },
      listeners: 1,
    });
    await until(async () => !(await isHit()));
    await cache.close();
    expect(await ask()).toMatchObject({ code: 1, output: expect.stringContaining('"listeners": 0') as string });
    cache = await attach();
  });
});

describe("explain", () => {
  it("says where a read stands", async () => {
    const [there, range, bypass] = await Promise.all([
      withModule("explain", "Product", "--json", "--where", '{"sku":"A-1"}'),
      withModule("explain", "Product", "find", "--where", '{"price":{"$MoreThan":5}}', "--options", '{"take":3}'),
      withModule("explain", "Product", "find", "--options", '{"cache":false}'),
    ]);
    expect(JSON.parse(there.output)).toMatchObject({ cacheable: true, present: [true], kind: "row" });
    expect(range).toMatchObject({
      code: 0,
      output: expect.stringContaining("depends on product| product|*") as string,
    });
    expect(range.output).toContain("absent: ");
    expect(bypass).toMatchObject({ code: 1, output: expect.stringContaining("it says cache: false") as string });
  });
});

describe("doctor", () => {
  /** So that a busy machine gives no warnings. */
  const PATIENT = { lockTtl: 600_000, storeTimeout: 200_000 };
  type Checks = { id: string; status: string; seen: string; todo?: string }[];
  const statuses = (output: string) =>
    Object.fromEntries((JSON.parse(output).checks as Checks).map(({ id, status }) => [id, status]));

  it("finds nothing wrong where nothing is, and changes nothing", async () => {
    const keys = async () => (await client.keys("*")).sort();
    const before = await keys();
    const args = ["doctor", "--json", "--commits", "3", "-d", DATA_SOURCE];
    const { code, output, errors } = await runCli(args, { ...application(), ...PATIENT });
    expect({ code, errors }).toEqual({ code: 0, errors: "" });
    expect(JSON.parse(output)).toMatchObject({ ok: true, summary: { warn: 0, fail: 0, skip: 0 } });
    expect(statuses(output)).toMatchObject({ "one-copy": "ok", "lock-ttl": "ok", "redis-permissions": "ok" });
    expect(await keys()).toEqual(before);
    expect(await isHit()).toBe(true);
  });

  it("knows TypeORM 0.3 too", async () => {
    const database = { type: "sqlite", database: join(folder, "shop.db") } as unknown as DataSourceOptions;
    const args = ["doctor", "--json", "--commits", "1", "-d", DATA_SOURCE];
    const { code, output, errors } = await runCli(
      args,
      { ...application(), ...PATIENT, database },
      { TYPEORM_LINE: "0.3" },
    );
    expect({ code, errors }).toEqual({ code: 0, errors: "" });
    expect(output).toContain('"seen": "typeorm 0.3.');
    expect(statuses(output)).toMatchObject({ entities: "ok", "lock-ttl": "ok" });
  });

  it("says what is wrong with Redis, and ends with 1", async () => {
    const used = Number(/used_memory:(\d+)/.exec(await client.info("memory"))![1]);
    await client.config("SET", "maxmemory", String(Math.round(used * 1.05)));
    await client.config("SET", "maxmemory-policy", "noeviction");
    await client.replicaof("127.0.0.1", 1);
    try {
      const { code, output } = await runCli(["doctor", "--json", "-n", NAMESPACE, "-r", server.url]);
      expect(code).toBe(1);
      expect(statuses(output)).toMatchObject({
        "redis-role": "fail",
        "redis-eviction": "warn",
        "redis-memory": "warn",
        "database-connection": "skip",
      });
    } finally {
      await client.replicaof("NO", "ONE");
      await client.config("SET", "maxmemory", "0");
    }
  });

  it("says what a user may not do", async () => {
    await client.acl("SETUSER", "app", "on", ">pass", "+@all", "~other:*", "resetchannels");
    const url = `redis://app:pass@127.0.0.1:${server.port}`;
    const { code, output } = await runCli(["doctor", "-n", "shop", "-r", url]);
    expect(code).toBe(1);
    expect(output).toMatch(/FAIL redis-permissions +refused: MGET \(NOPERM\).*SUBSCRIBE \(NOPERM\)/);
    expect(output).toContain("~shop:* &shop:changes");
  });

  it("says what is wrong with options, entities, replicas and databases", async () => {
    const { database } = application();
    const nowhere = { type: "better-sqlite3", database: join(folder, "no", "\0") } as const;
    const [options, none, unreachable] = await Promise.all([
      runCli(["doctor", "-d", DATA_SOURCE], { database, lockTtl: 10 }),
      runCli(["doctor", "-d", DATA_SOURCE, "--json"], { database, entities: { Product: false } }),
      runCli(["doctor", "-d", DATA_SOURCE, "--json"], { database: nowhere, redis: "redis://127.0.0.1:1" }),
    ]);
    expect(options).toMatchObject({ code: 1, output: expect.stringMatching(/FAIL options +lockTtl is 10/) as string });
    expect(none.code).toBe(1);
    expect(statuses(none.output)).toMatchObject({ entities: "fail", "redis-connection": "skip" });
    // What cannot be reached is told of, with all that could be looked at.
    expect(unreachable.code).toBe(2);
    expect(statuses(unreachable.output)).toMatchObject({
      node: "ok",
      "database-connection": "fail",
      "redis-connection": "fail",
    });
  });
});
