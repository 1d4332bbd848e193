import { createHash } from "node:crypto";
import type { DataSource, EntityMetadata } from "typeorm";
import type { ColumnMetadata } from "typeorm/metadata/ColumnMetadata";
import { tagName, type Tag } from "../core/tag";
import { CacheConfigError } from "../errors";
import { canonicalOf, type Canonical } from "./column-equality";
import type { EntitySettings } from "./entity-settings";

/** One column of a key, and how its values become the text in a tag. */
export interface KeyColumn {
  readonly column: ColumnMetadata;
  readonly databaseName: string;
  readonly canonical: Canonical;
}

/** A column, or several, that rows are looked up by. */
export interface Key {
  /** Database names, joined: what two models of one table recognise the same key by. */
  readonly id: string;
  readonly columns: readonly KeyColumn[];
  /** The columns in tags. */
  readonly tagName: string;
  /** At most one row has given values: the primary key, and what the entity declares unique. */
  readonly unique: boolean;
}

/** One cached entity. */
export interface EntityModel {
  readonly metadata: EntityMetadata;
  readonly name: string;
  /** The group of its table; see core/tag.ts. */
  readonly group: string;
  readonly settings: EntitySettings;
  readonly primaryKey: Key;
  /** The primary key first, then the declared keys. */
  readonly keys: readonly Key[];
  /** Changes when the shape of a cached row changes, so that two versions of an app never read each other's entries. */
  readonly fingerprint: string;
  /**
   * Of a view: the tags that every write of a table which it is made of touches. Its rows have none of their own. Undefined for
   * a table.
   */
  readonly sources: readonly Tag[] | undefined;
  /** False if something of the entity is not in its own row, so that no read of it can be served. */
  readonly cacheable: boolean;
}

/**
 * @param sources for a view
 * @throws CacheConfigError `KEY_COLUMN_UNKNOWN`, `KEY_RELATION_WITHOUT_JOIN_COLUMN`, `CONFIG_INVALID`
 */
export function entityModel(
  dataSource: DataSource,
  metadata: EntityMetadata,
  settings: EntitySettings,
  group: string,
  sources?: readonly Tag[],
): EntityModel {
  const primaryKey = keyOf(dataSource, metadata, metadata.primaryColumns);
  const declared = settings.keys.map((paths) => keyOf(dataSource, metadata, columnsOf(metadata, paths)));
  return {
    metadata,
    name: metadata.name,
    group,
    settings,
    primaryKey,
    keys: [...new Map([primaryKey, ...declared].map((key) => [key.id, key])).values()],
    fingerprint: fingerprintOf(metadata, sources),
    sources,
    cacheable: (metadata.primaryColumns.length > 0 || sources !== undefined) && isWholeInItsRow(metadata),
  };
}

/** A key of these columns. */
export function keyOf(dataSource: DataSource, metadata: EntityMetadata, columns: readonly ColumnMetadata[]): Key {
  const names = columns.map((column) => column.databaseName);
  return {
    id: names.join(","),
    tagName: tagName(names),
    columns: columns.map((column) => ({
      column,
      databaseName: column.databaseName,
      canonical: canonicalOf(column, dataSource),
    })),
    unique: uniqueColumnSets(metadata).some((set) => set.every((name) => names.includes(name))),
  };
}

/** @param paths not empty */
function columnsOf(metadata: EntityMetadata, paths: readonly string[]): ColumnMetadata[] {
  const columns = paths.flatMap((path) => columnsAt(metadata, path));
  if (new Set(columns).size === columns.length) return columns;
  throw new CacheConfigError(
    "CONFIG_INVALID",
    `${metadata.name}: the cache key [${paths.join(", ")}] names a column twice. Leave it out once.`,
    { entity: metadata.name },
  );
}

function columnsAt(metadata: EntityMetadata, path: string): ColumnMetadata[] {
  const column = metadata.findColumnWithPropertyPathStrict(path);
  if (column !== undefined && !column.isVirtualProperty) return [column];
  const relation = metadata.findRelationWithPropertyPath(path);
  if (relation !== undefined) {
    if (relation.joinColumns.length > 0 && !relation.isManyToMany) return relation.joinColumns;
    throw new CacheConfigError(
      "KEY_RELATION_WITHOUT_JOIN_COLUMN",
      `${metadata.name}: the cache key "${path}" is a relation that keeps no column in this table. Put @CacheKey() on the side with the join column, or on a column.`,
      { entity: metadata.name },
    );
  }
  const known = metadata.columns.filter(({ isVirtual }) => !isVirtual).map(({ propertyPath }) => propertyPath);
  throw new CacheConfigError(
    "KEY_COLUMN_UNKNOWN",
    `${metadata.name}: the cache key "${path}" is not a column of the entity. Its columns are ${known.join(", ")}.`,
    { entity: metadata.name },
  );
}

/** The columns, by their names in the database, of which no two rows have the same values. */
export function uniqueColumnSets(metadata: EntityMetadata): string[][] {
  const names = (columns: readonly ColumnMetadata[]) => columns.map((column) => column.databaseName);
  return [
    names(metadata.primaryColumns),
    ...metadata.uniques.map((unique) => names(unique.columns)),
    // A partial unique index lets two rows share the values.
    ...metadata.indices.filter((index) => index.isUnique && !index.where).map((index) => names(index.columns)),
    ...metadata.ownerOneToOneRelations.map((relation) => names(relation.joinColumns)),
  ].filter((set) => set.length > 0);
}

/** Virtual columns, relation ids and relation counts (0.3) come from other tables, whose writes this entity's tags do not follow. */
function isWholeInItsRow(metadata: EntityMetadata): boolean {
  const { relationCounts = [] } = metadata as { relationCounts?: readonly unknown[] };
  return (
    metadata.columns.every((column) => !column.isVirtualProperty) &&
    metadata.relationIds.length === 0 &&
    relationCounts.length === 0
  );
}

/** Whatever makes the same query find other rows, or a row look otherwise. */
function fingerprintOf(metadata: EntityMetadata, sources: readonly Tag[] | undefined): string {
  const columns = metadata.columns.map((column) => [
    column.databaseName,
    column.propertyPath,
    typeof column.type === "function" ? column.type.name : column.type,
    column.isArray,
    column.isSelect,
    column.isDeleteDate,
  ]);
  const children = metadata.childEntityMetadatas.map((child) => child.discriminatorValue ?? null);
  const inheritance = [
    metadata.discriminatorColumn?.databaseName ?? null,
    metadata.discriminatorValue ?? null,
    children,
  ];
  const shape = JSON.stringify([
    metadata.tablePath,
    inheritance,
    metadata.orderBy ?? null,
    columns,
    ...(sources === undefined ? [] : [sources]),
  ]);
  return createHash("sha256").update(shape).digest("base64url").slice(0, 8);
}
