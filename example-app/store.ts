import { randomUUID } from "node:crypto";
import { Redis } from "ioredis";
import { MemoryStore, RedisStore, type CacheOptions } from "typeorm-coherent";
import { OWN_REDIS, type Flags, UsageError } from "./flags";
import { ONCE, startOwnRedis, type OwnRedis } from "./own-redis";

/** Where cache and database are. */
export type Place = Pick<Flags, "redis" | "database">;

/** Where the cache is kept, and how that ends. */
export interface OpenStore {
  /** For the report. */
  readonly description: string;
  readonly options: Pick<CacheOptions, "store" | "namespace">;
  /** If it was started for this. */
  readonly own?: OwnRedis;
  close(): Promise<void>;
}

/** @throws UsageError if Redis does not answer, or there is none to start */
export async function openStore({ redis: url, database }: Place): Promise<OpenStore> {
  if (url === OWN_REDIS) return openOwn();
  if (url === undefined) {
    const options = { store: new MemoryStore() };
    return { description: "in this process (MemoryStore)", options, close: () => Promise.resolve() };
  }
  const redis = await connect(url);
  // A database in memory is gone when this process ends, so its cache should be too.
  const namespace = database === undefined ? `example-shop-${randomUUID()}` : undefined;
  return {
    description: `in Redis at ${withoutPassword(url)}`,
    options: { store: new RedisStore(redis), ...(namespace === undefined ? {} : { namespace }) },
    close: async () => {
      if (namespace !== undefined) await removeKeys(redis, namespace);
      redis.disconnect();
    },
  };
}

/** Nothing that is in it need be removed: it ends with this process. */
async function openOwn(): Promise<OpenStore> {
  const own = await startOwnRedis();
  const redis = await connect(own.url);
  const close = async () => {
    redis.disconnect();
    await own.stop();
  };
  const options = { store: new RedisStore(redis), namespace: `example-shop-${randomUUID()}` };
  return { description: `in a Redis of its own at ${own.url}`, options, own, close };
}

/** The store opens a connection of its own with the same settings; this one asks whether anybody is there at all. */
async function connect(url: string): Promise<Redis> {
  const redis = new Redis(url, {
    ...ONCE,
    connectTimeout: 3000,
    maxRetriesPerRequest: 1,
  });
  let reason: Error | undefined;
  redis.on("error", (error: Error) => (reason = error));
  try {
    await redis.ping();
    return redis;
  } catch (error) {
    redis.disconnect();
    const { message } = reason ?? (error as Error);
    throw new UsageError(
      `--redis ${withoutPassword(url)} does not answer (${message}); leave --redis away to do without.`,
    );
  }
}

async function removeKeys(redis: Redis, namespace: string): Promise<void> {
  for await (const keys of redis.scanStream({ match: `${namespace}:*`, count: 500 })) {
    if ((keys as string[]).length > 0) await redis.unlink(keys as string[]);
  }
}

function withoutPassword(url: string): string {
  return url.replace(/\/\/.*@/, "//");
}
