import type { DataSource, EntityMetadata, EntityTarget, ObjectLiteral } from "typeorm";
import { getMetadataArgsStorage } from "typeorm";
import { groupBy } from "../core/group-by";
import { anyRowTag, epochTag } from "../core/tag";
import { CacheConfigError } from "../errors";
import type { CacheOptions } from "../options";
import { cascadesOf, type DeleteCascade, type UpdateCascade } from "./cascades";
import { cachedOptionsOf, decoratedClasses, lineage } from "./decorators";
import { entityModel, keyOf, type EntityModel, type Key } from "./entity-model";
import { settingsOf } from "./entity-settings";
import { groupOfTable, reachableFrom } from "./reachable";
import { ViewSources } from "./view-sources";

/** One table or view of the data source, cached or not: whether a write of it matters, and how precisely it can be followed. */
export interface TableModel {
  readonly group: string;
  readonly metadata: EntityMetadata;
  /** The cached entities whose rows lie in it. */
  readonly models: readonly EntityModel[];
  /** Some entry can depend on it. */
  readonly tracked: boolean;
  /** The primary key, if it is tracked; undefined for a view, whose rows nobody can follow. */
  readonly primaryKey: Key | undefined;
  /** The declared keys of all its models, without the primary key. */
  readonly keys: readonly Key[];
  /**
   * Of a join table: the foreign keys that its primary key is made of. The name of a row says their values, so every write of it
   * touches their tags, and who depends on these need not know the rows.
   */
  readonly partKeys: readonly Key[];
  /**
   * Columns, in lower case, that decide which lookups find a row: those of declared keys, the one that marks it deleted, the
   * one that says its class. A write that leaves them alone makes no lookup find a row that it did not find before.
   */
  readonly deciding: ReadonlySet<string>;
  /** Tables whose rows the database changes by itself when a row here is deleted, or when these columns are updated. */
  readonly cascades: {
    readonly onDelete: readonly DeleteCascade[];
    readonly onUpdate: readonly UpdateCascade[];
  };
}

/** All that is known of the data source, resolved once. */
export interface Schema {
  readonly models: readonly EntityModel[];
  /** Groups that some entry depends on. */
  readonly groups: readonly string[];
  tableOf(group: string): TableModel | undefined;
  /** Tables by their unqualified name, in lower case; several where schemas repeat it. */
  tablesNamed(name: string): readonly TableModel[];
  /**
   * The groups of what a query depends on that names this table or view; undefined if writes of it are not followed.
   *
   * @param path the name, in lower case, after those of its schema and database if it is qualified
   */
  groupsReadAt(path: readonly string[]): readonly string[] | undefined;
  /** Names, in lower case, of views: who writes one writes tables that are not known here. */
  readonly views: ReadonlySet<string>;
  modelOf(target: EntityTarget<ObjectLiteral>): EntityModel | undefined;
}

/**
 * Resolves decorators and options against the metadata of an initialised data source.
 *
 * @throws CacheConfigError `NOT_AN_ENTITY`, `CONFIG_INVALID`, `KEY_COLUMN_UNKNOWN`, `KEY_RELATION_WITHOUT_JOIN_COLUMN`
 */
export function resolveSchema(dataSource: DataSource, options: CacheOptions): Schema {
  checkDecorated(dataSource);
  checkNamed(dataSource, options);
  const models = new Map<EntityMetadata, EntityModel>();
  const views = new ViewSources(dataSource, (view) => settingsOf(view, options)?.dependsOn);
  const sources = new Set<string>();
  for (const metadata of dataSource.entityMetadatas) {
    const settings = settingsOf(metadata, options);
    if (settings === undefined || metadata.tableType === "junction" || metadata.tableType === "closure-junction")
      continue;
    if (metadata.tableType !== "view") {
      models.set(metadata, entityModel(dataSource, metadata, settings, groupOfTable(metadata)));
      continue;
    }
    const groups = views.groupsOf(metadata, isAskedFor(metadata, options));
    if (groups === undefined) continue;
    for (const source of groups) sources.add(source);
    const tags = groups.flatMap((source) => [epochTag(source), anyRowTag(source)]);
    models.set(metadata, entityModel(dataSource, metadata, settings, groupOfTable(metadata), tags));
  }
  const tables = tablesOf(dataSource, [...models.values()], sources);
  const named = [...tables.values()].flatMap((table) => namesOf(table.metadata).map((name) => ({ name, table })));
  const byName = groupBy(named, ({ name }) => name);
  const isTracked = (name: string) => tables.get(name)?.tracked === true;
  return {
    models: [...models.values()],
    groups: [...tables.keys()].filter(isTracked),
    tableOf: (name) => tables.get(name),
    tablesNamed: (name) => byName.get(name)?.map(({ table }) => table) ?? [],
    groupsReadAt: (path) => {
      const groups = views.groupsAt(path);
      return groups?.every(isTracked) === true ? groups : undefined;
    },
    views: new Set(dataSource.entityMetadatas.filter(({ tableType }) => tableType === "view").flatMap(namesOf)),
    modelOf: (target) => (dataSource.hasMetadata(target) ? models.get(dataSource.getMetadata(target)) : undefined),
  };
}

