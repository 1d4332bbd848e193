import type { DataSource, QueryRunner } from "typeorm";

type Query = (sql: string, parameters?: unknown[], ...rest: unknown[]) => Promise<unknown>;

/** Whoever asks for a connection has found no entry. One for all: it is thrown very often, and its stack says nothing. */
const NOTHING_CACHED = new Error("There is no entry.");

/**
 * Answers a SELECT with what the database said when it was asked the same in the same state of the tables: the cells of the
 * matrix come back to few states, and asking a server for all of their rows again is what takes the time. SQLite answers
 * from this process anyway and is always asked.
 */
export class Replay {
  private isPeeking = false;
  private readonly answers = new Map<string, Promise<unknown>>();
  private state: string | undefined;

  /** Must come before the cache is attached, whose end takes this away too. */
  attach(dataSource: DataSource): void {
    const { driver } = dataSource;
    const isServer = !dataSource.options.type.includes("sqlite");
    const create = driver.createQueryRunner.bind(driver);
    driver.createQueryRunner = (mode) => {
      if (this.isPeeking) throw NOTHING_CACHED;
      return isServer ? this.follow(create(mode)) : create(mode);
    };
  }

  /**
   * Runs a read that goes to no server: what would have to be loaded cannot be stale, and asking again for all of it is what takes
   * the time.
   *
   * @returns undefined if the cache did not have it
   */
  async peek<Result>(read: () => Promise<Result>): Promise<Result | undefined> {
    this.isPeeking = true;
    try {
      return await read();
    } catch (error) {
      if (error === NOTHING_CACHED) return undefined;
      throw error;
    } finally {
      this.isPeeking = false;
    }
  }

  /** Runs reads, while nobody writes, on tables whose rows are known. */
  async during<Result>(state: string, reads: () => Promise<Result>): Promise<Result> {
    this.state = state;
    try {
      return await reads();
    } finally {
      this.state = undefined;
    }
  }

  private follow(runner: QueryRunner): QueryRunner {
    const query = runner.query.bind(runner) as Query;
    const replayed: Query = (sql, parameters, ...rest) => {
      if (this.state === undefined || !sql.startsWith("SELECT")) return query(sql, parameters, ...rest);
      const key = JSON.stringify([this.state, sql, parameters, ...rest]);
      const answer = this.answers.get(key) ?? query(sql, parameters, ...rest);
      this.answers.set(key, answer);
      return answer;
    };
    runner.query = replayed as QueryRunner["query"];
    return runner;
  }
}
