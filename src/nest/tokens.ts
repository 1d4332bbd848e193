import { inspect } from "node:util";
import type { InjectionToken } from "@nestjs/common";
import { DataSource, EntitySchema, type EntityTarget, type ObjectLiteral } from "typeorm";
import { CoherentCache } from "../coherent-cache";
import { CacheConfigError } from "../errors";

/** What @nestjs/typeorm calls the data source that has no name. */
export const DEFAULT_DATA_SOURCE = "default";

/**
 * What the cache of a data source is provided under: the class {@link CoherentCache} for the default one, a text for the others.
 *
 * @param dataSource its name, as TypeOrmModule knows it
 * @example
 * Test.createTestingModule({ imports: [AppModule] }).overrideProvider(getCacheToken("audit")).useValue(fake);
 */
export function getCacheToken(dataSource: string = DEFAULT_DATA_SOURCE): InjectionToken<CoherentCache> {
  return dataSource === DEFAULT_DATA_SOURCE ? CoherentCache : `${dataSource}CoherentCache`;
}

/**
 * What the cached repository of an entity is provided under by `CoherentCacheModule.forFeature()`.
 *
 * @param dataSource its name, as TypeOrmModule knows it
 * @throws CacheConfigError `CONFIG_INVALID` if `entity` is none, as in a circle of imports
 * @example
 * Test.createTestingModule({ providers: [ProductService, { provide: getCachedRepositoryToken(Product), useValue: fake }] });
 */
export function getCachedRepositoryToken(
  entity: EntityTarget<ObjectLiteral>,
  dataSource: string = DEFAULT_DATA_SOURCE,
): string {
  const prefix = dataSource === DEFAULT_DATA_SOURCE ? "" : `${dataSource}_`;
  return `${prefix}${nameOf(entity)}CachedRepository`;
}

/** The same text as `getDataSourceToken()` of @nestjs/typeorm, so that an app without that package can do without it. */
export function dataSourceToken(dataSource: string): InjectionToken<DataSource> {
  return dataSource === DEFAULT_DATA_SOURCE ? DataSource : `${dataSource}DataSource`;
}

function nameOf(entity: EntityTarget<ObjectLiteral> | undefined | null): string {
  if (entity instanceof EntitySchema) return entity.options.target?.name ?? entity.options.name;
  if (typeof entity === "string") return entity;
  const name = entity?.name;
  if (typeof name === "string" && name !== "") return name;
  throw new CacheConfigError(
    "CONFIG_INVALID",
    `${inspect(entity)} is no entity. If it is undefined, its file and this one import each other: break the circle.`,
  );
}
