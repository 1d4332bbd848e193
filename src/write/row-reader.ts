import type { QueryRunner } from "typeorm";
import { ALIAS, type RawRow } from "../codec/row-codec";
import type { Tag } from "../core/tag";
import { keyTag } from "../metadata/cached-query";
import type { EntityModel, Key } from "../metadata/entity-model";
import type { TableChanges, WrittenRow } from "./change-set";
import { isAborted } from "./refusal";

/** Rows asked for in one statement: every database takes this many parameters. */
const BATCH = 200;

/**
 * The tags of the declared keys of rows, as the transaction on this query runner has them now. A row that it has written is
 * its own until COMMIT, so the values are exact; one that it has not is not there to be found anew.
 *
 * @returns undefined if some value has no exact tag: the caller takes the epoch
 * @throws on PostgreSQL, where a failed statement turns the caller's COMMIT into a silent ROLLBACK
 */
export async function readKeyTags(
  runner: QueryRunner,
  changes: TableChanges,
  rows: readonly WrittenRow[],
): Promise<readonly Tag[] | undefined> {
  const { group, keys } = changes.table;
  const names = [...new Set(keys.flatMap((key) => key.columns.map(({ databaseName }) => databaseName)))];
  const tags: Tag[] = [];
  try {
    for (const row of await selectRows(runner, changes, names, rows)) {
      for (const key of keys) {
        const values = key.columns.map(({ databaseName }) => row[databaseName]);
        if (values.some((value) => value === null)) continue; // No equality finds it.
        const tag = keyTag(group, key, values);
        if (tag === undefined) return undefined;
        tags.push(tag);
      }
    }
  } catch (error) {
    // In a transaction that is aborted already there is nothing to lose: its COMMIT is a ROLLBACK.
    if (runner.connection.options.type === "postgres" && !isAborted(error)) throw error;
    return undefined;
  }
  return tags;
}

/** Rows of an entity by primary key, selected as a read of the entity would select them. */
export async function readEntityRows(
  runner: QueryRunner,
  model: EntityModel,
  rows: readonly WrittenRow[],
): Promise<RawRow[]> {
  const { driver } = runner.connection;
  const escape = driver.escape.bind(driver);
  const found: RawRow[] = [];
  for (const batch of batches(rows)) {
    const parameters: Record<string, unknown> = {};
    const where = whereRows(model.primaryKey, batch, escape, ALIAS, (value, index) => {
      parameters[`coherent${index}`] = value;
      return `:coherent${index}`;
    });
    const query = runner.manager.createQueryBuilder(model.metadata.target, ALIAS, runner);
    found.push(
      ...(await query
        .setFindOptions({ loadEagerRelations: false, cache: false })
        .andWhere(where, parameters)
        .getRawMany<RawRow>()),
    );
  }
  return found;
}

async function selectRows(
  runner: QueryRunner,
  changes: TableChanges,
  names: readonly string[],
  rows: readonly WrittenRow[],
): Promise<RawRow[]> {
  const { driver } = runner.connection;
  const { primaryKey, metadata } = changes.table;
  if (primaryKey === undefined) return [];
  const escape = driver.escape.bind(driver);
  const path = metadata.tablePath.split(".").map(escape).join(".");
  const found: RawRow[] = [];
  for (const batch of batches(rows)) {
    const parameters: unknown[] = [];
    const where = whereRows(primaryKey, batch, escape, undefined, (value, index) => {
      parameters.push(value);
      return driver.createParameter(`coherent${index}`, index);
    });
    const sql = `SELECT ${names.map(escape).join(", ")} FROM ${path} WHERE ${where}`;
    found.push(...((await runner.query(sql, parameters)) as RawRow[]));
  }
  return found;
}

function whereRows(
  key: Key,
  rows: readonly WrittenRow[],
  escape: (name: string) => string,
  alias: string | undefined,
  parameter: (value: unknown, index: number) => string,
): string {
  let index = 0;
  const prefix = alias === undefined ? "" : `${escape(alias)}.`;
  const row = ({ values }: WrittenRow) =>
    key.columns
      .map(({ databaseName }, at) => `${prefix}${escape(databaseName)} = ${parameter(values[at], index++)}`)
      .join(" AND ");
  return rows.map((one) => `(${row(one)})`).join(" OR ");
}

function batches(rows: readonly WrittenRow[]): (readonly WrittenRow[])[] {
  const count = Math.ceil(rows.length / BATCH);
  return Array.from({ length: count }, (_, index) => rows.slice(index * BATCH, (index + 1) * BATCH));
}
