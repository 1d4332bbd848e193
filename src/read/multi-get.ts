import { FindOperator, In, type FindManyOptions, type ObjectLiteral } from "typeorm";
import type { RowImage } from "../codec/row-codec";
import { keyTag } from "../metadata/cached-query";
import type { EntityModel } from "../metadata/entity-model";
import type { KeyedQuery } from "./row-fill";

/** `options` with the ids of a multi-get replaced by those that were missed. */
export function withIds(
  options: FindManyOptions<ObjectLiteral>,
  values: readonly unknown[],
): FindManyOptions<ObjectLiteral> {
  return { ...options, where: replaceIn(options.where, values) as ObjectLiteral };
}

function replaceIn(where: unknown, values: readonly unknown[]): unknown {
  if (where instanceof FindOperator) return In([...values]);
  if (Array.isArray(where)) return where.map((one) => replaceIn(one, values));
  if (typeof where !== "object" || where === null) return where;
  return Object.fromEntries(Object.entries(where).map(([name, value]) => [name, replaceIn(value, values)]));
}

/**
 * The rows of each of several queries by one unique key, each of which has an exact tag of its own; none for those that found
 * nothing. Undefined if a row belongs to none of them: the database has a notion of equality that is not understood here.
 */
export function rowsByQuery(
  { group }: EntityModel,
  queries: readonly KeyedQuery[],
  rows: readonly RowImage[],
): RowImage[][] | undefined {
  const key = queries[0]?.query.key;
  const byTag = new Map(queries.map(({ query }) => [query.tags[1], [] as RowImage[]]));
  for (const row of rows) {
    const values = key === undefined ? undefined : row.unique.get(key);
    const found = key === undefined || values === undefined ? undefined : byTag.get(keyTag(group, key, values));
    if (found === undefined) return undefined;
    found.push(row);
  }
  return queries.map(({ query }) => byTag.get(query.tags[1]) ?? []);
}

/** Entities of a multi-get in the order of the primary key, as a database answers it. */
export function sorted(entities: readonly ObjectLiteral[], { primaryKey }: EntityModel): readonly ObjectLiteral[] {
  const column = primaryKey.columns[0]?.column;
  if (column === undefined) return entities;
  return entities
    .map((entity) => ({ entity, id: column.getEntityValue(entity, true) as unknown }))
    .sort((left, right) => compare(left.id, right.id))
    .map(({ entity }) => entity);
}

function compare(left: unknown, right: unknown): number {
  if (typeof left === "number" && typeof right === "number") return left - right;
  const [a, b] = [String(left), String(right)];
  if (INTEGER.test(a) && INTEGER.test(b)) return order(BigInt(a), BigInt(b));
  return order(a, b);
}

const INTEGER = /^-?\d+$/;

function order<Value extends bigint | string>(left: Value, right: Value): number {
  return left < right ? -1 : Number(left > right);
}
