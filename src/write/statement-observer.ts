import type { DataSource, QueryRunner } from "typeorm";
import type { Schema } from "../metadata/schema";
import type { SqlAnalysis, SqlAnalyzer, SqlStatement } from "../sql/statement";
import { ChangeSet } from "./change-set";
import type { LockedSender, Send } from "./locked-sender";
import type { Ask } from "./row-reader";
import { isAlreadyOver, isRefusal } from "./refusal";
import type { RunningWrites } from "./running-writes";
import { TransactionJournal, type Step } from "./transaction-journal";

/** What the observer needs of the cache around it. */
export interface StatementObserverOptions {
  /** Undefined until the data source knows its entities. */
  readonly schema: () => Schema | undefined;
  readonly analyzer: SqlAnalyzer;
  readonly sender: LockedSender;
  readonly running: RunningWrites;
  /** The cache closes: what has begun is followed to its end, and nothing else is. */
  readonly isClosing: () => boolean;
}

type Query = QueryRunner["query"];
type ControlStatement = SqlStatement & { readonly kind: "control" };

/**
 * Sees every statement of a data source before it is sent, by standing in front of `query` of each query runner that the
 * driver hands out: TypeORM's own events miss writes that it makes without listeners, come after a statement that commits by
 * itself, and are not awaited by every driver. COMMIT passes here too, after all other subscribers have had their say, which
 * is the last moment to lock and the only one that also sees it fail.
 */
export class StatementObserver {
  private readonly observed = new WeakSet<QueryRunner>();
  private readonly journals = new WeakMap<QueryRunner, TransactionJournal>();
  /** A pool hands a connection on as it is, with a transaction that a raw BEGIN has left open on it. */
  private readonly byConnection = new WeakMap<object, TransactionJournal>();

  constructor(private readonly options: StatementObserverOptions) {}

  /** @returns a function that stops observing */
  attach(dataSource: DataSource): () => void {
    const driver = dataSource.driver as DataSource["driver"] & { queryRunner?: QueryRunner };
    const original = driver.createQueryRunner.bind(driver);
    const own = Object.getOwnPropertyDescriptor(driver.queryRunner ?? {}, "query");
    if (driver.queryRunner !== undefined) this.observe(driver.queryRunner);
    driver.createQueryRunner = (mode) => this.observe(original(mode));
    return () => {
      delete (driver as Partial<typeof driver>).createQueryRunner;
      if (driver.queryRunner === undefined) return;
      if (own === undefined) delete (driver.queryRunner as Partial<QueryRunner>).query;
      else Object.defineProperty(driver.queryRunner, "query", own);
    };
  }

  /** The journal of a query runner, if it has sent anything yet. */
  journalOf(runner: QueryRunner): TransactionJournal | undefined {
    return this.journals.get(runner);
  }

  /** On SQLite all of a process share one connection, and a read beside a transaction sees what it has not committed. */
  transactions(dataSource: DataSource): { readonly open: boolean; readonly begun: number } {
    const { queryRunner } = dataSource.driver as { queryRunner?: QueryRunner };
    const journal = queryRunner === undefined ? undefined : this.journalOf(queryRunner);
    return { open: journal !== undefined && (journal.isOpen() || journal.ending > 0), begun: journal?.begun ?? 0 };
  }

  private observe(runner: QueryRunner): QueryRunner {
    if (this.observed.has(runner)) return runner;
    this.observed.add(runner);
    const query = runner.query.bind(runner) as (...args: unknown[]) => Promise<unknown>;
    const ask = query as Ask;
    const observed = (sql: string, parameters?: unknown, ...rest: unknown[]): Promise<unknown> => {
      const analysis = this.options.analyzer.analyze(sql);
      const send = () => query(sql, parameters, ...rest);
      const call = analysis.harmless
        ? send
        : () => this.pass(runner, analysis, Array.isArray(parameters) ? parameters : [], send, ask);
      const turnstile = this.journals.get(runner)?.turnstile;
      return turnstile === undefined ? call() : turnstile.pass(call);
    };
    runner.query = observed as Query;
    return runner;
  }

  private async pass<Result>(
    runner: QueryRunner,
    analysis: SqlAnalysis,
    parameters: readonly unknown[],
    send: Send<Result>,
    ask: Ask,
  ): Promise<Result> {
    const schema = this.options.schema();
    if (schema === undefined || runner.isReleased) return send();
    const { running, isClosing } = this.options;
    if (isClosing() && !running.has(this.journals.get(runner))) return send();
    running.begin();
    let journal = this.journals.get(runner);
    try {
      journal ??= await this.journalFor(runner, schema);
      const changes = new ChangeSet(schema);
      for (const statement of analysis.statements) changes.addStatement(statement, parameters);
      return await this.passOn(runner, journal, analysis, changes, send, ask);
    } finally {
      if (journal !== undefined) running.follow(journal);
      running.end();
    }
  }

