import { FindOperator, type EntityMetadata, type FindManyOptions, type ObjectLiteral } from "typeorm";
import type { ColumnMetadata } from "typeorm/metadata/ColumnMetadata";
import { anyRowTag, epochTag, type Tag } from "../core/tag";
import type { BypassReason } from "../events";
import { canonicalOf } from "../metadata/column-equality";
import { cachedQuery, isKeyValue, keyTag, type CachedQuery, type QueryShape } from "../metadata/cached-query";
import type { EntityModel, Key } from "../metadata/entity-model";
import { groupOfTable } from "../metadata/schema";
import type { EntryKind } from "../options";

/** How a method reads: at most one row, a list, or a number. */
export type ReadKind = "one" | "many" | "count";

/** A read that the cache can serve exactly: one query, or one per row for `In([...])` on the primary key. */
export interface CacheableRead {
  readonly queries: readonly CachedQuery[];
  readonly multiple: boolean;
  /** Milliseconds, if the call names its own TTL. */
  readonly ttl: number | undefined;
}

/** Options that change nothing in the result. */
const NEUTRAL = new Set(["where", "order", "skip", "take", "cache", "comment", "withDeleted", "loadEagerRelations"]);
/** A longer list goes to the database. */
const MOST_IDS = 500;

/**
 * What a find method with these options reads, without building SQL, or why the cache cannot serve it. A where clause
 * qualifies if it compares exactly the columns of one key for equality.
 */
export function cacheableQuery(
  model: EntityModel,
  kind: ReadKind,
  options: FindManyOptions<ObjectLiteral>,
): CacheableRead | BypassReason {
  if (!model.cacheable) return "entity";
  if (options.cache === false) return "cache-off";
  for (const [name, value] of Object.entries(options)) {
    if (!NEUTRAL.has(name) && !isNothing(value)) return "options";
  }
  if (kind !== "count" && options.loadEagerRelations !== false && model.metadata.eagerRelations.length > 0) {
    return "eager-relations";
  }
  const comparisons = comparisonsOf(model.metadata, options.where);
  if (typeof comparisons === "string") return comparisons;
  const key = model.keys.find(
    ({ columns }) => columns.length === comparisons.size && columns.every(({ column }) => comparisons.has(column)),
  );
  if (key === undefined) return "where";
  const compared = key.columns.map(({ column }) => comparisons.get(column) as Comparison);
  const window = windowOf(model.metadata, kind, key, options);
  if (typeof window === "string") return window;
  const ttl = typeof options.cache === "number" && options.cache > 0 ? options.cache : ttlIn(options.cache);
  const shape = { ...window, joined: compared.flatMap((comparison) => comparison.joined) };
  const entry = key.unique && kind === "many" ? "row" : ENTRY[kind];
  const queryOf = (values: readonly unknown[]): CachedQuery | undefined =>
    values.every(isKeyValue)
      ? cachedQuery(
          model,
          entry,
          key,
          values,
          values.map((value, index) => stored(key.columns[index]?.column, value)),
          shape,
        )
      : undefined;

  const [first] = compared;
  if (compared.length === 1 && first?.anyOf !== undefined) {
    if (kind !== "many" || key !== model.primaryKey || shape.wide === true || options.take !== undefined)
      return "where";
    if (isOrdered(model.metadata, options) || first.anyOf.length === 0 || first.anyOf.length > MOST_IDS) return "where";
    const queries = first.anyOf.map((value) => queryOf([value]));
    const distinct = new Map(queries.flatMap((query) => (query === undefined ? [] : [[query.text, query]])));
    return queries.includes(undefined) ? "value" : { queries: [...distinct.values()], multiple: true, ttl };
  }
  const query = compared.some(({ anyOf }) => anyOf !== undefined)
    ? undefined
    : queryOf(compared.map(({ value }) => value));
  return query === undefined ? "value" : { queries: [query], multiple: false, ttl };
}

const ENTRY = { one: "row", many: "rows", count: "count" } as const satisfies Record<ReadKind, EntryKind>;

interface Comparison {
  readonly value: unknown;
  /** In([...]). */
  readonly anyOf?: readonly unknown[];
  /** Tags of a table that TypeORM joins for it. */
  readonly joined: readonly Tag[];
}

/** What the where clause compares, by column; "value" or "where" if it does anything else than compare for equality. */
function comparisonsOf(
  metadata: EntityMetadata,
  where: unknown,
  path = "",
  found = new Map<ColumnMetadata, Comparison>(),
): Map<ColumnMetadata, Comparison> | "where" | "value" {
  const single: unknown = Array.isArray(where) && where.length === 1 ? where[0] : where;
  if (typeof single !== "object" || single === null || Array.isArray(single)) return "where";
  for (const [name, value] of Object.entries(single)) {
    if (value === undefined || value === null) return "value"; // TypeORM throws, ignores or compares: its affair.
    const propertyPath = path === "" ? name : `${path}.${name}`;
    const column = metadata.findColumnWithPropertyPathStrict(propertyPath);
    const relation = metadata.findRelationWithPropertyPath(propertyPath);
    if (column !== undefined && relation === undefined) {
      const comparison = comparisonOf(value);
      if (comparison === undefined || found.has(column)) return "where";
      found.set(column, comparison);
    } else if (relation !== undefined) {
      const joined =
        relation.isManyToOne || relation.isOneToOneOwner ? relationComparisons(relation, value) : undefined;
      if (joined?.some(([joinColumn]) => found.has(joinColumn)) !== false) return "where"; // The same column twice.
      for (const [joinColumn, comparison] of joined) found.set(joinColumn, comparison);
    } else if (metadata.findEmbeddedWithPropertyPath(propertyPath) !== undefined) {
      const inner = comparisonsOf(metadata, value, propertyPath, found);
      if (typeof inner === "string") return inner;
    } else return "where"; // TypeORM has the better message.
  }
  return found.size === 0 ? "where" : found;
}

