import { Inject } from "@nestjs/common";
import type { EntityTarget, ObjectLiteral } from "typeorm";
import { getCachedRepositoryToken, getCacheToken } from "./tokens";

/**
 * Injects the cached repository of an entity that `CoherentCacheModule.forFeature()` names.
 *
 * @param dataSource its name, as TypeOrmModule knows it
 * @throws CacheConfigError `CONFIG_INVALID` if `entity` is none, as in a circle of imports
 * @example
 * constructor(@InjectCachedRepository(Product) private readonly products: CachedRepository<Product>) {}
 */
export function InjectCachedRepository(
  entity: EntityTarget<ObjectLiteral>,
  dataSource?: string,
): PropertyDecorator & ParameterDecorator {
  return Inject(getCachedRepositoryToken(entity, dataSource));
}

/**
 * Injects the cache of a data source: for its events, `stats()`, `explain()`, `invalidate()` and feeds. The one of the default data
 * source comes without a decorator too, by its type.
 *
 * @param dataSource its name, as TypeOrmModule knows it
 * @example
 * constructor(@InjectCache("audit") private readonly cache: CoherentCache) {}
 */
export function InjectCache(dataSource?: string): PropertyDecorator & ParameterDecorator {
  return Inject(getCacheToken(dataSource));
}
