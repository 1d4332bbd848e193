import { EventEmitter } from "node:events";
import { Global, Injectable, Module, type INestApplication, type OnApplicationShutdown } from "@nestjs/common";
import { Test } from "@nestjs/testing";
import { getDataSourceToken, TypeOrmModule, type TypeOrmModuleOptions } from "@nestjs/typeorm";
import { DataSource, EntitySchema, type DataSourceOptions, type MigrationInterface, type QueryRunner } from "typeorm";
import { attachCache, CacheConfigError, CoherentCache, MemoryStore, type CacheOptions } from "typeorm-coherent";
import {
  cachedDataSource,
  CoherentCacheHealthIndicator,
  CoherentCacheModule,
  getCachedRepositoryToken,
  getCacheToken,
  InjectCachedRepository,
  type CacheOptionsFactory,
} from "typeorm-coherent/nest";
import { dataSourceToken } from "../../src/nest/tokens";
import { Product, Uncached } from "./shop/entities";
import { ProductModule, ProductService } from "./shop/shop-module";
import { named, sqlite, start, type Imports } from "./shop/start";

const database = sqlite();
afterAll(() => database.cleanup());

let app: INestApplication | undefined;
afterEach(async () => {
  await app?.close();
  app = undefined;
});
const open = async (imports: Imports): Promise<INestApplication> => (app = await start(imports));

const options = async (): Promise<DataSourceOptions> => database.options([Product], { logger: "debug" });
const typeorm = async () => TypeOrmModule.forRoot(await options());
const hitsOf = async (running: INestApplication): Promise<number> => {
  const cache = running.get(CoherentCache);
  const products = cache.repository(Product);
  await products.save({ sku: "A", price: 1 });
  const before = cache.stats().hits;
  await products.findOneBy({ sku: "A" });
  await products.findOneBy({ sku: "A" });
  return cache.stats().hits - before;
};

describe("options", () => {
  const factory = { createCacheOptions: (): CacheOptions => ({ consistency: "strict" }) };

  @Injectable()
  class Settings implements CacheOptionsFactory {
    createCacheOptions = factory.createCacheOptions;
  }
  @Module({ providers: [Settings], exports: [Settings] })
  class SettingsModule {}

  it("may be left out", async () => {
    expect(await hitsOf(await open([await typeorm(), CoherentCacheModule.forRoot()]))).toBeGreaterThan(0);
  });

  it("may come before TypeOrmModule", async () => {
    expect(await hitsOf(await open([CoherentCacheModule.forRoot(), await typeorm()]))).toBeGreaterThan(0);
  });

  it.each([
    [
      "useFactory",
      { imports: [SettingsModule], inject: [Settings], useFactory: (from: Settings) => from.createCacheOptions() },
    ],
    ["useClass", { useClass: Settings }],
    ["useExisting", { imports: [SettingsModule], useExisting: Settings }],
  ])("come from %s", async (_way, given) => {
    const asked = jest.spyOn(factory, "createCacheOptions");
    const made = await open([await typeorm(), CoherentCacheModule.forRootAsync(given)]);
    expect(await hitsOf(made)).toBeGreaterThan(0);
    expect(made.get(CoherentCache)["resolved"].consistency).toBe("strict");
    asked.mockRestore();
  });

  it("send messages to the logger of Nest, or to their own", async () => {
    const said: unknown[] = [];
    const warn = (message: string) => said.push(message);
    const own = await open([await typeorm(), CoherentCacheModule.forRoot({ logger: { warn } })]);
    own.get(CoherentCache)["resolved"].logger.warn("own");
    expect(said).toEqual(["own"]);
    await own.close();
    const testing = await Test.createTestingModule({ imports: [await typeorm(), CoherentCacheModule.forRoot()] })
      .setLogger({ log: () => undefined, error: () => undefined, warn: (...all: unknown[]) => said.push(all) })
      .compile();
    app = testing.createNestApplication();
    app.get(CoherentCache)["resolved"].logger.warn("away", new Error("refused"));
    expect(said.at(-1)).toEqual(["away (refused)", "CoherentCache"]);
  });
});