/** What a table may be called, in lower case: PostgreSQL cuts its name to 63 bytes. */
function namesOf({ tableName }: EntityMetadata): string[] {
  const name = tableName.toLowerCase();
  if (Buffer.byteLength(name) <= 63) return [name];
  const cut = Buffer.from(name)
    .subarray(0, 63)
    .toString()
    .replace(/\ufffd$/, "");
  return [name, cut];
}

/** By a decorator or by name, and not only with all others. */
function isAskedFor({ target }: EntityMetadata, { entities }: CacheOptions): boolean {
  return entities !== "all" || (typeof target === "function" && cachedOptionsOf(target) !== undefined);
}

/** @param sources the groups of the tables and materialized views that cached views are made of */
function tablesOf(
  dataSource: DataSource,
  models: readonly EntityModel[],
  sources: ReadonlySet<string>,
): Map<string, TableModel> {
  const metadatas = dataSource.entityMetadatas.filter(({ tableType }) => tableType !== "view");
  // Reads of an entity may join whatever its relations lead to, so entries depend on the rows there too.
  const reachable = reachableFrom(models.map(({ metadata }) => metadata));
  const cascades = cascadesOf(metadatas);
  const tables = new Map<string, TableModel>();
  for (const [name, sharing] of groupBy(metadatas, groupOfTable)) {
    const metadata = sharing.find((candidate) => candidate.parentEntityMetadata === undefined) ?? sharing[0];
    if (metadata === undefined) continue;
    const own = models.filter((model) => model.group === name);
    const keys = new Map(own.flatMap((model) => model.keys.slice(1)).map((key) => [key.id, key]));
    const tracked = own.length > 0 || reachable.has(name) || sources.has(name);
    const marks = sharing.flatMap((one) =>
      [one.deleteDateColumn, one.discriminatorColumn].filter((column) => column != null),
    );
    tables.set(name, {
      group: name,
      metadata,
      models: own,
      tracked,
      primaryKey: tracked ? (own[0]?.primaryKey ?? keyOf(dataSource, metadata, metadata.primaryColumns)) : undefined,
      keys: [...keys.values()],
      partKeys: tracked && own.length === 0 ? partKeysOf(dataSource, metadata) : [],
      deciding: new Set(
        [...[...keys.values()].flatMap((key) => key.columns), ...marks].map(({ databaseName }) =>
          databaseName.toLowerCase(),
        ),
      ),
      cascades: { onDelete: cascades.onDelete(name), onUpdate: cascades.onUpdate(name) },
    });
  }
  for (const metadata of dataSource.entityMetadatas) {
    if (metadata.tableType !== "view") continue;
    const view = viewModel(metadata);
    const tracked = sources.has(view.group) || models.some((model) => model.group === view.group);
    tables.set(view.group, { ...view, tracked });
  }
  return tables;
}

/** Of a view only the epoch is ever touched. */
function viewModel(metadata: EntityMetadata): Omit<TableModel, "tracked"> {
  return {
    group: groupOfTable(metadata),
    metadata,
    models: [],
    primaryKey: undefined,
    keys: [],
    partKeys: [],
    deciding: new Set(),
    cascades: { onDelete: [], onUpdate: [] },
  };
}

function partKeysOf(dataSource: DataSource, metadata: EntityMetadata): Key[] {
  const { primaryColumns, foreignKeys } = metadata;
  return foreignKeys
    .filter(
      ({ columns }) => columns.length < primaryColumns.length && columns.every((one) => primaryColumns.includes(one)),
    )
    .map(({ columns }) => keyOf(dataSource, metadata, columns));
}

function checkDecorated(dataSource: DataSource): void {
  const { tables } = getMetadataArgsStorage();
  const entities = new Set<unknown>([
    ...tables.map(({ target }) => target),
    ...dataSource.entityMetadatas.map(({ target }) => target),
  ]);
  for (const decorated of decoratedClasses()) {
    const known = [...entities].some((entity) => typeof entity === "function" && lineage(entity).includes(decorated));
    if (known) continue;
    const { name } = decorated as { name: string };
    throw new CacheConfigError(
      "NOT_AN_ENTITY",
      `${name} has @Cached but is no entity. Add @Entity() to it, or take @Cached off.`,
      {
        entity: name,
      },
    );
  }
}

function checkNamed(dataSource: DataSource, options: CacheOptions): void {
  if (typeof options.entities !== "object") return;
  const names = dataSource.entityMetadatas.map(({ name }) => name);
  for (const name of Object.keys(options.entities)) {
    if (!names.includes(name)) {
      throw new CacheConfigError(
        "NOT_AN_ENTITY",
        `entities names ${name}, but the data source has only ${names.join(", ")}.`,
        {
          entity: name,
        },
      );
    }
  }
}