  private passOn<Result>(
    runner: QueryRunner,
    journal: TransactionJournal,
    { statements }: SqlAnalysis,
    changes: ChangeSet,
    send: Send<Result>,
    ask: Ask,
  ): Promise<Result> {
    const [first] = statements;
    if (first?.kind === "control" && statements.length === 1) return this.control(runner, journal, first, send);
    const { sender } = this.options;
    if (!statements.some(mayEnd)) {
      return journal.isOpen()
        ? this.inside(runner, journal, changes, send, ask)
        : sender.alone(runner, journal, changes, send, ask);
    }
    const followed = () => this.followed(journal, statements, changes, send);
    if (!journal.isOpen()) return sender.alone(runner, journal, changes, followed);
    // MySQL commits before DDL, and a text may hold a COMMIT of its own: lock all there is, and go on doubting.
    journal.record(changes);
    journal.doubt();
    return sender.commit(runner, journal, followed);
  }

  private async control<Result>(
    runner: QueryRunner,
    journal: TransactionJournal,
    statement: ControlStatement,
    send: Send<Result>,
  ): Promise<Result> {
    const { dialect } = this.options.analyzer;
    const { control, name } = statement;
    // MySQL commits what is open before it begins anew.
    const ends = control === "commit" || control === "rollback" || (control === "begin" && dialect === "mysql");
    const beginsAnew = statement.chain || (control === "begin" && journal.isOpen());
    const end = async (): Promise<Result> => {
      const step = journal.end();
      try {
        const result = await send();
        if (beginsAnew) journal.begin().done();
        step.done();
        if (control === "rollback") await this.options.sender.rolledBack(journal);
        return result;
      } catch (error) {
        // PostgreSQL leaves no transaction behind when a COMMIT fails.
        if (isAlreadyOver(error) || (dialect === "postgres" && isRefusal(error))) step.done();
        else step.failed();
        throw error;
      }
    };
    if (control === "rollback") return end();
    const { sender } = this.options;
    if (journal.isOpen() && (ends || (control === "release" && journal.isBegunBy(name)))) {
      return sender.commit(runner, journal, end);
    }
    // Followed before it is sent: what is sent right after it is already inside.
    const step = () => stepped(stepOf(journal, statement), send);
    // SQLite may have rolled back by itself, so that the savepoint stands alone and its release commits.
    return control === "release" && !journal.isCertain() ? sender.commit(runner, journal, step) : step();
  }

  private async inside<Result>(
    runner: QueryRunner,
    journal: TransactionJournal,
    changes: ChangeSet,
    send: Send<Result>,
    ask: Ask,
  ): Promise<Result> {
    const { sender } = this.options;
    if (changes.isSearching() && journal.isCertain()) {
      const open = journal.turnstile.close();
      try {
        await sender.searchInside(runner, journal, changes, ask);
      } catch (error) {
        journal.doubt();
        throw error;
      } finally {
        // What waited is sent after this statement, which goes out before anything else can run.
        queueMicrotask(open);
      }
    }
    const { turns } = journal;
    journal.record(changes);
    try {
      if (!journal.isCertain()) return await sender.alone(runner, journal, changes, send);
      const result = await journal.during(changes, send);
      if (journal.turns !== turns) await sender.makeUpFor(changes);
      return result;
    } catch (error) {
      journal.doubt();
      throw error;
    }
  }

  /** Sends a text of several statements and leaves the journal as the connection is after it. */
  private async followed<Result>(
    journal: TransactionJournal,
    statements: readonly SqlStatement[],
    changes: ChangeSet,
    send: Send<Result>,
  ): Promise<Result> {
    const steps = statements.filter((statement) => statement.kind === "control");
    try {
      const result = await send();
      // The drivers of SQLite run the first statement of a text.
      const sent = this.options.analyzer.dialect === "sqlite" ? steps.filter((step) => step === statements[0]) : steps;
      for (const step of sent) stepOf(journal, step).done();
      if (journal.isOpen()) journal.record(changes);
      return result;
    } catch (error) {
      if (steps.length > 0) {
        // Nobody knows how far it came.
        if (!journal.isOpen()) journal.begin().done();
        journal.record(changes);
        journal.doubt();
      }
      throw error;
    }
  }

  private async journalFor(runner: QueryRunner, schema: Schema): Promise<TransactionJournal> {
    const connection: unknown = await runner.connect();
    const key = typeof connection === "object" && connection !== null ? connection : runner;
    const known = this.journals.get(runner) ?? this.byConnection.get(key);
    const journal = known ?? new TransactionJournal(schema);
    // Whether the pool has rolled back what was left open is not known.
    if (known?.isOpen() === true && !this.journals.has(runner)) known.doubt();
    this.byConnection.set(key, journal);
    this.journals.set(runner, journal);
    return journal;
  }
}

/** A text with one of these may end a transaction, or leave one open. */
function mayEnd(statement: SqlStatement): boolean {
  return statement.kind === "control" || (statement.kind === "write" && statement.commits);
}

function stepOf(journal: TransactionJournal, { control, name, chain }: ControlStatement): Step {
  switch (control) {
    case "savepoint":
      return journal.savepoint(name);
    case "release":
      return journal.isBegunBy(name) ? journal.end() : journal.release(name);
    case "rollback-to":
      return journal.rollbackTo(name);
    case "begin":
      return journal.isOpen() ? NO_STEP : journal.begin();
    default: {
      const step = journal.end();
      if (chain) journal.begin().done();
      return step;
    }
  }
}

const NO_STEP: Step = { done: () => undefined, failed: () => undefined };

async function stepped<Result>(step: Step, send: Send<Result>): Promise<Result> {
  try {
    const result = await send();
    step.done();
    return result;
  } catch (error) {
    step.failed();
    throw error;
  }
}
