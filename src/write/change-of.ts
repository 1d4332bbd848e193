import type { Change, Operation, RowKey } from "../core/change";
import { groupBy } from "../core/group-by";
import { epochTag, groupOf, isBarrier, type Tag } from "../core/tag";
import type { Key } from "../metadata/entity-model";
import type { Schema } from "../metadata/schema";
import type { TableChanges } from "./change-set";

/** What a write did to one table, for those who are told of it. */
export function changeOf({ table, rows, operations }: TableChanges, tags: readonly Tag[]): Change {
  const { group, metadata, primaryKey } = table;
  const keys =
    tags.includes(epochTag(group)) || primaryKey === undefined ? null : rowKeys(primaryKey, [...rows.values()]);
  return { table: metadata.tablePath, group, operation: operationOf(operations), rows: keys, tags };
}

/**
 * All that was invalidated, by table: what a write has told, and whatever else its lock covered.
 *
 * @param told by the write itself; tags of other tables are told of as unknown
 */
export function changesOf(schema: Schema, tags: Iterable<Tag>, told: readonly Change[] = []): Change[] {
  const groups = groupBy(
    [...tags].filter((tag) => !isBarrier(tag)),
    groupOf,
  );
  return Array.from(groups, ([group, all]): Change => {
    const known = told.find((change) => change.group === group);
    const table = known?.table ?? schema.tableOf(group)?.metadata.tablePath ?? group;
    const rows = all.includes(epochTag(group)) ? null : (known?.rows ?? null);
    return { table, group, operation: known?.operation ?? "unknown", rows, tags: all };
  });
}

/** Null if some value of a key is neither a text nor a number nor has an exact text. */
function rowKeys({ columns }: Key, rows: readonly { readonly values: readonly unknown[] }[]): RowKey[] | null {
  const keys: RowKey[] = [];
  for (const { values } of rows) {
    const key: Record<string, string | number | boolean> = {};
    for (const [at, { databaseName, canonical }] of columns.entries()) {
      const value = values[at];
      const plain = isPlain(value) ? value : canonical(value);
      if (plain === undefined) return null;
      key[databaseName] = plain;
    }
    keys.push(key);
  }
  return keys;
}

function operationOf(operations: ReadonlySet<Operation>): Operation {
  const [only, ...others] = operations;
  if (only === undefined || operations.has("unknown")) return "unknown";
  return others.length === 0 ? only : "mixed";
}

function isPlain(value: unknown): value is string | number | boolean {
  return (
    typeof value === "string" || typeof value === "boolean" || (typeof value === "number" && Number.isFinite(value))
  );
}
