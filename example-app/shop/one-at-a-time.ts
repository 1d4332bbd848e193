/**
 * Runs one piece of work after the other. TypeORM has a single connection to an SQLite database: two transactions that
 * overlap would become one, and the rollback of either would undo both. Databases with a pool do not need this.
 */
export class OneAtATime {
  private last: Promise<unknown> = Promise.resolve();

  run<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.last.then(work);
    this.last = result.catch(() => undefined);
    return result;
  }
}
