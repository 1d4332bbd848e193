import type { DataSource, QueryRunner } from "typeorm";
import type { Schema } from "../metadata/schema";
import type { SqlAnalysis, SqlAnalyzer, SqlStatement } from "../sql/statement";
import { ChangeSet } from "./change-set";
import type { CommitProtocol, HeldLock } from "./commit-protocol";
import { planWrite, type KeyTagReader, type WritePlan } from "./lock-planner";
import { readKeyTags } from "./row-reader";
import { TransactionJournal } from "./transaction-journal";
import { readCommitted, writeThroughEntries, type CommittedRows, type WriteThroughOptions } from "./write-through";

/** What the observer needs of the cache around it. */
export interface StatementObserverOptions {
  /** Undefined until the data source knows its entities. */
  readonly schema: () => Schema | undefined;
  readonly analyzer: SqlAnalyzer;
  readonly protocol: CommitProtocol;
  readonly writeThrough: WriteThroughOptions;
}

type Query = QueryRunner["query"];
type Send<Result> = () => Promise<Result>;

/**
 * Sees every statement of a data source before it is sent, by standing in front of `query` of each query runner that the
 * driver hands out: TypeORM's own events miss writes that it makes without listeners, come after a statement that commits by
 * itself, and are not awaited by every driver. COMMIT passes here too, after all other subscribers have had their say, which
 * is the last moment to lock and the only one that also sees it fail.
 */
export class StatementObserver {
  private readonly journals = new WeakMap<QueryRunner, TransactionJournal>();

  constructor(private readonly options: StatementObserverOptions) {}

  /** @returns a function that stops observing */
  attach(dataSource: DataSource): () => void {
    const driver = dataSource.driver as DataSource["driver"] & { queryRunner?: QueryRunner };
    const original = driver.createQueryRunner.bind(driver);
    const observe = (runner: QueryRunner): QueryRunner => {
      if (!Object.hasOwn(runner, "query")) this.observe(runner);
      return runner;
    };
    if (driver.queryRunner !== undefined) observe(driver.queryRunner);
    driver.createQueryRunner = (mode) => observe(original(mode));
    return () => {
      delete (driver as Partial<typeof driver>).createQueryRunner;
      delete (driver.queryRunner as Partial<QueryRunner> | undefined)?.query;
    };
  }

  /** The journal of a query runner, if it has sent anything yet. */
  journalOf(runner: QueryRunner): TransactionJournal | undefined {
    return this.journals.get(runner);
  }

  private observe(runner: QueryRunner): void {
    const query = runner.query.bind(runner) as (...args: unknown[]) => Promise<unknown>;
    const observed = (sql: string, parameters?: unknown, ...rest: unknown[]): Promise<unknown> => {
      const analysis = this.options.analyzer.analyze(sql);
      const send = () => query(sql, parameters, ...rest);
      if (analysis.harmless) return send();
      return this.pass(runner, analysis, Array.isArray(parameters) ? parameters : [], send);
    };
    runner.query = observed as Query;
  }

  private async pass<Result>(
    runner: QueryRunner,
    analysis: SqlAnalysis,
    parameters: readonly unknown[],
    send: Send<Result>,
  ): Promise<Result> {
    const schema = this.options.schema();
    if (schema === undefined) return send();
    const journal = this.journalFor(runner, schema);
    const changes = new ChangeSet(schema);
    for (const statement of analysis.statements) changes.addStatement(statement, parameters);
    const only = analysis.statements.length === 1 ? analysis.statements[0] : undefined;
    if (only?.kind === "control") return this.control(runner, journal, only, send);
    if (journal.isOpen() && !analysis.statements.some(commits)) return this.inside(runner, journal, changes, send);
    if (journal.isOpen()) {
      // MySQL commits before DDL, and a text may hold a COMMIT of its own: lock all there is, and go on doubting.
      journal.record(changes);
      journal.uncertain = true;
      return this.commit(runner, journal, async () => {
        const result = await send();
        follow(journal, analysis.statements, changes);
        return result;
      });
    }
    return this.alone(runner, journal, changes, async () => {
      const result = await send();
      follow(journal, analysis.statements, changes);
      return result;
    });
  }

  private async control<Result>(
    runner: QueryRunner,
    journal: TransactionJournal,
    statement: SqlStatement & { kind: "control" },
    send: Send<Result>,
  ): Promise<Result> {
    const { control, chain, name } = statement;
    const beginsAnew = control === "begin" && this.options.analyzer.dialect === "mysql";
    const ends = control === "commit" || beginsAnew || (control === "release" && journal.isBegunBy(name));
    const end = async (): Promise<Result> => {
      const restore = journal.end();
      journal.ending += 1;
      try {
        const result = await send();
        if (chain || beginsAnew) journal.begin();
        return result;
      } catch (error) {
        restore();
        throw error;
      } finally {
        journal.ending -= 1;
      }
    };
    if (journal.isOpen() && ends) return this.commit(runner, journal, end);
    if (control === "rollback") return end();
    // Followed before it is sent: what is sent right after it is already inside.
    const wasOpen = journal.isOpen();
    followOne(journal, statement);
    try {
      return await send();
    } catch (error) {
      if (!wasOpen) journal.end();
      throw error;
    }
  }