describe("tokens", () => {
  const schema = new EntitySchema<object>({ name: "Thing", columns: { id: { type: Number, primary: true } } });

  it("name data sources as @nestjs/typeorm does", () => {
    for (const name of ["default", "audit"]) expect(dataSourceToken(name)).toBe(getDataSourceToken(name));
  });

  it("tell entities and data sources apart", () => {
    const tokens = [Product, Uncached, schema, "View"].flatMap((entity) => [
      getCachedRepositoryToken(entity),
      getCachedRepositoryToken(entity, "audit"),
    ]);
    expect(new Set([...tokens, getCacheToken(), getCacheToken("audit")]).size).toBe(10);
    expect(getCacheToken()).toBe(CoherentCache);
  });

  it("let a test put its own in place of the cache and its repositories", async () => {
    const fake = { findOneBy: async () => ({ price: 7 }) };
    const testing = await Test.createTestingModule({
      imports: [await typeorm(), CoherentCacheModule.forRoot(), ProductModule],
    })
      .overrideProvider(getCachedRepositoryToken(Product))
      .useValue(fake)
      .compile();
    app = testing.createNestApplication();
    expect(await app.get(ProductService, { strict: false }).find("A")).toEqual({ price: 7 });
  });
});

describe("a cache that comes with its data source", () => {
  const early = async (cache: Parameters<typeof cachedDataSource>[0], more: Partial<TypeOrmModuleOptions> = {}) => {
    const settings = { ...(await options()), ...more } as TypeOrmModuleOptions;
    return TypeOrmModule.forRootAsync({ useFactory: () => settings, dataSourceFactory: cachedDataSource(cache) });
  };

  it("is the one that the module provides", async () => {
    const made: CacheOptions = { consistency: "strict" };
    const running = await open([await early(() => made), CoherentCacheModule.forRoot(), ProductModule]);
    expect(running.get(CoherentCache)["resolved"].consistency).toBe("strict");
    expect(await hitsOf(running)).toBeGreaterThan(0);
  });

  it("needs no module: TypeOrmModule closes it", async () => {
    const running = await open([await early({ transparent: true }), TypeOrmModule.forFeature([Product])]);
    const dataSource = running.get(DataSource);
    await running.close();
    app = undefined;
    await expect(attachCache(dataSource).then((cache) => cache.close())).resolves.toBeUndefined();
  });

  it("is attached anew, with its store, each time that TypeOrmModule tries to connect again", async () => {
    let tries = 0;
    class Late implements MigrationInterface {
      name = "Late1700000000000";
      async up(): Promise<void> {
        if (++tries < 3) throw new Error("not yet");
      }
      async down(): Promise<void> {}
    }
    const retrying = { retryDelay: 1, migrations: [Late], migrationsRun: true };
    const running = await open([await early({ store: new MemoryStore() }, retrying), CoherentCacheModule.forRoot()]);
    expect(tries).toBe(3);
    expect(await hitsOf(running)).toBeGreaterThan(0);
  });

  it("fails at once over its options, if TypeOrmModule is told not to try again", async () => {
    const toRetry = (error: unknown) => !(error instanceof CacheConfigError);
    const wrong = early({ consistency: "eventual" as "strict" }, { toRetry, retryDelay: 60_000 });
    await expect(open([await wrong])).rejects.toMatchObject({ code: "CONFIG_INVALID" });
  });

  it("says so if there are options for another", async () => {
    const both = [await early({}), CoherentCacheModule.forRoot({ consistency: "strict" })];
    await expect(open(both)).rejects.toMatchObject({
      code: "ALREADY_ATTACHED",
      message: expect.stringContaining("Give the options there"),
    });
  });
});

