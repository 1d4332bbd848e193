export { cachedDataSource, type CacheOptionsSource } from "./attach";
export {
  CoherentCacheModule,
  type CachedDataSourceName,
  type CacheOptionsFactory,
  type CoherentCacheModuleAsyncOptions,
  type CoherentCacheModuleOptions,
} from "./coherent-cache-module";
export { InjectCache, InjectCachedRepository } from "./decorators";
export { CoherentCacheHealthIndicator, type CacheHealth } from "./health-indicator";
export { getCachedRepositoryToken, getCacheToken } from "./tokens";
