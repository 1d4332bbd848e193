import Redis, { type RedisOptions } from "ioredis";
import { DataSource, type DataSourceOptions } from "typeorm";
import { attachCache, RedisStore, type CacheOptions, type CoherentCache } from "typeorm-coherent";
import { insertProducts, MIDDLING, type Shape } from "./product";

/** A database that the run found. */
export type DatabaseName = "sqlite" | "postgres" | "mariadb";

/** Where everything runs, and what was opened there; `close` ends it all. */
export class Places {
  private readonly opened: (() => unknown)[] = [];
  private readonly checks: (() => string | undefined)[] = [];

  /** @param databases each call of one gives an empty database of its own */
  constructor(
    readonly redisUrl: string,
    private readonly databases: Readonly<Partial<Record<DatabaseName, () => Promise<DataSourceOptions>>>>,
  ) {}

  has(name: DatabaseName): boolean {
    return this.databases[name] !== undefined;
  }

  /** A data source that is full of products. */
  async open(name: DatabaseName, shape: Shape = MIDDLING, extra: object = {}): Promise<DataSource> {
    const dataSource = await this.openEmpty(name, extra);
    await insertProducts(dataSource, shape);
    return dataSource;
  }

  async openEmpty(name: DatabaseName, extra: object = {}): Promise<DataSource> {
    const options = await this.databases[name]?.();
    if (options === undefined) throw new Error(`There is no ${name}.`);
    const dataSource = new DataSource({ ...options, ...extra });
    await dataSource.initialize();
    this.onClose(() => dataSource.destroy());
    return dataSource;
  }

  client(options: RedisOptions = {}): Redis {
    const client = new Redis(this.redisUrl, options);
    this.onClose(() => client.disconnect());
    return client;
  }

  redisStore(): RedisStore {
    return new RedisStore(new Redis(this.redisUrl, { lazyConnect: true }));
  }

  /** What is not in use costs nothing: whoever asks for a cache gets one that can hold all that he reads. */
  async attach(dataSource: DataSource, options: CacheOptions = {}): Promise<CoherentCache> {
    return attachCache(dataSource, {
      consistency: "strict",
      storeTimeout: 900,
      ...options,
      entities: { Product: { ttl: "1h", jitter: 0, keys: ["categoryId"] } },
    });
  }

  onClose(close: () => unknown): void {
    this.opened.push(close);
  }

  /** @param complaint says what was not as it should have been, if anything */
  onCheck(complaint: () => string | undefined): void {
    this.checks.push(complaint);
  }

  /** Whether what was measured was what it says; each complaint as a line. */
  complaints(): string[] {
    return this.checks.flatMap((check) => check() ?? []);
  }

  /** Empties Redis too, which belongs to the run: what comes next begins with nothing. */
  async close(): Promise<void> {
    for (const close of this.opened.splice(0).reverse()) await close();
    const client = new Redis(this.redisUrl);
    await client.flushall();
    client.disconnect();
  }
}
