import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { DataSource } from "typeorm";
import { attachCache, MemoryStore, RedisStore, type CachedRepository, type CoherentCache } from "typeorm-coherent";

/** What the test knows and a page does not say. */
export interface Surroundings {
  /** Of a Redis that is there for the docs. */
  readonly url: string;
  /** The block attaches no cache itself. */
  readonly attach: boolean;
}

/** What every page may name without saying where it comes from: an SQLite database in a file, a Redis, and a cache. */
export async function openShop({ url, attach }: Surroundings, entities: readonly (new () => object)[]) {
  const folder = mkdtempSync(join(tmpdir(), "coherent-docs-"));
  const database = join(folder, "shop.db");
  const dataSource = new DataSource({
    type: "better-sqlite3",
    database,
    entities: [...entities],
    synchronize: true,
  });
  await dataSource.initialize();
  const redis = new Redis(url);
  const store = new RedisStore(redis);
  const cache = (attach ? await attachCache(dataSource, { store: new MemoryStore() }) : undefined) as CoherentCache;
  const repositoryOf = <Entity extends object>(entity: new () => Entity): CachedRepository<Entity> =>
    attach ? cache.repository<Entity>(entity) : (undefined as unknown as CachedRepository<Entity>);
  return {
    dataSource,
    cache,
    repositoryOf,
    store,
    redis,
    url,
    tearDown: async () => {
      await dataSource.destroy();
      redis.disconnect();
      rmSync(folder, { recursive: true });
    },
  };
}
