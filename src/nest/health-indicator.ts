import { Injectable } from "@nestjs/common";
import { ModuleRef } from "@nestjs/core";
import type { CoherentCache } from "../coherent-cache";
import { CacheConfigError } from "../errors";
import type { StoreState } from "../events";
import { DEFAULT_DATA_SOURCE, getCacheToken } from "./tokens";

/** What is said of one cache; a `HealthIndicatorResult` of @nestjs/terminus. */
export type CacheHealth<Key extends string> = Record<
  Key,
  {
    /** down: the store does not answer. Reads go to the database, writes do what `consistency` says. */
    status: StoreState;
    /** Invalidations that wait for the store. While there are any, this process serves nothing from the cache. */
    pending: number;
    /** How often the store has been away. */
    outages: number;
  }
>;

/**
 * Says whether the store of a cache answers, for the health checks of @nestjs/terminus. It asks nobody: a circuit breaker knows
 * already. An app whose cache is away still answers, from its database, so think twice before this takes it out of service.
 *
 * @example
 * @Get("health")
 * @HealthCheck()
 * check() { return this.health.check([() => this.cacheHealth.check("cache")]); }
 */
@Injectable()
export class CoherentCacheHealthIndicator {
  constructor(private readonly moduleRef: ModuleRef) {}

  /**
   * @param key what the result is called
   * @param options the name of the data source, as TypeOrmModule knows it
   * @throws CacheConfigError `CONFIG_INVALID` if that data source has no cache
   */
  check<const Key extends string>(key: Key, options: { readonly dataSource?: string } = {}): CacheHealth<Key> {
    const { storeState, pending, outages } = this.cacheOf(options.dataSource).stats();
    return { [key]: { status: storeState, pending, outages } } as CacheHealth<Key>;
  }

  private cacheOf(dataSource: string = DEFAULT_DATA_SOURCE): CoherentCache {
    try {
      return this.moduleRef.get(getCacheToken(dataSource), { strict: false });
    } catch (cause) {
      throw new CacheConfigError(
        "CONFIG_INVALID",
        `The data source "${dataSource}" has no cache. Import CoherentCacheModule.forRoot({ dataSource: "${dataSource}", … }).`,
        { cause },
      );
    }
  }
}
