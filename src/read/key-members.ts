import type { QueryRunner } from "typeorm";
import { anyRowTag, type Tag } from "../core/tag";
import { keyTag } from "../metadata/cached-query";
import type { Key } from "../metadata/entity-model";
import type { TableModel } from "../metadata/schema";

/** All rows of a table that have one of these values of a declared key, whatever else is said of them. */
export interface KeyMembers {
  readonly table: Pick<TableModel, "group" | "primaryKey" | "metadata">;
  readonly key: Key;
  readonly values: readonly (readonly unknown[])[];
}

/** More rows than this, and the entry depends on all of the table instead. */
const MOST_MEMBERS = 100;

/**
 * The tags of the rows that are members now. Together with the tags of the values they stand for all that a query may make of these
 * rows: who leaves them, or changes one, touches the tag of the row; who joins them touches that of the values. That only holds if the
 * query is sent after this: a row that leaves between the two is still a member then.
 */
export async function memberTags(
  runner: Pick<QueryRunner, "query">,
  members: readonly KeyMembers[],
): Promise<readonly Tag[]> {
  const tags: Tag[] = [];
  for (const one of members) tags.push(...((await tagsOf(runner, one)) ?? [anyRowTag(one.table.group)]));
  return tags;
}

async function tagsOf(
  runner: Pick<QueryRunner, "query">,
  { table, key, values }: KeyMembers,
): Promise<readonly Tag[] | undefined> {
  const { primaryKey, group, metadata } = table;
  const { driver } = metadata.connection;
  if (primaryKey === undefined) return undefined;
  if (values.length === 0) return [];
  const parameters = values.flat();
  const escaped = metadata.tablePath.split(".").map((part) => driver.escape(part));
  const columns = primaryKey.columns.map(({ databaseName }) => driver.escape(databaseName));
  let at = 0;
  const conditions = values.map(() =>
    key.columns
      .map(({ databaseName }) => `${driver.escape(databaseName)} = ${driver.createParameter(databaseName, at++)}`)
      .join(" AND "),
  );
  const sql = `SELECT ${columns.join(", ")} FROM ${escaped.join(".")} WHERE ${conditions.join(" OR ")} LIMIT ${MOST_MEMBERS + 1}`;
  let rows: readonly Readonly<Record<string, unknown>>[];
  try {
    rows = (await runner.query(sql, parameters)) as typeof rows;
  } catch {
    return undefined; // The statement itself will hear of what is wrong.
  }
  if (rows.length > MOST_MEMBERS) return undefined;
  const tags = rows.map((row) =>
    keyTag(
      group,
      primaryKey,
      primaryKey.columns.map(({ databaseName }) => row[databaseName]),
    ),
  );
  return tags.every((tag) => tag !== undefined) ? tags : undefined;
}