function comparisonOf(value: unknown): Comparison | undefined {
  if (!(value instanceof FindOperator)) return { value, joined: [] };
  if (value.type === "equal" && !(value.value instanceof FindOperator)) return { value: value.value, joined: [] };
  if (value.type === "in" && Array.isArray(value.value))
    return { value: undefined, anyOf: value.value as unknown[], joined: [] };
  return undefined;
}

/**
 * `{ category: { id: 3 } }` compares the join column and joins the other table, so the result depends on that row as well:
 * on its being there, and not soft deleted.
 */
function relationComparisons(
  relation: EntityMetadata["relations"][number],
  value: unknown,
): (readonly [ColumnMetadata, Comparison])[] | undefined {
  const [only, ...more] = relation.joinColumns;
  if (value instanceof FindOperator) {
    const comparison = comparisonOf(value);
    return only === undefined || more.length > 0 || comparison === undefined ? undefined : [[only, comparison]];
  }
  const target = relation.inverseEntityMetadata;
  const compared = comparisonsOf(target, value);
  if (typeof compared === "string" || compared.size !== relation.joinColumns.length) return undefined;
  const { connection } = target;
  const referenced = relation.joinColumns.map((joinColumn) => joinColumn.referencedColumn);
  if (
    !referenced.every(
      (column) => column !== undefined && compared.get(column)?.anyOf === undefined && compared.has(column),
    )
  ) {
    return undefined;
  }
  const key: Key = {
    id: "",
    unique: true,
    columns: target.primaryColumns.map((column) => ({
      column,
      databaseName: column.databaseName,
      canonical: canonicalOf(column, connection),
    })),
  };
  const group = groupOfTable(target);
  const isPrimary = target.primaryColumns.every((column) => compared.has(column));
  const values = target.primaryColumns.map((column) => stored(column, compared.get(column)?.value));
  const joined = [epochTag(group), (isPrimary ? keyTag(group, key, values) : undefined) ?? anyRowTag(group)];
  return relation.joinColumns.map((joinColumn) => {
    const value =
      joinColumn.referencedColumn === undefined ? undefined : compared.get(joinColumn.referencedColumn)?.value;
    return [joinColumn, { value, joined }] as const;
  });
}

/** What order, skip and take make of a query; a key that finds at most one row is above them. */
function windowOf(
  metadata: EntityMetadata,
  kind: ReadKind,
  key: Key,
  options: FindManyOptions<ObjectLiteral>,
): QueryShape | BypassReason {
  const { skip, take, order } = options;
  const deleted = options.withDeleted === true ? " with deleted" : "";
  if (kind === "count") {
    return isNothing(skip) && isNothing(take) ? { modifiers: deleted, wide: !isPrimary(metadata, key) } : "options";
  }
  if (take !== undefined && !(Number.isInteger(take) && take > 0)) return "options";
  if (skip !== undefined && !(Number.isInteger(skip) && skip >= 0)) return "options";
  const orderText = orderOf(metadata, order);
  if (orderText === undefined) return "order";
  if (key.unique) return isNothing(skip) || skip === 0 ? { modifiers: deleted } : "options";
  const limit = kind === "one" ? 1 : take;
  // Rows outside of the window decide what is in it, unless any rows that match will do.
  const wide = (skip ?? 0) > 0 || (limit !== undefined && isOrdered(metadata, options));
  const window = `${skip === undefined ? "" : ` skip ${skip}`}${kind === "many" && take !== undefined ? ` take ${take}` : ""}`;
  return { modifiers: `${orderText}${window}${deleted}`, wide };
}

function isPrimary(metadata: EntityMetadata, key: Key): boolean {
  return (
    key.columns.length === metadata.primaryColumns.length &&
    key.columns.every(({ column }) => metadata.primaryColumns.includes(column))
  );
}

/** The order as a text, or undefined if it names more than columns of the entity. */
function orderOf(metadata: EntityMetadata, order: unknown): string | undefined {
  if (isNothing(order)) return "";
  for (const [path, direction] of Object.entries(order as object)) {
    const column = metadata.findColumnWithPropertyPathStrict(path);
    if (column === undefined || metadata.findRelationWithPropertyPath(path) !== undefined) return undefined;
    if (typeof direction === "object" && !isPlain(direction)) return undefined;
  }
  return ` order ${JSON.stringify(Object.entries(order as object))}`;
}

function isOrdered(metadata: EntityMetadata, { order }: FindManyOptions<ObjectLiteral>): boolean {
  return !isNothing(order) || Object.keys(metadata.orderBy ?? {}).length > 0;
}

function isPlain(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

function isNothing(value: unknown): boolean {
  if (value === undefined || value === null || value === false) return true;
  return typeof value === "object" && Object.keys(value).length === 0;
}

function ttlIn(cache: unknown): number | undefined {
  if (typeof cache !== "object" || cache === null || !("milliseconds" in cache)) return undefined;
  return typeof cache.milliseconds === "number" && cache.milliseconds > 0 ? cache.milliseconds : undefined;
}

/** A value as the database gets it: TypeORM applies transformers to where clauses too. */
function stored(column: ColumnMetadata | undefined, value: unknown): unknown {
  const transformer = column?.transformer;
  if (transformer === undefined) return value;
  const list = Array.isArray(transformer) ? transformer : [transformer];
  return list.reduce((current: unknown, one): unknown => one.to(current), value);
}
