import { spawnSync } from "node:child_process";
import { join } from "node:path";
import type { INestApplication } from "@nestjs/common";
import { Redis } from "ioredis";
import request from "supertest";
import { RedisStore, type CacheStats } from "typeorm-coherent";
import { CoherentCacheModule } from "typeorm-coherent/nest";
import { typeormLine } from "../support/databases";
import { startRedis, until, type RedisServer } from "../support/redis-server";
import { shop, type Imports } from "./shop/start";

const root = join(__dirname, "..", "..");

let app: INestApplication | undefined;
let server: ReturnType<INestApplication["getHttpServer"]>;
const open = async (caches: Imports) => {
  const started = await shop(caches);
  server = started.getHttpServer();
  app = started;
};
afterEach(() => app?.close());

const audit = () => CoherentCacheModule.forRoot({ dataSource: "audit" });

const put = (sku: string, price: number) => request(server).put(`/products/${sku}`).send({ price }).expect(200);
const priceOf = async (path: string) => (await request(server).get(path).expect(200)).body.price as number;
const stats = async (of: "products" | "audit") =>
  (await request(server).get(`/${of}/stats`).expect(200)).body as CacheStats;

describe("a shop with a cache in the process", () => {
  it("serves @InjectCachedRepository from the cache, and what is written at once", async () => {
    await open([CoherentCacheModule.forRoot({ consistency: "strict" }), audit()]);
    await request(server).get("/products/A").expect(404);
    await put("A", 5);
    expect(await priceOf("/products/A")).toBe(5);
    const before = await stats("products");
    expect(await priceOf("/products/A")).toBe(5);
    expect((await stats("products")).hits).toBe(before.hits + 1);
    await put("A", 6);
    expect(await priceOf("/products/A")).toBe(6);
  });

  it("leaves @InjectRepository alone", async () => {
    await open([CoherentCacheModule.forRoot(), audit()]);
    await put("A", 5);
    const before = await stats("products");
    expect(await priceOf("/products/A/plain")).toBe(5);
    expect(await priceOf("/products/A/plain")).toBe(5);
    expect(await stats("products")).toEqual(before);
  });

  it("serves @InjectRepository too where it is transparent", async () => {
    await open([CoherentCacheModule.forRoot({ transparent: true }), audit()]);
    await put("A", 5);
    expect(await priceOf("/products/A/plain")).toBe(5);
    const before = await stats("products");
    expect(await priceOf("/products/A/plain")).toBe(5);
    expect((await stats("products")).hits).toBe(before.hits + 1);
    await put("A", 6);
    expect(await priceOf("/products/A/plain")).toBe(6);
  });

  it("keeps data sources apart", async () => {
    await open([CoherentCacheModule.forRoot(), audit()]);
    await request(server).post("/audit/A").send({ text: "made" }).expect(201);
    await request(server).get("/audit/A").expect(200);
    expect((await request(server).get("/audit/A").expect(200)).body).toMatchObject([{ text: "made" }]);
    expect(await stats("audit")).toMatchObject({ hits: 1, fills: 1 });
    expect(await stats("products")).toMatchObject({ hits: 0, fills: 0, locks: 0 });
    await request(server).post("/audit/A").send({ text: "changed" }).expect(201);
    expect((await request(server).get("/audit/A").expect(200)).body).toHaveLength(2);
  });
});

describe("a shop with its cache in Redis", () => {
  let redis: RedisServer;
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(() => redis.stop());

  const store = () => new RedisStore(new Redis(redis.url, { lazyConnect: true }));
  const inRedis = () => [
    CoherentCacheModule.forRootAsync({ useFactory: () => ({ store: store(), lockTtl: 200, transparent: true }) }),
    CoherentCacheModule.forRootAsync({ dataSource: "audit", useFactory: () => ({ store: store(), lockTtl: 200 }) }),
  ];
  const served = async () => {
    const { hits } = await stats("products");
    await priceOf("/products/A");
    return (await stats("products")).hits > hits;
  };

  it("hits, and goes on without Redis: its health is down until Redis is back", async () => {
    await open(inRedis());
    await put("A", 5);
    await until(served); // A new server fills nothing for the length of a lock.
    const well = { status: "up", pending: 0, outages: 0 };
    const { body } = await request(server).get("/health").expect(200);
    expect(body).toMatchObject({ status: "ok", info: { cache: well, "audit-cache": well } });

    await redis.kill("SIGKILL");
    await until(async () => (await request(server).get("/health")).status === 503);
    const { body: ill } = await request(server).get("/health").expect(503);
    expect(ill).toMatchObject({ status: "error", error: { cache: { status: "down", outages: 1 } } });
    await put("A", 6);
    expect(await priceOf("/products/A")).toBe(6);

    await redis.restart();
    await until(async () => (await request(server).get("/health")).status === 200);
    await until(served);
    expect(await priceOf("/products/A")).toBe(6);
  });

  it("leaves no connection when the app is closed", async () => {
    await open(inRedis());
    const client = new Redis(redis.url);
    const connections = async () => ((await client.client("LIST")) as string).trim().split("\n").length;
    await until(async () => (await connections()) === 5); // Two data sources, with a connection and a subscriber each.
    await app?.close();
    await until(async () => (await connections()) === 1);
    client.disconnect();
  });

  // Elsewhere "typeorm" is another line only for what is required, and this package imports it.
  if (typeormLine === "1") {
    it("runs on @nestjs/typeorm 12, whose ES modules jest cannot require", () => {
      const script = ["scripts/run-ts.cjs", "test/nest/on-nestjs-typeorm-12.ts", redis.url];
      const { status, stdout, stderr } = spawnSync(process.execPath, script, {
        cwd: root,
        encoding: "utf8",
        timeout: 20_000, // What it leaves open would keep it.
      });
      expect({ status, stderr }).toEqual({ status: 0, stderr: expect.not.stringMatching(/Error/) });
      const { module, ...seen } = JSON.parse(stdout) as { module: string };
      expect(module).toContain("nestjs-typeorm-12");
      expect(seen).toEqual({ prices: [5, 5, 5, 6, 6, 6], sameTokens: true, health: 200, open: false });
    });
  }
});
