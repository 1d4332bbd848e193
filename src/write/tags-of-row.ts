import type { DataSource } from "typeorm";
import { anyRowTag, epochTag, type Tag } from "../core/tag";
import type { Schema } from "../metadata/schema";
import { ChangeSet } from "./change-set";
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
  const epoch = [epochTag(group)];
  const table = schema.tableOf(group);
  if (table === undefined) return epoch;
  const changes = new ChangeSet(schema).table(table);
  if (!changes.addRow(primaryKey, "anew")) return epoch;
  const runner = dataSource.createQueryRunner("master");
  try {
    const keyTags = table.keys.length === 0 ? [] : await readKeyTags(runner, changes, [...changes.rows.values()]);
    return keyTags === undefined ? epoch : [anyRowTag(group), ...changes.rows.keys(), ...keyTags];
  } finally {
    await runner.release();
  }
}
