import type { DataSource, EntityManager, QueryRunner } from "typeorm";

/** A write by TypeORM, in whatever transaction its manager is in. */
export type Write = (manager: EntityManager) => Promise<unknown>;

/** How a write is put into a transaction, or into none. */
export interface Form {
  readonly title: string;
  /** What becomes of the write: it is committed by itself, with others, or not at all. */
  readonly fate: "alone" | "in a transaction" | "rolled back";
  /** @param other a write of another row */
  readonly run: (dataSource: DataSource, write: Write, other: Write) => Promise<unknown>;
}

/** Every form of transaction; where TypeORM's own method begins one by itself, "alone" is that one. */
export const FORMS: readonly Form[] = [
  // Those that leave the rows as they were come first: what was filled serves the next one.
  {
    title: "rolled back",
    fate: "rolled back",
    run: (dataSource, write) => undone(dataSource.manager, write),
  },
  {
    title: "alone",
    fate: "alone",
    run: (dataSource, write) => write(dataSource.manager),
  },
  {
    title: "in a transaction",
    fate: "in a transaction",
    run: (dataSource, write) => dataSource.transaction(write),
  },
  {
    title: "nested, after one that is undone",
    fate: "in a transaction",
    run: (dataSource, write, other) =>
      dataSource.transaction(async (manager) => {
        await undone(manager, other);
        await manager.transaction(write);
      }),
  },
  {
    title: "undone inside of one that is committed",
    fate: "rolled back",
    run: (dataSource, write, other) =>
      dataSource.transaction(async (manager) => {
        await other(manager);
        await undone(manager, write);
      }),
  },
  {
    title: "on a query runner of one's own",
    fate: "in a transaction",
    run: (dataSource, write) =>
      withRunner(dataSource, async (runner) => {
        await runner.startTransaction();
        await write(runner.manager);
        await runner.commitTransaction();
      }),
  },
  {
    title: "between BEGIN and COMMIT as SQL",
    fate: "in a transaction",
    run: (dataSource, write, other) =>
      withRunner(dataSource, async (runner) => {
        await runner.query("BEGIN");
        await runner.query("SAVEPOINT one");
        await other(runner.manager);
        await runner.query("ROLLBACK TO SAVEPOINT one");
        // What TypeORM would put into a transaction of its own is part of this one.
        await withoutTransactions(runner, () => write(runner.manager));
        await runner.query("COMMIT");
      }),
  },
];

/** Runs a write in a transaction that fails after it; errors of the write itself come through. */
async function undone(manager: EntityManager, write: Write): Promise<void> {
  const reason = new Error("undone");
  const transaction = manager.transaction(async (inner) => {
    await write(inner);
    throw reason;
  });
  await transaction.catch((error: unknown) => {
    if (error !== reason) throw error;
  });
}

async function withRunner(dataSource: DataSource, work: (runner: QueryRunner) => Promise<void>): Promise<void> {
  const runner = dataSource.createQueryRunner();
  try {
    await work(runner);
  } catch (error) {
    // On SQLite the next one has the same connection.
    await (runner.isTransactionActive ? runner.rollbackTransaction() : runner.query("ROLLBACK")).catch(() => undefined);
    throw error;
  } finally {
    await runner.release();
  }
}

const STEPS = ["startTransaction", "commitTransaction", "rollbackTransaction"] as const;

/** TypeORM does not know of the BEGIN: it would begin once more where it begins by itself. */
async function withoutTransactions(runner: QueryRunner, work: () => Promise<unknown>): Promise<void> {
  const own = STEPS.map((step) => Object.getOwnPropertyDescriptor(runner, step));
  for (const step of STEPS) runner[step] = () => Promise.resolve();
  try {
    await work();
  } finally {
    // On SQLite it is the runner of everybody.
    for (const [at, step] of STEPS.entries()) {
      if (own[at] === undefined) Reflect.deleteProperty(runner, step);
      else Object.defineProperty(runner, step, own[at]);
    }
  }
}