describe("what migrations write while the app starts", () => {
  /** A process that has the old price in a store that the app shares. */
  async function another() {
    const shared = await database.options([Product], { file: true, logger: "debug" });
    const dataSource = await new DataSource(shared).initialize();
    const store = new MemoryStore();
    const cache = await attachCache(dataSource, { store });
    const products = cache.repository(Product);
    await products.save({ sku: "A", price: 1 });
    await products.findOneBy({ sku: "A" });
    const hits = cache.stats().hits;
    await products.findOneBy({ sku: "A" });
    expect(cache.stats().hits).toBe(hits + 1);
    const migrations = [Dearer];
    return {
      store,
      products,
      settings: { ...shared, synchronize: false, migrations, migrationsRun: true },
      dataSource,
    };
  }
  class Dearer implements MigrationInterface {
    name = "Dearer1700000000000";
    async up(runner: QueryRunner): Promise<void> {
      await runner.query("UPDATE product SET price = 2");
    }
    async down(): Promise<void> {}
  }

  it.each(["after", "with"])("is served by nobody else, if the cache comes %s the data source", async (way) => {
    const { store, products, settings, dataSource } = await another();
    const useFactory = () => settings as TypeOrmModuleOptions;
    await open(
      way === "with"
        ? [TypeOrmModule.forRootAsync({ useFactory, dataSourceFactory: cachedDataSource({ store }) })]
        : [TypeOrmModule.forRootAsync({ useFactory }), CoherentCacheModule.forRoot({ store })],
    );
    expect((await products.findOneBy({ sku: "A" }))?.price).toBe(2);
    await dataSource.destroy();
  });
});

describe("the end of the app", () => {
  const rejections = new EventEmitter();
  const note = (reason: unknown) => rejections.emit("unhandled", reason);
  beforeAll(() => void process.on("unhandledRejection", note));
  afterAll(() => void process.off("unhandledRejection", note));

  /** Writes when the app ends, as a module does that marks what it could not finish. */
  @Injectable()
  class LastWords implements OnApplicationShutdown {
    constructor(@InjectCachedRepository(Product) private readonly products: never) {}
    async onApplicationShutdown(): Promise<void> {
      await (this.products as unknown as { save(product: object): Promise<void> }).save({ sku: "last", price: 1 });
    }
  }
  @Module({ imports: [CoherentCacheModule.forFeature([Product])], providers: [LastWords] })
  class LastModule {}

  it.each(["first", "last"])("follows what modules write in their hooks, with TypeOrmModule %s", async (place) => {
    const caching = CoherentCacheModule.forRoot();
    const imports = place === "first" ? [await typeorm(), caching, LastModule] : [LastModule, caching, await typeorm()];
    const running = await open(imports);
    const cache = running.get(CoherentCache);
    const dataSource = running.get(DataSource);
    const unhandled: unknown[] = [];
    rejections.on("unhandled", (reason) => unhandled.push(reason));
    await running.close();
    app = undefined;
    expect(cache.stats().locks).toBe(1);
    expect(dataSource.isInitialized).toBe(false);
    expect(() => cache.repository(Product)).toThrow(expect.objectContaining({ code: "CLOSED" }));
    await new Promise(setImmediate);
    expect(unhandled).toEqual([]);
  });

  it("is the end of a cache whose data source goes on: the app has only borrowed it", async () => {
    const dataSource = await database.open([Product]);
    @Global()
    @Module({ providers: [{ provide: DataSource, useValue: dataSource }], exports: [DataSource] })
    class BorrowedModule {}

    const running = await open([BorrowedModule, CoherentCacheModule.forRoot()]);
    expect(await hitsOf(running)).toBeGreaterThan(0);
    await running.close();
    app = undefined;
    expect(dataSource.isInitialized).toBe(true);
    await expect(attachCache(dataSource).then((cache) => cache.close())).resolves.toBeUndefined();
  });

  it("goes on where the store cannot be closed", async () => {
    class Stuck extends MemoryStore {
      override async close(): Promise<void> {
        throw new Error("stuck");
      }
    }
    const running = await open([await typeorm(), CoherentCacheModule.forRoot({ store: new Stuck() })]);
    await expect(running.close()).resolves.toBeUndefined();
    app = undefined;
  });
});

