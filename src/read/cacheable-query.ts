import type { EntityMetadata, FindManyOptions, FindOptionsWhere, ObjectLiteral } from "typeorm";
import { anyRowTag } from "../core/tag";
import { cachedQuery, isKeyValue, type CachedQuery, type QueryShape } from "../metadata/cached-query";
import type { EntityModel, Key } from "../metadata/entity-model";
import type { EntryKind } from "../options";
import { comparisonsOf, stored, type Comparison } from "./comparisons";
import { asksForMore, isNothing, isOrdered, orderOf, ttlIn } from "./find-options";

/** How a method reads: at most one row, a list, a number, or whether there is one. */
export type ReadKind = "one" | "many" | "count" | "exists";

/** A read that the cache can serve exactly: one query, or one per row for `In([...])` on a unique key. */
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
/** A longer list is a statement like others. */
const MOST_IDS = 500;

/** What the options of a read come to, whatever values they compare with. */
interface Plan {
  readonly kind: EntryKind;
  readonly key: Key;
  readonly shape: QueryShape;
}

/**
 * What a find method with these options reads, without building SQL; undefined if that takes more than a look at its keys. A where
 * clause qualifies if it compares exactly the columns of one key for equality.
 */
export function cacheableQuery(
  model: EntityModel,
  kind: ReadKind,
  options: FindManyOptions<ObjectLiteral>,
): CacheableRead | "cache-off" | undefined {
  const names = plainNames(options);
  if (names === undefined) return analysed(model, kind, options);
  const plans = plansOf(model)[kind];
  const plan = plans.get(names);
  if (plan === undefined) return analysed(model, kind, options, (made) => plans.set(names, made));
  const where = options.where as Readonly<Record<string, unknown>>;
  const values: unknown[] = [];
  for (const { column } of plan.key.columns) values.push(where[column.propertyPath]);
  return single(model, plan, values, undefined);
}

function analysed(
  model: EntityModel,
  kind: ReadKind,
  options: FindManyOptions<ObjectLiteral>,
  onPlan: (plan: Plan) => void = () => undefined,
): CacheableRead | "cache-off" | undefined {
  const { metadata } = model;
  if (typeof options !== "object" || options === null) return undefined; // TypeORM has the better message.
  if (options.cache === false) return "cache-off";
  if (!model.cacheable || asksForMore(options)) return undefined;
  if (options.loadEagerRelations !== false && dependsOnEagerRelations(metadata, kind)) return undefined;
  const comparisons = comparisonsOf(metadata, options.where);
  if (comparisons === undefined) return undefined;
  const key = model.keys.find(
    ({ columns }) => columns.length === comparisons.size && columns.every(({ column }) => comparisons.has(column)),
  );
  if (key === undefined) return undefined;
  const compared = key.columns.map(({ column }) => comparisons.get(column) as Comparison);
  const joined = compared.flatMap((comparison) => comparison.joined);
  const window = windowOf(metadata, kind, key, options, joined.length > 0);
  if (window === undefined) return undefined;
  const plan: Plan = {
    kind: key.unique && kind === "many" ? "row" : ENTRY[kind],
    key,
    shape: joined.length === 0 ? window : { ...window, joined },
  };
  const ttl = ttlIn(options.cache);
  if (compared.some(({ anyOf }) => anyOf !== undefined)) {
    const [first, ...others] = compared;
    if (kind !== "many" || !key.unique || first?.anyOf === undefined || others.length > 0) return undefined;
    if (options.take !== undefined || isOrdered(metadata, options.order)) return undefined;
    // A view has an order of its own, which answers that are put together lose.
    if (model.sources !== undefined) return undefined;
    const queries = multiGet(model, first.anyOf, (value) => queryOf(model, plan, [value]));
    return queries === undefined ? undefined : { queries, multiple: true, ttl };
  }
  onPlan(plan);
  return single(
    model,
    plan,
    compared.map(({ value }) => value),
    ttl,
  );
}

function single(
  model: EntityModel,
  plan: Plan,
  values: readonly unknown[],
  ttl: number | undefined,
): CacheableRead | undefined {
  const query = queryOf(model, plan, values);
  return query === undefined ? undefined : { queries: [query], multiple: false, ttl };
}