  private async inside<Result>(
    runner: QueryRunner,
    journal: TransactionJournal,
    changes: ChangeSet,
    send: Send<Result>,
  ): Promise<Result> {
    journal.record(changes);
    try {
      return await (journal.uncertain ? this.alone(runner, journal, changes, send) : send());
    } catch (error) {
      journal.uncertain = true;
      throw error;
    }
  }

  /** A statement that commits by itself: LOCK, statement, UNLOCK. */
  private async alone<Result>(
    runner: QueryRunner,
    journal: TransactionJournal,
    changes: ChangeSet,
    send: Send<Result>,
  ): Promise<Result> {
    const plan = await planWrite(changes, undefined);
    if (plan.tags.length === 0) return send();
    const held = await this.options.protocol.lock(plan);
    // On a shared connection somebody else may have begun a transaction meanwhile: then this is part of it.
    if (journal.isOpen()) journal.record(changes);
    return this.under(runner, journal, plan, held, () => journal.alone(changes, send));
  }

  /** LOCK, then COMMIT or whatever may be one, then UNLOCK. */
  private async commit<Result>(runner: QueryRunner, journal: TransactionJournal, send: Send<Result>): Promise<Result> {
    const keyTags: KeyTagReader = (changes, rows) => readKeyTags(runner, changes, rows);
    let held: HeldLock | undefined;
    try {
      for (;;) {
        const { version } = journal;
        const plan = await planWrite(journal.pending(), keyTags);
        if (plan.tags.length === 0 && held === undefined) {
          if (journal.version === version) return await send();
          continue;
        }
        held = await this.options.protocol.lock(plan, held);
        // More was written while we waited, or the wait was too long for the lock: once more.
        if (journal.version !== version || !this.options.protocol.isFresh(held)) continue;
        const current = held;
        held = undefined;
        return await this.under(runner, journal, plan, current, send);
      }
    } finally {
      if (held !== undefined) await this.options.protocol.release(held, "rolled-back", "not committed");
    }
  }

  private async under<Result>(
    runner: QueryRunner,
    journal: TransactionJournal,
    plan: WritePlan,
    held: HeldLock,
    send: Send<Result>,
  ): Promise<Result> {
    const { protocol, writeThrough } = this.options;
    const stop = protocol.keepAlive(held);
    let outcome: "committed" | "unknown" = "unknown";
    let committed: CommittedRows[] = [];
    try {
      const result = await send();
      outcome = "committed";
      if (held.locked && plan.writeThrough.length > 0) committed = await this.committedRows(runner, journal, plan);
      return result;
    } finally {
      stop();
      await protocol.release(held, outcome, plan.cause, (token) =>
        writeThroughEntries(committed, held, token, writeThrough),
      );
    }
  }

  /** Nothing, rather than rows that a transaction on the same connection has not committed. */
  private async committedRows(
    runner: QueryRunner,
    journal: TransactionJournal,
    plan: WritePlan,
  ): Promise<CommittedRows[]> {
    if (journal.isOpen()) return [];
    const { begun } = journal;
    try {
      const rows = await readCommitted(runner, plan.writeThrough);
      return journal.begun === begun ? rows : [];
    } catch {
      return [];
    }
  }

  private journalFor(runner: QueryRunner, schema: Schema): TransactionJournal {
    const known = this.journals.get(runner);
    if (known !== undefined) return known;
    const created = new TransactionJournal(schema);
    this.journals.set(runner, created);
    return created;
  }
}

function commits(statement: SqlStatement): boolean {
  if (statement.kind === "write") return statement.commits;
  return statement.kind === "control" && (statement.control === "commit" || statement.control === "begin");
}

/** After a text of several statements: leaves the journal as the connection is now. */
function follow(journal: TransactionJournal, statements: readonly SqlStatement[], changes: ChangeSet): void {
  for (const statement of statements) if (statement.kind === "control") followOne(journal, statement);
  if (journal.isOpen()) journal.record(changes);
}

function followOne(journal: TransactionJournal, { control, name }: SqlStatement & { kind: "control" }): void {
  if (control === "commit" || control === "rollback") journal.end();
  else if (control === "savepoint") {
    journal.savepoint(name);
  } else if (control === "release") journal.release(name);
  else if (control === "rollback-to") journal.rollbackTo(name);
  else if (!journal.isOpen()) journal.begin();
}
