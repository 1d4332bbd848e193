import { DataSource, type DataSourceOptions } from "typeorm";
import { attachCache } from "../attach-cache";
import type { CoherentCache } from "../coherent-cache";
import { CacheConfigError, CacheStateError, StoreError } from "../errors";
import type { CacheOptions } from "../options";
import { nestLogger } from "./nest-logger";

/** Caches that came with their data source. */
const early = new WeakMap<DataSource, CoherentCache>();

/** The options of a cache, or a function that makes them of those of the data source. */
export type CacheOptionsSource =
  CacheOptions | ((dataSource: DataSourceOptions) => CacheOptions | Promise<CacheOptions>);

/**
 * Makes data sources that have a cache before they are connected, so that it sees every statement, migrations and schema
 * synchronisation too. `CoherentCacheModule.forRoot()` finds it there, and takes no options but the name of the data source.
 *
 * @param options a function is called for each data source, so also each time that TypeOrmModule tries to connect again
 * @returns what `TypeOrmModule.forRootAsync()` takes as `dataSourceFactory`; it rejects with whatever `attachCache()` throws
 * @example
 * TypeOrmModule.forRootAsync({
 *   useFactory: () => ({ type: "postgres", url: process.env.PG_URL, autoLoadEntities: true, migrationsRun: true }),
 *   dataSourceFactory: cachedDataSource({ store: new RedisStore(new Redis(url, { lazyConnect: true })) }),
 * });
 */
export function cachedDataSource(
  options: CacheOptionsSource = {},
): (dataSource?: DataSourceOptions) => Promise<DataSource> {
  return async (settings) => {
    if (settings === undefined) {
      throw new CacheConfigError(
        "CONFIG_INVALID",
        "cachedDataSource() got no options of a data source. Give them as useFactory, beside dataSourceFactory.",
      );
    }
    const dataSource = new DataSource(settings);
    early.set(dataSource, await attach(dataSource, typeof options === "function" ? await options(settings) : options));
    return dataSource;
  };
}

/**
 * The cache that a data source came with, else a new one.
 *
 * @param name of the data source
 * @throws CacheConfigError `CONFIG_INVALID` for options that cannot be meant
 * @throws CacheStateError `ALREADY_ATTACHED` if it has a cache and options for another, or one that is not of this module's making
 */
export async function cacheFor(dataSource: DataSource, options: CacheOptions, name: string): Promise<CoherentCache> {
  if (typeof options === "object" && options !== null && "dataSource" in options) {
    throw new CacheConfigError("CONFIG_INVALID", "dataSource stands beside useFactory, not in what it returns.");
  }
  const found = early.get(dataSource);
  if (found !== undefined) {
    if (Object.keys(options ?? {}).length === 0) return found;
    throw new CacheStateError(
      "ALREADY_ATTACHED",
      `The data source "${name}" got its cache from cachedDataSource(). Give the options there, and none but dataSource to CoherentCacheModule.`,
    );
  }
  const cache = await attach(dataSource, options).catch((error: unknown) => {
    if (!(error instanceof CacheStateError) || error.code !== "ALREADY_ATTACHED") throw error;
    throw new CacheStateError(
      "ALREADY_ATTACHED",
      `The data source "${name}" has a cache already. Import CoherentCacheModule.forRoot() once per data source; a dataSourceFactory of your own that attaches one is written cachedDataSource().`,
      { cause: error },
    );
  });
  if (dataSource.isInitialized && hasWrittenAtStart(dataSource)) await forget(cache);
  return cache;
}

/** Nothing was followed while the data source was initialised. */
function hasWrittenAtStart({ options }: DataSource): boolean {
  return [options.migrationsRun, options.synchronize, options.dropSchema].includes(true);
}

/** What other processes have stored may be from before. */
async function forget(cache: CoherentCache): Promise<void> {
  try {
    await cache.clear();
  } catch (error) {
    // It is made up for before anything is served.
    if (!(error instanceof StoreError)) throw error;
  }
}

function attach(dataSource: DataSource, options: CacheOptions): Promise<CoherentCache> {
  const isObject = typeof options === "object" && options !== null;
  return attachCache(dataSource, isObject ? { ...options, logger: options.logger ?? nestLogger() } : options);
}
