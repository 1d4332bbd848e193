import type { EntityMetadata, QueryRunner } from "typeorm";
import { ALIAS, type RawRow } from "../codec/row-codec";
import type { Tag } from "../core/tag";
import { keyTag } from "../metadata/cached-query";
import type { EntityModel, Key } from "../metadata/entity-model";
import type { TableModel } from "../metadata/schema";
import type { Condition, ConditionValue, TableChanges, WrittenRow } from "./change-set";
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
  ask: Ask = (sql, parameters) => runner.query(sql, [...parameters]) as Promise<RawRow[]>,
): Promise<readonly Tag[] | undefined> {
  const { group, keys, primaryKey, metadata } = changes.table;
  const names = [...new Set(keys.flatMap((key) => key.columns.map(({ databaseName }) => databaseName)))];
  const tags: Tag[] = [];
  try {
    for (const batch of batches(rows)) {
      for (const row of await select(runner, metadata, names, byPrimaryKey(primaryKey, batch), ask)) {
        for (const key of keys) {
          const values = key.columns.map(({ databaseName }) => row[databaseName]);
          if (values.some((value) => value === null)) continue; // No equality finds it.
          const tag = keyTag(group, key, values);
          if (tag === undefined) return undefined;
          tags.push(tag);
        }
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
  const found: RawRow[] = [];
  for (const batch of batches(rows)) {
    const parameters: Record<string, unknown> = {};
    const column = (name: string) => `${driver.escape(ALIAS)}.${driver.escape(name)}`;
    const where = whereAny(byPrimaryKey(model.primaryKey, batch), column, (value, index) => {
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

/** Sends a SELECT and gives its rows. */
export type Ask = (sql: string, parameters: readonly unknown[]) => Promise<readonly RawRow[]>;

/**
 * The primary keys of rows that meet a condition, as the connection sees them now.
 *
 * @param most undefined is returned if there are more
 * @param lock asks for the newest rows and keeps them from changing: on MySQL a plain SELECT shows a transaction the rows as they
 *   were when it began, but an UPDATE finds them as they are
 */
export async function findRows(
  runner: QueryRunner,
  { metadata, primaryKey }: TableModel,
  conditions: readonly Condition[],
  ask: Ask,
  { most, lock }: { readonly most: number; readonly lock: boolean },
): Promise<unknown[][] | undefined> {
  const names = namesOf(primaryKey);
  const suffix = ` LIMIT ${most + 1}${lock ? " FOR UPDATE" : ""}`;
  const rows = await select(runner, metadata, names, conditions, ask, suffix);
  return rows.length > most ? undefined : rows.map((row) => names.map((name) => row[name]));
}

async function select(
  runner: QueryRunner,
  { tablePath }: EntityMetadata,
  names: readonly string[],
  conditions: readonly Condition[],
  ask: Ask,
  suffix = "",
): Promise<readonly RawRow[]> {
  const { driver } = runner.connection;
  const escape = driver.escape.bind(driver);
  const path = tablePath.split(".").map(escape).join(".");
  const parameters: unknown[] = [];
  const where = whereAny(conditions, escape, (value, index) => {
    parameters.push(value);
    return driver.createParameter(`coherent${index}`, index);
  });
  return ask(`SELECT ${names.map(escape).join(", ")} FROM ${path} WHERE ${where}${suffix}`, parameters);
}

/** @param escape what makes a name of a column */
function whereAny(
  conditions: readonly Condition[],
  escape: (name: string) => string,
  parameter: (value: unknown, index: number) => string,
): string {
  let index = 0;
  const text = (value: ConditionValue) => ("bound" in value ? parameter(value.bound, index++) : String(value.inline));
  const all = ({ columns, values }: Condition) =>
    columns.map((column, at) => `${escape(column)} = ${text(values[at]!)}`).join(" AND ");
  return conditions.map((condition) => `(${all(condition)})`).join(" OR ");
}

function byPrimaryKey(key: Key | undefined, rows: readonly WrittenRow[]): Condition[] {
  const columns = namesOf(key);
  return rows.map(({ values }) => ({ columns, values: values.map((bound) => ({ bound })) }));
}

function namesOf(key: Key | undefined): string[] {
  return (key?.columns ?? []).map(({ databaseName }) => databaseName);
}

function batches(rows: readonly WrittenRow[]): (readonly WrittenRow[])[] {
  const count = Math.ceil(rows.length / BATCH);
  return Array.from({ length: count }, (_, index) => rows.slice(index * BATCH, (index + 1) * BATCH));
}