function queryOf(model: EntityModel, { kind, key, shape }: Plan, values: readonly unknown[]): CachedQuery | undefined {
  const asStored: unknown[] = [];
  for (let at = 0; at < values.length; at += 1) {
    if (!isKeyValue(values[at])) return undefined;
    asStored.push(stored(key.columns[at]?.column, values[at]));
  }
  return cachedQuery(model, kind, key, values, asStored, shape);
}

/** By the names in their where clauses. */
type Plans = Readonly<Record<ReadKind, Map<string, Plan>>>;

const PLANS = new WeakMap<EntityModel, Plans>();

function plansOf(model: EntityModel): Plans {
  const known = PLANS.get(model);
  if (known !== undefined) return known;
  const plans: Plans = { one: new Map(), many: new Map(), count: new Map(), exists: new Map() };
  PLANS.set(model, plans);
  return plans;
}

/**
 * The names in a where clause, if the options have nothing else and nothing but primitives is compared: then the names alone
 * decide on the plan, and it is made once. There are no more plans than ways to write the declared keys.
 */
function plainNames(options: FindManyOptions<ObjectLiteral>): string | undefined {
  if (typeof options !== "object" || options === null) return undefined;
  for (const name in options) if (name !== "where") return undefined;
  const where: unknown = options.where;
  if (typeof where !== "object" || where === null || Object.getPrototypeOf(where) !== Object.prototype)
    return undefined;
  let names = "";
  for (const name in where) {
    if (!PRIMITIVES.has(typeof (where as Record<string, unknown>)[name]) || name.includes(",")) return undefined;
    names = names === "" ? name : `${names},${name}`;
  }
  return names;
}

const PRIMITIVES: ReadonlySet<string> = new Set(["string", "number", "bigint", "boolean"]);

/**
 * One query per id. Each needs an exact tag of its own, by which the rows that come back are told apart: where the database
 * may take two ids for the same, or one for several, it has to be asked.
 */
function multiGet(
  { group }: EntityModel,
  ids: readonly unknown[],
  queryOf: (id: unknown) => CachedQuery | undefined,
): readonly CachedQuery[] | undefined {
  if (ids.length === 0 || ids.length > MOST_IDS) return undefined;
  const queries = new Map<string, CachedQuery>();
  for (const id of ids) {
    const query = queryOf(id);
    if (query === undefined || query.tags[1] === anyRowTag(group)) return undefined;
    queries.set(query.text, query);
  }
  const tags = new Set(Array.from(queries.values(), (query) => query.tags[1]));
  return tags.size === queries.size ? [...queries.values()] : undefined;
}

/**
 * Eager relations are part of what find methods return. TypeORM 1 also joins those that are not nullable so that a row
 * without its partner is not found, which the foreign key rules out if there is one.
 */
function dependsOnEagerRelations({ eagerRelations }: EntityMetadata, kind: ReadKind): boolean {
  if (kind === "one" || kind === "many") return eagerRelations.length > 0;
  return eagerRelations.some(({ createForeignKeyConstraints }) => !createForeignKeyConstraints);
}

/** What order, skip and take make of a query; a key that finds at most one row is above them. */
function windowOf(
  metadata: EntityMetadata,
  kind: ReadKind,
  key: Key,
  options: FindManyOptions<ObjectLiteral>,
  joins: boolean,
): QueryShape | undefined {
  const { skip, take, order } = options;
  // Whatever is true to TypeORM is true here.
  const deleted = options.withDeleted ? " with deleted" : "";
  if (kind === "count" || kind === "exists") {
    if (!isNothing(skip) || !isNothing(take) || !isNothing(order)) return undefined;
    return { modifiers: deleted, wide: kind === "count" && !isPrimary(metadata, key) };
  }
  if (take !== undefined && !(Number.isInteger(take) && take > 0)) return undefined;
  if (skip !== undefined && !(Number.isInteger(skip) && skip >= 0)) return undefined;
  const orderText = orderOf(metadata, order);
  if (orderText === undefined) return undefined;
  if (key.unique) return isNothing(skip) || skip === 0 ? { modifiers: deleted } : undefined;
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

/** The values of the primary key that a WHERE names, if it names that and nothing else. */
export function primaryKeyIn(
  model: EntityModel,
  where: FindOptionsWhere<ObjectLiteral>,
): readonly unknown[] | undefined {
  const read = cacheableQuery({ ...model, cacheable: true }, "one", { where, loadEagerRelations: false });
  const query = typeof read === "object" ? read.queries[0] : undefined;
  return query?.key === model.primaryKey ? query?.values : undefined;
}
