import { FindOperator, type EntityMetadata } from "typeorm";
import type { ColumnMetadata } from "typeorm/metadata/ColumnMetadata";
import { anyRowTag, epochTag, type Tag } from "../core/tag";
import { keyTag } from "../metadata/cached-query";
import { keyOf } from "../metadata/entity-model";
import { groupOfTable } from "../metadata/reachable";
import { entriesOf } from "./find-options";

/** What a where clause compares a column with. */
export interface Comparison {
  readonly value: unknown;
  /** In([...]). */
  readonly anyOf?: readonly unknown[];
  /** Tags of a table that TypeORM joins for it. */
  readonly joined: readonly Tag[];
}

/** What the where clause compares, by column; undefined if it does anything else than compare for equality. */
export function comparisonsOf(
  metadata: EntityMetadata,
  where: unknown,
  path = "",
  found = new Map<ColumnMetadata, Comparison>(),
): Map<ColumnMetadata, Comparison> | undefined {
  const single: unknown = Array.isArray(where) && where.length === 1 ? where[0] : where;
  if (typeof single !== "object" || single === null || Array.isArray(single)) return undefined;
  for (const [name, value] of entriesOf(single)) {
    if (value === undefined || value === null) return undefined; // TypeORM throws, ignores or compares: its affair.
    const propertyPath = path === "" ? name : `${path}.${name}`;
    const column = metadata.findColumnWithPropertyPathStrict(propertyPath);
    const relation = metadata.findRelationWithPropertyPath(propertyPath);
    if (column !== undefined && relation === undefined) {
      const comparison = comparisonOf(value);
      if (comparison === undefined || found.has(column)) return undefined;
      found.set(column, comparison);
    } else if (relation !== undefined) {
      const joined =
        relation.isManyToOne || relation.isOneToOneOwner ? relationComparisons(relation, value) : undefined;
      if (joined?.some(([joinColumn]) => found.has(joinColumn)) !== false) return undefined; // The same column twice.
      for (const [joinColumn, comparison] of joined) found.set(joinColumn, comparison);
    } else if (metadata.findEmbeddedWithPropertyPath(propertyPath) !== undefined) {
      const inner = comparisonsOf(metadata, value, propertyPath, found);
      if (inner === undefined) return undefined;
    } else return undefined; // TypeORM has the better message.
  }
  return found.size === 0 ? undefined : found;
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
  // Its rows change with other tables, whose tags are not named here.
  if (target.tableType === "view") return undefined;
  const compared = comparisonsOf(target, value);
  if (compared === undefined || compared.size !== relation.joinColumns.length) return undefined;
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
  const key = keyOf(connection, target, target.primaryColumns);
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

/** A value as the database gets it: TypeORM applies transformers to where clauses too. */
export function stored(column: ColumnMetadata | undefined, value: unknown): unknown {
  const transformer = column?.transformer;
  if (transformer === undefined) return value;
  const list = Array.isArray(transformer) ? transformer : [transformer];
  return list.reduce((current: unknown, one): unknown => one.to(current), value);
}
