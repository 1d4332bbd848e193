import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis, type RedisOptions } from "ioredis";
import { Column, DataSource, Entity, PrimaryGeneratedColumn } from "typeorm";
import { attachCache, Cached, RedisStore, type CacheOptions, type CoherentCache } from "typeorm-coherent";
import { startRedis, until, type RedisServer } from "../support/redis-server";
import { tcpSwitch, type TcpSwitch } from "../support/tcp-switch";

@Entity()
@Cached()
export class Account {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) balance!: number;
}

/** Milliseconds. */
export const LOCK_TTL = 600;
const TIMEOUT = 150;

/** One process's worth of cache. */
export interface Member {
  readonly dataSource: DataSource;
  readonly cache: CoherentCache;
  /** The client that was passed in, and stays the user's. */
  readonly client: Redis;
}

/** Caches over one SQLite file, as of several processes, each with its own way to Redis. */
export class World {
  private readonly folder = mkdtempSync(join(tmpdir(), "coherent-outage-"));
  private readonly closing: (() => unknown)[] = [];

  static async run(work: (world: World) => Promise<void>): Promise<void> {
    const world = new World();
    try {
      await work(world);
    } finally {
      for (const close of world.closing.reverse()) await close();
      rmSync(world.folder, { recursive: true, force: true });
    }
  }

  /** Closed when the test ends, the last one first. */
  keep(close: () => unknown): void {
    this.closing.push(close);
  }

  async redis(...args: string[]): Promise<RedisServer> {
    const server = await startRedis({ args });
    this.keep(() => server.stop());
    return server;
  }

  async proxy(target: number): Promise<TcpSwitch> {
    const proxy = await tcpSwitch(target);
    this.keep(() => proxy.stop());
    return proxy;
  }

  client(options: RedisOptions): Redis {
    const client = new Redis({ host: "127.0.0.1", lazyConnect: true, retryStrategy: () => 20, ...options });
    client.on("error", () => undefined);
    this.keep(() => client.disconnect());
    return client;
  }

  async member(redis: RedisOptions, options: CacheOptions = {}): Promise<Member> {
    const dataSource = new DataSource({
      type: "better-sqlite3",
      database: join(this.folder, "test.db"),
      entities: [Account],
      synchronize: true,
    });
    const client = this.client(redis);
    const cache = await attachCache(dataSource, {
      store: new RedisStore(client, { breaker: { openAfter: 3 } }),
      namespace: "outage",
      lockTtl: LOCK_TTL,
      storeTimeout: TIMEOUT,
      logger: { warn: () => undefined },
      ...options,
    });
    await dataSource.initialize();
    this.keep(() => dataSource.isInitialized && dataSource.destroy());
    await dataSource.getRepository(Account).save({ id: 1 });
    return { dataSource, cache, client };
  }
}

/** What a member's cache says. */
export async function served({ cache }: Member): Promise<number> {
  return (await cache.repository(Account).findOneByOrFail({ id: 1 })).balance;
}

/** What the database says. */
export async function stored({ dataSource }: Member): Promise<number> {
  const [row] = await dataSource.query<{ balance: number }[]>("SELECT balance FROM account WHERE id = 1");
  return row!.balance;
}

export async function write({ cache }: Member, balance: number): Promise<void> {
  await cache.repository(Account).save({ id: 1, balance });
}

/** Reads until an entry is served, so that nothing stays locked, open or bypassed for ever. */
export async function caching(member: Member): Promise<void> {
  await until(async () => {
    const { hits } = member.cache.stats();
    await served(member);
    return member.cache.stats().hits > hits;
  }, 20_000);
}
