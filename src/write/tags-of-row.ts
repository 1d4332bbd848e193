import type { DataSource } from "typeorm";
import { anyRowTag, epochTag, type Tag } from "../core/tag";
import type { Schema } from "../metadata/schema";
import { ChangeSet, type TableChanges } from "./change-set";
import { readKeyTags } from "./row-reader";

/**
 * All tags that a row touches as it is now, for a write that somebody else has made and committed; the epoch of its table where
 * they cannot be told.
 *
 * @param primaryKey its values as the database has them
 */
export async function tagsOfRow(
  dataSource: DataSource,
  schema: Schema,
  group: string,
  primaryKey: readonly unknown[],
): Promise<readonly Tag[]> {
  const table = schema.tableOf(group);
  if (table === undefined) return [epochTag(group)];
  const changes = new ChangeSet(schema).table(table);
  if (!changes.addRow(primaryKey, "anew")) return [epochTag(group)];
  return tagsOfRows(dataSource, changes);
}

/** The same for all rows of `changes`. */
export async function tagsOfRows(dataSource: DataSource, changes: TableChanges): Promise<readonly Tag[]> {
  const { group, keys } = changes.table;
  const rows = [...changes.rows.values()];
  if (changes.isCoarse()) return [epochTag(group)];
  if (keys.length === 0) return changes.tags();
  const runner = dataSource.createQueryRunner("master");
  try {
    const keyTags = await readKeyTags(runner, changes, rows);
    return keyTags === undefined ? [epochTag(group)] : [anyRowTag(group), ...changes.rows.keys(), ...keyTags];
  } finally {
    await runner.release();
  }
}
