import type { DataSource, QueryRunner } from "typeorm";
import { DIALECTS } from "../../sql/dialects";

/** How long COMMIT takes, in milliseconds. */
export interface CommitTimes {
  readonly median: number;
  readonly slowest: number;
  readonly count: number;
  /** What was measured. */
  readonly how: string;
}

/** @param onProgress called after each that was measured */
export async function commitTimes(
  dataSource: DataSource,
  count: number,
  onProgress: (done: number) => void,
): Promise<CommitTimes> {
  const runner = dataSource.createQueryRunner();
  try {
    const dialect = DIALECTS[dataSource.options.type];
    if (dialect === "mysql") return (await observed(runner)) ?? (await onTemporaryTable(runner, count, onProgress));
    if (dialect === "postgres") return await onPostgres(runner, count, onProgress);
    return await measured(
      runner,
      count,
      onProgress,
      touchSqlite,
      "of transactions that write the user_version that is there",
    );
  } finally {
    await runner.release();
  }
}

/** A write that changes nothing, inside of a transaction. */
type Touch = (runner: QueryRunner) => Promise<unknown>;

async function measured(
  runner: QueryRunner,
  count: number,
  onProgress: (done: number) => void,
  touch: Touch,
  how: string,
): Promise<CommitTimes> {
  const times: number[] = [];
  while (times.length < count) {
    await runner.startTransaction();
    try {
      await touch(runner);
      const start = performance.now();
      await runner.commitTransaction();
      times.push(performance.now() - start);
    } catch (error) {
      if (runner.isTransactionActive) await runner.rollbackTransaction().catch(() => undefined);
      throw error;
    }
    onProgress(times.length);
  }
  times.sort((a, b) => a - b);
  return { median: times[Math.floor(count / 2)]!, slowest: times.at(-1)!, count, how };
}

/** It goes through the log to the disk as any change does, and into no table. */
const touchPostgres: Touch = (runner) => runner.query("SELECT pg_logical_emit_message(true, 'typeorm-coherent', '')");

async function onPostgres(
  runner: QueryRunner,
  count: number,
  onProgress: (done: number) => void,
): Promise<CommitTimes> {
  try {
    return await measured(
      runner,
      count,
      onProgress,
      touchPostgres,
      "of transactions that write nothing but a message into the log",
    );
  } catch {
    const touch: Touch = (one) => one.query("CREATE TEMPORARY TABLE coherent_commit_time (id integer) ON COMMIT DROP");
    return measured(runner, count, onProgress, touch, "of transactions that make a temporary table");
  }
}

/** The header of the file is written with what it holds, read in the same transaction. */
const touchSqlite: Touch = async (runner) => {
  const [row] = (await runner.query("PRAGMA user_version")) as { user_version: number }[];
  await runner.query(`PRAGMA user_version = ${Number(row?.user_version ?? 0)}`);
};

/** What the server has seen of everybody's; undefined if it keeps no such record, or not for this user. */
async function observed(runner: QueryRunner): Promise<CommitTimes | undefined> {
  try {
    const [row] = (await runner.query(
      `SELECT COUNT_STAR AS count, AVG_TIMER_WAIT / 1e9 AS average, MAX_TIMER_WAIT / 1e9 AS slowest
       FROM performance_schema.events_statements_summary_global_by_event_name WHERE EVENT_NAME = 'statement/sql/commit'`,
    )) as { count: unknown; average: unknown; slowest: unknown }[];
    const count = Number(row?.count ?? 0);
    if (count === 0) return undefined;
    const how = "of all since the server started, as its performance_schema says (the median is their average)";
    return { median: Number(row!.average), slowest: Number(row!.slowest), count, how };
  } catch {
    return undefined;
  }
}

async function onTemporaryTable(
  runner: QueryRunner,
  count: number,
  onProgress: (done: number) => void,
): Promise<CommitTimes> {
  await runner.query("CREATE TEMPORARY TABLE coherent_commit_time (id integer) ENGINE=InnoDB");
  try {
    const touch: Touch = (one) => one.query("INSERT INTO coherent_commit_time VALUES (1)");
    return await measured(
      runner,
      count,
      onProgress,
      touch,
      "of transactions on a temporary table, without the flush of the log",
    );
  } finally {
    await runner.query("DROP TEMPORARY TABLE coherent_commit_time");
  }
}
