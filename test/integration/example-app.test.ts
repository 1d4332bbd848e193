import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { DataSource, type DataSourceOptions } from "typeorm";
import { parseFlags, UsageError } from "../../example-app/flags";
import { openShop, type OpenShop } from "../../example-app/open-shop";
import { typeormLine } from "../support/databases";
import { startRedis, until } from "../support/redis-server";

jest.setTimeout(120_000);

const root = join(__dirname, "..", "..");
let folder: string;
beforeAll(() => (folder = mkdtempSync(join(tmpdir(), "coherent-example-"))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The example as a user starts it, but on the library's sources: these tests need no build. */
class Example {
  output = "";
  errors = "";
  private readonly child: ChildProcess;
  private readonly ended: Promise<unknown[]>;

  /** @param library what "typeorm-coherent" stands for */
  constructor(args: readonly string[], library = join(root, "src", "index.ts")) {
    const resolveLibrary = `
      import Module from "node:module";
      const resolve = Module._resolveFilename;
      Module._resolveFilename = (request, ...rest) =>
        request === "typeorm-coherent" ? ${JSON.stringify(library)} : resolve.call(Module, request, ...rest);`;
    const hook = `data:text/javascript,${encodeURIComponent(resolveLibrary)}`;
    const script = ["scripts/run-ts.cjs", "example-app/main.ts", "--typeorm", typeormLine, ...args];
    this.child = spawn(process.execPath, ["--import", hook, ...script], {
      cwd: root,
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.child.stdout?.on("data", (chunk: Buffer) => (this.output += chunk.toString()));
    this.child.stderr?.on("data", (chunk: Buffer) => (this.errors += chunk.toString()));
    this.ended = once(this.child, "close");
  }

  async exitCode(): Promise<unknown> {
    const [code] = await this.ended;
    return code;
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }
}

const driver = typeormLine === "0.3" ? /TypeORM 0\.3\.\d+ with sqlite3/ : /TypeORM 1\.\d+\.\d+ with better-sqlite3/;

function expectGoodTour({ output, errors }: Example): void {
  expect(output).not.toContain("✗");
  expect(errors).toBe("");
  expect(output).toMatch(driver);
  expect(output).toMatch(/✓ product 17 again +hit +[\d,]+ µs {2}no statement/);
  expect(output).toMatch(/✓ product 17 costs 2\.00 more +committed/);
  expect(output).toMatch(/invalidated +product\|\* {2}product\|id=17\n +caused by +update product/);
  expect(output).toMatch(/✓ customer 8 orders more than there is +rolled back[^✓]+invalidated +nothing\n/);
  expect(output).toMatch(/median time of a hit +[\d,]+ µs/);
  expect(output).toMatch(/All \d+ steps did what they are said to do\./);
}

describe("the tour", () => {
  it("runs on the embedded store, fits in 90 columns, and has no colours in a pipe", async () => {
    const example = new Example([]);
    expect(await example.exitCode()).toBe(0);
    expectGoodTour(example);
    expect(example.output).toContain("MemoryStore");
    expect(example.output).not.toContain("\u001b");
    expect(example.output.split("\n").filter((line) => line.length > 90)).toEqual([]);
  });

  it("runs on Redis after the quarantine, serves the API until it is told to end, and leaves nothing behind", async () => {
    const redis = await startRedis();
    const example = new Example(["--redis", redis.url, "--serve", "--port", "0"]);
    try {
      await until(() => example.output.includes("The API is up") || example.errors !== "", 100_000);
      expectGoodTour(example);
      expect(example.output).toMatch(/Redis does not know this shop yet.*for 2 s \(lockTtl\)/);
      const [address = ""] = /http:\/\/127\.0\.0\.1:\d+/.exec(example.output) ?? [];
      const response = await fetch(`${address}/products/17`);
      expect(response.status).toBe(200);
      expect(await response.json()).toMatchObject({ id: 17, sku: "KIT-017" });
      example.kill("SIGTERM");
      expect(await example.exitCode()).toBe(0);
      const client = new Redis(redis.url);
      expect(await client.dbsize()).toBe(0);
      client.disconnect();
    } finally {
      example.kill("SIGKILL");
      await redis.stop();
    }
  });

  if (typeormLine === "1") {
    it("fails with exit code 1 if the cache serves what is outdated", async () => {
      const library = join(folder, "forgetful.cjs");
      const forgetful = `
        const library = require(${JSON.stringify(join(root, "src", "index.ts"))});
        class Forgetful extends library.MemoryStore {
          async lock(tags, holder, readTags) { return readTags.map(() => ""); }
          async unlock() { return { held: true, written: 0 }; }
        }
        module.exports = { ...library, MemoryStore: Forgetful };`;
      writeFileSync(library, forgetful);
      const example = new Example([], library);
      expect(await example.exitCode()).toBe(1);
      expect(example.output).toMatch(/✗ product 17 +hit[^✓]+failed +served\s+…[^✓]+\s+but\s+the\s+database\s+has\s+…/);
      expect(example.output).toMatch(/\d+ of \d+ steps failed: /);
    });

    it("explains its flags", async () => {
      const help = new Example(["--help"]);
      expect(await help.exitCode()).toBe(0);
      for (const flag of ["--redis", "--database", "--typeorm", "--serve", "--no-tour", "--no-cache", "--port"])
        expect(help.output).toContain(flag);
    });
  }

  it("answers a wrong flag with one line and exit code 2", async () => {
    const example = new Example(["--sreve"]);
    expect(await example.exitCode()).toBe(2);
    expect(example.errors).toBe("Unknown option '--sreve'. --help lists the flags.\n");
    expect(example.output).toBe("");
  });

  it.each([
    [["tour"], /Unexpected argument 'tour'/],
    [["--redis"], /--redis needs a value/],
    [["--redis", "localhost"], /--redis is "localhost", but must be a URL/],
    [["--typeorm", "0.2"], /must be 1 or 0\.3/],
    [["--port", "80"], /--port goes with --serve/],
    [["--no-tour"], /--no-tour goes with --serve/],
    [["--serve", "--no-cache"], /--no-cache goes with --no-tour/],
    [["--serve", "--no-tour", "--no-cache", "--redis", "redis://localhost"], /exclude each other/],
    [["--serve", "--port", "high"], /must be a number/],
    [["--serve", "--port", "65536"], /from 0 to 65535/],
    [["--database="], /needs the name of a file/],
    [["--serve=yes"], /does not take an argument/],
  ])("refuses %j", (args, message) => {
    expect(() => parseFlags(args)).toThrow(UsageError);
    expect(() => parseFlags(args)).toThrow(message);
  });

  it("says so when Redis does not answer, without the password", async () => {
    const opening = openShop({ redis: "redis://user:secret@127.0.0.1:1", database: undefined });
    await expect(opening).rejects.toThrow(/^--redis redis:\/\/127\.0\.0\.1:1 does not answer \(.*ECONNREFUSED/);
  });
});

describe("the database", () => {
  it("is seeded once, the same in every run", async () => {
    const database = join(folder, "shop.db");
    const first = await openShop({ redis: undefined, database });
    expect(first.seedTime).toBeDefined();
    const product = await first.shop.product(17);
    const orders = await first.shop.ordersOf(7);
    expect(orders.length).toBeGreaterThan(0);
    expect(await first.plain.products.count()).toBe(200);
    await first.close();
    const second = await openShop({ redis: undefined, database });
    expect(second.seedTime).toBeUndefined();
    expect(await second.shop.product(17)).toEqual(product);
    await second.close();
    const other = await openShop({ redis: undefined, database: undefined });
    expect(await other.shop.ordersOf(7)).toEqual(orders);
    await other.close();
  });

  it("of somebody else is left alone", async () => {
    const database = join(folder, "invoices.db");
    const type = typeormLine === "0.3" ? "sqlite" : "better-sqlite3";
    const theirs = new DataSource({ type, database } as DataSourceOptions);
    await theirs.initialize();
    await theirs.query("CREATE TABLE invoices (id integer)");
    await expect(openShop({ redis: undefined, database })).rejects.toThrow(/holds other tables \(invoices\)/);
    expect(await theirs.query("SELECT name FROM sqlite_master")).toEqual([{ name: "invoices" }]);
    await theirs.destroy();
    const text = join(folder, "notes.txt");
    writeFileSync(text, "Not a database. ".repeat(100));
    await expect(openShop({ redis: undefined, database: text })).rejects.toThrow(/cannot be used: .*not a database/);
  });
});

type Request = readonly [method: "GET" | "POST" | "PATCH", url: string, payload?: object];

const titled = (requests: readonly Request[]) =>
  requests.map((request) => {
    const [method, url, payload] = request;
    return [`${method} ${url} ${payload === undefined ? "" : JSON.stringify(payload)}`.trim(), request] as const;
  });

/** Over the network: Jest cannot load what Fastify's inject() is made of. */
async function serve() {
  const open = await openShop({ redis: undefined, database: undefined });
  const address = await open.api.listen({ port: 0, host: "127.0.0.1" });
  /** Status, x-cache and body in one, as most tests compare all three. */
  const send = async (...[method, url, payload]: Request) => {
    const json = { body: JSON.stringify(payload), headers: { "content-type": "application/json" } };
    const response = await fetch(address + url, { method, ...(payload === undefined ? {} : json) });
    return [response.status, response.headers.get("x-cache"), await response.json()] as const;
  };
  return { open, send, get: (url: string) => send("GET", url) };
}

const asJson = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

describe("the API", () => {
  let open: OpenShop;
  let send: Awaited<ReturnType<typeof serve>>["send"];
  let get: Awaited<ReturnType<typeof serve>>["get"];
  beforeEach(async () => {
    ({ open, send, get } = await serve());
  });
  afterEach(() => open.close());

  it.each([
    ["/products/17", () => open.plain.product(17)],
    ["/products/by-sku/KIT-017", () => open.plain.product(17)],
    ["/categories/3/products", () => open.plain.productsOf(3)],
    ["/customers/7/orders", () => open.plain.ordersOf(7)],
  ])("GET %s: a miss, then a hit, both as the database has it", async (url, plain) => {
    const expected = asJson(await plain());
    expect(await get(url)).toEqual([200, "miss", expected]);
    expect(await get(url)).toEqual([200, "hit", expected]);
  });

  it("PATCH /products/:id: the next reader sees it", async () => {
    await get("/categories/1/products");
    const [status, , changed] = await send("PATCH", "/products/5", { priceCents: 1234, stock: 3 });
    expect([status, changed]).toEqual([200, expect.objectContaining({ id: 5, priceCents: 1234, stock: 3 })]);
    expect(await get("/products/5")).toEqual([200, "hit", asJson(await open.plain.product(5))]);
    const [, cache, list] = await get("/categories/1/products");
    expect(cache).toBe("miss");
    expect(list).toContainEqual(expect.objectContaining({ id: 5, priceCents: 1234 }));
  });

  it("POST /orders takes from the stock; the customer's list is cached again after it", async () => {
    const { stock, sku } = await open.plain.product(1);
    await get("/products/1");
    await get("/customers/7/orders");
    const [status, cache, order] = await send("POST", "/orders", { customerId: 7, lines: [{ sku, quantity: 2 }] });
    expect([status, cache, order]).toEqual([
      201,
      "bypass",
      { id: 301, status: "placed", totalCents: expect.any(Number) },
    ]);
    expect(await get("/products/1")).toEqual([200, "hit", expect.objectContaining({ stock: stock - 2 })]);
    const expected = asJson(await open.plain.ordersOf(7));
    expect(await get("/customers/7/orders")).toEqual([200, "miss", expected]);
    expect(expected).toContainEqual(expect.objectContaining({ id: 301, lines: [expect.objectContaining({ sku })] }));
    expect(await get("/customers/7/orders")).toEqual([200, "hit", expected]);
  });

  it("POST /orders leaves no trace when the stock is out", async () => {
    const [first, second] = [await open.shop.product(1), await open.shop.product(2)];
    await get("/customers/7/orders");
    const seen: unknown[] = [];
    open.cache.on("invalidate", (event) => seen.push(event));
    const lines = [
      { sku: first.sku, quantity: 1 },
      { sku: second.sku, quantity: 99 },
      { sku: second.sku, quantity: 99 },
    ];
    const [status, , body] = await send("POST", "/orders", { customerId: 7, lines });
    expect(status).toBe(409);
    expect(body).toMatchObject({ message: expect.stringMatching(/99 ordered, \d+ in stock\. Nothing was ordered\.$/) });
    expect(seen).toEqual([]);
    expect(await get("/products/1")).toEqual([200, "hit", asJson(first)]);
    expect(await get("/products/2")).toEqual([200, "hit", asJson(second)]);
    expect((await get("/customers/7/orders"))[1]).toBe("hit");
    expect(await open.plain.product(1)).toEqual(first);
    expect(await open.plain.orders.count()).toBe(300);
  });

  it("orders that come at the same time do not sell what is not there", async () => {
    await send("PATCH", "/products/1", { stock: 3 });
    const { sku } = await open.plain.product(1);
    const order = (customerId: number) => send("POST", "/orders", { customerId, lines: [{ sku, quantity: 1 }] });
    const statuses = (await Promise.all([1, 2, 3, 4, 5].map(order))).map(([status]) => status);
    expect(statuses).toEqual([201, 201, 201, 409, 409]);
    expect(await get("/products/1")).toEqual([200, "hit", expect.objectContaining({ stock: 0 })]);
    expect(await open.plain.orders.count()).toBe(303);
  });

  it("GET /cache/stats and /cache/explain", async () => {
    await get("/products/17");
    await get("/products/17");
    expect((await get("/cache/stats"))[2]).toMatchObject({ hits: 1, misses: { absent: 1 }, fills: 1 });
    const explain = async (query: string) => (await get(`/cache/explain?${query}`))[2];
    expect(await explain("entity=Product&id=17")).toMatchObject({ cacheable: true, present: [true] });
    expect(await explain("entity=Product&sku=KIT-017")).toMatchObject({ cacheable: true, present: [false] });
    expect(await explain("entity=Product&categoryId=1&slug=stainless-ladle")).toMatchObject({ kind: "row" });
    expect(await explain("entity=Order&customer=7&method=find")).toMatchObject({ kind: "rows" });
    expect(await explain("entity=OrderLine&orderId=7&position=1")).toMatchObject({ kind: "row" });
    expect(await explain("entity=Product&name=ladle")).toMatchObject({ kind: "statement", tables: ["product"] });
  });
});

describe("the API, asked for what is not there or makes no sense,", () => {
  let open: OpenShop;
  let send: Awaited<ReturnType<typeof serve>>["send"];
  beforeAll(async () => {
    ({ open, send } = await serve());
  });
  afterAll(() => open.close());

  it.each(
    titled([
      ["GET", "/products/4711"],
      ["GET", "/products/by-sku/NONE"],
      ["GET", "/categories/4711/products"],
      ["GET", "/customers/4711/orders"],
      ["PATCH", "/products/4711", { stock: 1 }],
      ["PATCH", "/products/1", { categoryId: 4711 }],
      ["POST", "/orders", { customerId: 4711, lines: [{ sku: "KIT-001", quantity: 1 }] }],
      ["POST", "/orders", { customerId: 7, lines: [{ sku: "NONE", quantity: 1 }] }],
      ["GET", "/nowhere"],
    ]),
  )("answers 404 to %s", async (_title, request) => {
    const [status, cache, body] = await send(...request);
    expect([status, body]).toEqual([404, expect.objectContaining({ message: expect.any(String) })]);
    expect(["hit", "miss", "bypass"]).toContain(cache);
  });

  it.each(
    titled([
      ["GET", "/products/chair"],
      ["GET", "/products/0"],
      ["GET", `/products/by-sku/${"9".repeat(40)}`],
      ["PATCH", "/products/1", {}],
      ["PATCH", "/products/1", { priceCents: -1 }],
      ["PATCH", "/products/1", { price: 1 }],
      ["PATCH", "/products/1", { sku: "KIT-002" }],
      ["POST", "/orders", {}],
      ["POST", "/orders", { customerId: 7, lines: [] }],
      ["POST", "/orders", { customerId: 7, lines: [{ sku: "KIT-001", quantity: 0 }] }],
      ["POST", "/orders", { customerId: 7, lines: [{ sku: "KIT-001", quantity: 1, price: 0 }] }],
      ["GET", "/cache/explain"],
      ["GET", "/cache/explain?entity=Invoice&id=1"],
      ["GET", "/cache/explain?entity=Product&colour=red"],
    ]),
  )("answers 400 to %s", async (_title, request) => {
    expect(await send(...request)).toEqual([400, "bypass", expect.objectContaining({ statusCode: 400 })]);
  });
});
