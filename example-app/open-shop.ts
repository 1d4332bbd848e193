import type { FastifyInstance } from "fastify";
import type { DataSource } from "typeorm";
import { attachCache, type CoherentCache } from "typeorm-coherent";
import { createApi } from "./api/server";
import { createDataSource, openDatabase } from "./database";
import { pageRoutes } from "./page/routes";
import { inventory, seed } from "./seed/seed";
import { Shop } from "./shop/shop";
import { openStore, type Place } from "./store";
import { Watch } from "./watch";

/** The shop with all that belongs to it, ready to use. */
export interface OpenShop {
  readonly dataSource: DataSource;
  readonly cache: CoherentCache;
  readonly watch: Watch;
  /** Reads through the cache. */
  readonly shop: Shop;
  /** The same shop on TypeORM's own repositories, for checking: every read goes to the database. */
  readonly plain: Shop;
  readonly api: FastifyInstance;
  /** For the report: where the cache is. */
  readonly store: string;
  readonly usesRedis: boolean;
  /** Milliseconds that filling the empty database took; undefined if it was not empty. */
  readonly seedTime: number | undefined;
  /** Lets requests finish, then closes everything. */
  close(): Promise<void>;
}

/** Ten times the default: on a laptop that is busy, the tour would otherwise show reads that did not wait for Redis. */
const STORE_TIMEOUT = 500;

/** @throws UsageError if Redis or the file of the database cannot be used */
export async function openShop(flags: Place): Promise<OpenShop> {
  const watch = new Watch();
  const store = await openStore(flags);
  const dataSource = createDataSource(flags.database, watch.logger);
  // Attached before anything is written, so that the cache has seen it all.
  const cache = await attachCache(dataSource, { ...store.options, storeTimeout: STORE_TIMEOUT });
  const shut = async () => {
    await cache.close();
    if (dataSource.isInitialized) await dataSource.destroy();
    await store.close();
  };
  try {
    watch.attach(cache);
    await openDatabase(dataSource, flags.database);
    const seedTime = await seedIfEmpty(dataSource);
    const shop = new Shop(dataSource, (target) => cache.repository(target));
    const plain = new Shop(dataSource, (target) => dataSource.getRepository(target));
    const api = createApi(shop, cache, watch);
    const { description: place, own: redis } = store;
    await api.register(pageRoutes, { cache, shop, plain, watch, place, redis });
    await api.ready();
    const close = async () => {
      await api.close();
      await shut();
    };
    return {
      dataSource,
      cache,
      watch,
      shop,
      plain,
      api,
      store: store.description,
      usesRedis: flags.redis !== undefined,
      seedTime,
      close,
    };
  } catch (error) {
    await shut();
    throw error;
  }
}

/**
 * The API over the same shop without any cache, to compare.
 *
 * @throws UsageError if the file of the database cannot be used
 */
export async function openUncachedApi(database: string | undefined): Promise<Pick<OpenShop, "api" | "close">> {
  const watch = new Watch();
  const dataSource = createDataSource(database, watch.logger);
  const shut = async () => {
    if (dataSource.isInitialized) await dataSource.destroy();
  };
  try {
    await openDatabase(dataSource, database);
    await seedIfEmpty(dataSource);
    const api = createApi(new Shop(dataSource, (target) => dataSource.getRepository(target)), undefined, watch);
    await api.ready();
    const close = async () => {
      await api.close();
      await shut();
    };
    return { api, close };
  } catch (error) {
    await shut();
    throw error;
  }
}

async function seedIfEmpty(dataSource: DataSource): Promise<number | undefined> {
  if ((await inventory(dataSource)).products > 0) return undefined;
  const start = performance.now();
  await seed(dataSource);
  return performance.now() - start;
}
