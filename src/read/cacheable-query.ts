import { FindOperator, type EntityMetadata, type FindManyOptions, type ObjectLiteral } from "typeorm";
import type { ColumnMetadata } from "typeorm/metadata/ColumnMetadata";
import { anyRowTag, epochTag, type Tag } from "../core/tag";
import type { BypassReason } from "../events";
import { canonicalOf } from "../metadata/column-equality";
import { cachedQuery, isKeyValue, keyTag, type CachedQuery, type QueryShape } from "../metadata/cached-query";
import type { EntityModel, Key } from "../metadata/entity-model";
import { groupOfTable } from "../metadata/schema";
import type { EntryKind } from "../options";
import { asksForMore, entriesOf, isNothing, isOrdered, orderOf, ttlIn } from "./find-options";

/** How a method reads: at most one row, a list, a number, or whether there is one. */
export type ReadKind = "one" | "many" | "count" | "exists";

/** A read that the cache can serve exactly: one query, or one per row for `In([...])` on the primary key. */
export interface CacheableRead {
  readonly queries: readonly CachedQuery[];
  readonly multiple: boolean;
  /** Milliseconds, if the call names its own TTL. */
  readonly ttl: number | undefined;
}

const ENTRY = { one: "row", many: "rows", count: "count", exists: "row" } as const satisfies Record<
  ReadKind,
  EntryKind
>;
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
  const { metadata } = model;
  if (!model.cacheable) return "entity";
  if (typeof options !== "object" || options === null) return "options"; // TypeORM has the better message.
  if (options.cache === false) return "cache-off";
  if (asksForMore(options)) return "options";
  if (options.loadEagerRelations !== false && dependsOnEagerRelations(metadata, kind)) return "eager-relations";
  const comparisons = comparisonsOf(metadata, options.where);
  if (typeof comparisons === "string") return comparisons;
  const key = model.keys.find(
    ({ columns }) => columns.length === comparisons.size && columns.every(({ column }) => comparisons.has(column)),
  );
  if (key === undefined) return "where";
  const compared = key.columns.map(({ column }) => comparisons.get(column) as Comparison);
  const joined = compared.flatMap((comparison) => comparison.joined);
  const window = windowOf(metadata, kind, key, options, joined.length > 0);
  if (typeof window === "string") return window;
  const entry = key.unique && kind === "many" ? "row" : ENTRY[kind];
  const shape = joined.length === 0 ? window : { ...window, joined };
  const queryOf = (values: readonly unknown[]): CachedQuery | undefined => {
    if (!values.every(isKeyValue)) return undefined;
    const asStored = values.map((value, index) => stored(key.columns[index]?.column, value));
    return cachedQuery(model, entry, key, values, asStored, shape);
  };
  const ttl = ttlIn(options.cache);
  if (compared.some(({ anyOf }) => anyOf !== undefined)) {
    const [first, ...others] = compared;
    if (kind !== "many" || key !== model.primaryKey || first?.anyOf === undefined || others.length > 0) return "where";
    if (options.take !== undefined || isOrdered(metadata, options.order)) return "options";
    const queries = multiGet(model, first.anyOf, (value) => queryOf([value]));
    return typeof queries === "string" ? queries : { queries, multiple: true, ttl };
  }
  const query = queryOf(compared.map(({ value }) => value));
  return query === undefined ? "value" : { queries: [query], multiple: false, ttl };
}

/**
 * One query per id. Each needs an exact tag of its own, by which the rows that come back are told apart: where the database
 * may take two ids for the same, or one for several, it has to be asked.
 */
function multiGet(
  { group }: EntityModel,
  ids: readonly unknown[],
  queryOf: (id: unknown) => CachedQuery | undefined,
): readonly CachedQuery[] | "where" | "value" {
  if (ids.length === 0 || ids.length > MOST_IDS) return "where";
  const queries = new Map<string, CachedQuery>();
  for (const id of ids) {
    const query = queryOf(id);
    if (query === undefined || query.tags[1] === anyRowTag(group)) return "value";
    queries.set(query.text, query);
  }
  const tags = new Set(Array.from(queries.values(), (query) => query.tags[1]));
  return tags.size === queries.size ? [...queries.values()] : "value";
}

/**
 * Eager relations are part of what find methods return. TypeORM 1 also joins those that are not nullable so that a row
 * without its partner is not found, which the foreign key rules out if there is one.
 */
function dependsOnEagerRelations({ eagerRelations }: EntityMetadata, kind: ReadKind): boolean {
  if (kind === "one" || kind === "many") return eagerRelations.length > 0;
  return eagerRelations.some(({ createForeignKeyConstraints }) => !createForeignKeyConstraints);
}

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
  for (const [name, value] of entriesOf(single)) {
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
  if (value.type === "in" && Array.isArray(value.value)) {
    return { value: undefined, anyOf: value.value as unknown[], joined: [] };
  }
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
  // A join behind the join would add tags of a third table, whose writes nobody follows on behalf of this entity.
  if ([...compared.values()].some((comparison) => comparison.joined.length > 0)) return undefined;
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
  joins: boolean,
): QueryShape | BypassReason {
  const { skip, take, order } = options;
  // Whatever is true to TypeORM is true here.
  const deleted = options.withDeleted ? " with deleted" : "";
  if (kind === "count" || kind === "exists") {
    if (!isNothing(skip) || !isNothing(take) || !isNothing(order)) return "options";
    return { modifiers: deleted, wide: kind === "count" && !isPrimary(metadata, key) };
  }
  if (take !== undefined && !(Number.isInteger(take) && take > 0)) return "options";
  if (skip !== undefined && !(Number.isInteger(skip) && skip >= 0)) return "options";
  const orderText = orderOf(metadata, order);
  if (orderText === undefined) return "order";
  if (key.unique) return isNothing(skip) || skip === 0 ? { modifiers: deleted } : "options";
  const limit = kind === "one" ? 1 : take;
  // Rows outside of the window decide what is in it, unless any rows that match will do. With a join TypeORM takes two
  // statements for a limit, and a row that has left between them leaves a gap.
  const wide = (skip ?? 0) > 0 || (limit !== undefined && (joins || isOrdered(metadata, order)));
  const skipText = skip === undefined || skip === 0 ? "" : ` skip ${skip}`;
  const takeText = kind === "many" && take !== undefined ? ` take ${take}` : "";
  return { modifiers: `${orderText}${skipText}${takeText}${deleted}`, wide };
}

function isPrimary(metadata: EntityMetadata, key: Key): boolean {
  return (
    key.columns.length === metadata.primaryColumns.length &&
    key.columns.every(({ column }) => metadata.primaryColumns.includes(column))
  );
}

/** A value as the database gets it: TypeORM applies transformers to where clauses too. */
function stored(column: ColumnMetadata | undefined, value: unknown): unknown {
  const transformer = column?.transformer;
  if (transformer === undefined) return value;
  const list = Array.isArray(transformer) ? transformer : [transformer];
  return list.reduce((current: unknown, one): unknown => one.to(current), value);
}