describe("wrong use", () => {
  const failing: [string, () => Promise<Imports>, object][] = [
    [
      "no TypeOrmModule",
      async () => [CoherentCacheModule.forRoot()],
      { code: "CONFIG_INVALID", message: expect.stringMatching(/no data source "default"\. Import TypeOrmModule/) },
    ],
    [
      "a name that no data source has",
      async () => [await typeorm(), CoherentCacheModule.forRoot({ dataSource: "audti" })],
      { code: "CONFIG_INVALID", message: expect.stringMatching(/no data source "audti"\. Import TypeOrmModule/) },
    ],
    [
      "repositories without a cache",
      async () => [await typeorm(), CoherentCacheModule.forFeature([Product])],
      { code: "CONFIG_INVALID", message: expect.stringMatching(/"default" has no cache\. Import CoherentCacheModule/) },
    ],
    [
      "an entity that is not cached",
      async () => [
        TypeOrmModule.forRoot(await database.options([Product, Uncached])),
        CoherentCacheModule.forRoot(),
        CoherentCacheModule.forFeature([Uncached]),
      ],
      { code: "NOT_CACHED", message: expect.stringContaining("Put @Cached() on it") },
    ],
    [
      "an entity of another data source",
      async () => [
        await typeorm(),
        TypeOrmModule.forRoot(named(await database.options([Uncached]), "audit")),
        CoherentCacheModule.forRoot({ dataSource: "audit" }),
        CoherentCacheModule.forFeature([Product], "audit"),
      ],
      { code: "NOT_CACHED" },
    ],
    [
      "repositories before the data source is initialised",
      async () => [
        TypeOrmModule.forRoot({ ...(await options()), manualInitialization: true }),
        CoherentCacheModule.forRoot(),
        CoherentCacheModule.forFeature([Product]),
      ],
      { code: "NOT_INITIALIZED", message: expect.stringContaining("initialize()") },
    ],
    [
      "two caches for one data source",
      async () => [await typeorm(), CoherentCacheModule.forRoot(), CoherentCacheModule.forRoot({ transparent: true })],
      { code: "ALREADY_ATTACHED", message: expect.stringContaining("once per data source") },
    ],
    [
      "options that cannot be meant",
      async () => [await typeorm(), CoherentCacheModule.forRoot({ consistency: "eventual" as "strict" })],
      { code: "CONFIG_INVALID", message: expect.stringContaining("consistency") },
    ],
    [
      "a name in what a factory returns",
      async () => [
        await typeorm(),
        CoherentCacheModule.forRootAsync({ useFactory: () => ({ dataSource: "audit" }) as object }),
      ],
      { code: "CONFIG_INVALID", message: expect.stringContaining("beside useFactory") },
    ],
    [
      "a factory that returns nothing",
      async () => [await typeorm(), CoherentCacheModule.forRootAsync({ useFactory: () => null as unknown as object })],
      { code: "CONFIG_INVALID", message: expect.stringContaining("object of options") },
    ],
  ];
  it.each(failing)("%s: the app does not start, and the error says what to do", async (_what, imports, error) => {
    const attempt = open(await imports());
    await expect(attempt).rejects.toMatchObject(error);
  });

  it.each(["first", "last"])("lets a data source that fails tell why itself, with TypeOrmModule %s", async (place) => {
    const broken = { ...(await options()), retryAttempts: 1, entities: [class NoEntity {}], migrationsRun: true };
    const modules = [TypeOrmModule.forRoot({ ...broken, migrations: [BadMigration] })];
    const caching = [CoherentCacheModule.forRoot(), ProductModule];
    const order = place === "first" ? [...modules, ...caching] : [...caching, ...modules];
    await expect(open(order)).rejects.toThrow("no such migration");
  });
  class BadMigration implements MigrationInterface {
    name = "Bad1700000000000";
    async up(): Promise<void> {
      throw new Error("no such migration");
    }
    async down(): Promise<void> {}
  }

  it("no way of making options, or no options at all", () => {
    const broken = (call: () => unknown) => expect(call).toThrow(CacheConfigError);
    broken(() => CoherentCacheModule.forRootAsync({}));
    broken(() => CoherentCacheModule.forRootAsync({ useFactory: () => ({}), useClass: class {} as never }));
    broken(() => CoherentCacheModule.forRoot(null as never));
    broken(() => getCachedRepositoryToken(undefined as never));
    broken(() => InjectCachedRepository(undefined as never));
  });

  it("cachedDataSource() without options of a data source", async () => {
    await expect(cachedDataSource()()).rejects.toMatchObject({ code: "CONFIG_INVALID" });
  });

  it("a health check of a data source that has no cache", async () => {
    const running = await open([await typeorm(), CoherentCacheModule.forRoot()]);
    const health = running.get(CoherentCacheHealthIndicator);
    expect(health.check("cache")).toEqual({ cache: { status: "up", pending: 0, outages: 0 } });
    expect(() => health.check("cache", { dataSource: "audit" })).toThrow(/"audit" has no cache\. Import/);
  });
});
