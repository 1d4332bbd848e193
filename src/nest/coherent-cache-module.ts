import {
  ConfigurableModuleBuilder,
  Logger,
  Module,
  type ConfigurableModuleAsyncOptions,
  type DynamicModule,
  type InjectionToken,
  type OnApplicationShutdown,
  type Provider,
} from "@nestjs/common";
import type { DataSource, EntityTarget, ObjectLiteral } from "typeorm";
import type { CoherentCache } from "../coherent-cache";
import { CacheConfigError } from "../errors";
import type { CacheOptions } from "../options";
import { cacheFor } from "./attach";
import { CoherentCacheHealthIndicator } from "./health-indicator";
import { required } from "./required";
import { DEFAULT_DATA_SOURCE, dataSourceToken, getCachedRepositoryToken, getCacheToken } from "./tokens";

/** Which data source a cache is for. */
export interface CachedDataSourceName {
  /** Its name, as TypeOrmModule knows it. Default: "default", the one without a name. */
  readonly dataSource?: string;
}

/** What `CoherentCacheModule.forRoot()` takes. `logger` is Nest's by default. */
export type CoherentCacheModuleOptions = CacheOptions & CachedDataSourceName;

/** A class that makes the options of a cache: `useClass`, `useExisting`. */
export interface CacheOptionsFactory {
  createCacheOptions(): CacheOptions | Promise<CacheOptions>;
}

/** What `CoherentCacheModule.forRootAsync()` takes: `imports`, `inject`, and one of `useFactory`, `useClass` and `useExisting`. */
export type CoherentCacheModuleAsyncOptions = ConfigurableModuleAsyncOptions<CacheOptions, "createCacheOptions"> &
  CachedDataSourceName;

const { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN } = new ConfigurableModuleBuilder<CacheOptions>({
  moduleName: "CoherentCache",
})
  .setClassMethodName("forRoot")
  .setFactoryMethodName("createCacheOptions")
  .setExtras<CachedDataSourceName>({ dataSource: DEFAULT_DATA_SOURCE }, (definition, { dataSource }) =>
    withCache(definition, dataSource),
  )
  .build();

/**
 * A cache on a data source of @nestjs/typeorm; see docs/nestjs.md. It is global: import it once per data source, anywhere. It is
 * closed with the app, after the last request and the hooks of your modules.
 *
 * With `transparent: true` the repositories of `@InjectRepository()` are served as they are. Else those of
 * `@InjectCachedRepository()` are, which `forFeature()` provides.
 *
 * @example
 * imports: [
 *   TypeOrmModule.forRoot({ type: "postgres", url, autoLoadEntities: true }),
 *   CoherentCacheModule.forRoot({ store: new RedisStore(new Redis(redisUrl, { lazyConnect: true })) }),
 * ]
 */
@Module({})
export class CoherentCacheModule extends ConfigurableModuleClass {
  /**
   * Attaches a cache to a data source, with these options, unless it came with one: see {@link cachedDataSource}. What the data source
   * wrote while it was initialised, as migrations do, was not seen then: the cache is cleared.
   *
   * @throws CacheConfigError `CONFIG_INVALID` if there is no data source of this name; and whatever `attachCache()` throws. The app's
   *   start fails with it.
   * @throws CacheStateError `ALREADY_ATTACHED` if the data source has a cache and these are the options of another
   */
  static override forRoot(options: CoherentCacheModuleOptions = {}): DynamicModule {
    return super.forRoot(objectOf(options, "forRoot"));
  }

  /**
   * The same with options that other providers have a say in.
   *
   * @throws CacheConfigError `CONFIG_INVALID` unless it has one of `useFactory`, `useClass` and `useExisting`
   * @example
   * CoherentCacheModule.forRootAsync({
   *   inject: [ConfigService],
   *   useFactory: (config: ConfigService) => ({
   *     store: new RedisStore(new Redis(config.getOrThrow("REDIS_URL"), { lazyConnect: true })),
   *   }),
   * });
   */
  static override forRootAsync(options: CoherentCacheModuleAsyncOptions): DynamicModule {
    const { useFactory, useClass, useExisting } = objectOf(options, "forRootAsync");
    if ([useFactory, useClass, useExisting].filter((way) => way !== undefined).length !== 1) {
      throw new CacheConfigError(
        "CONFIG_INVALID",
        "CoherentCacheModule.forRootAsync() takes one of useFactory, useClass and useExisting.",
      );
    }
    return super.forRootAsync(options);
  }

  /**
   * Provides the cached repositories of these entities to a module, as `TypeOrmModule.forFeature()` does those of TypeORM.
   *
   * @param dataSource its name, as TypeOrmModule knows it
   * @throws CacheConfigError when the app starts: `NOT_CACHED` for an entity that is not cached, `CONFIG_INVALID` without `forRoot()`
   * @example
   * imports: [CoherentCacheModule.forFeature([Product])]
   */
  static forFeature(
    entities: readonly EntityTarget<ObjectLiteral>[],
    dataSource: string = DEFAULT_DATA_SOURCE,
  ): DynamicModule {
    const advice = `The data source "${dataSource}" has no cache. Import CoherentCacheModule.forRoot({ dataSource: "${dataSource}", … }) in the root module.`;
    const providers = entities.map((entity) => ({
      provide: getCachedRepositoryToken(entity, dataSource),
      useFactory: (cache?: CoherentCache) => required(cache, advice).repository(entity),
      inject: [optional(getCacheToken(dataSource))],
    }));
    return { module: CoherentCacheModule, providers, exports: providers };
  }
}

/** Ends a cache with the app: before that the server has answered its last request, and modules that are not global have had their hooks. */
class CacheShutdown implements OnApplicationShutdown {
  constructor(private readonly cache: CoherentCache) {}

  async onApplicationShutdown(): Promise<void> {
    try {
      await this.cache.close();
    } catch (error) {
      // Thrown, it would keep the hooks of others from being called, and the data source open.
      new Logger("CoherentCache").error("The cache could not be closed.", error);
    }
  }
}

function withCache(definition: DynamicModule, name: string = DEFAULT_DATA_SOURCE): DynamicModule {
  const cache = getCacheToken(name);
  const advice = `There is no data source "${name}". Import TypeOrmModule.forRoot() with this name, or give CoherentCacheModule the option dataSource: the name that it has there.`;
  const providers: Provider[] = [
    ...(definition.providers ?? []),
    {
      provide: cache,
      useFactory: (options: CacheOptions, dataSource?: DataSource) =>
        cacheFor(required(dataSource, advice), options, name),
      inject: [MODULE_OPTIONS_TOKEN, optional(dataSourceToken(name))],
    },
    { provide: CacheShutdown, useFactory: (own: CoherentCache) => new CacheShutdown(own), inject: [cache] },
    CoherentCacheHealthIndicator,
  ];
  return { ...definition, global: true, providers, exports: [cache, CoherentCacheHealthIndicator] };
}

function optional(token: InjectionToken): { token: InjectionToken; optional: true } {
  return { token, optional: true };
}

function objectOf<Options>(options: Options, method: string): Options {
  if (typeof options === "object" && options !== null) return options;
  throw new CacheConfigError("CONFIG_INVALID", `CoherentCacheModule.${method}() takes an object of options.`);
}
