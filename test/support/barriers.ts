import type { DataSource, QueryRunner } from "typeorm";
import { MemoryStore, type Store } from "typeorm-coherent";

/** A place where whoever comes by next is held up. */
export interface Barrier {
  /** Resolves when somebody stands there. */
  readonly reached: Promise<void>;
  /** Lets them go on. */
  open(): void;
}

type StoreCall = "read" | "prepare" | "fill" | "lock" | "unlock" | "invalidate";
type Moment = "before" | "after";

interface Waiting {
  readonly matches: (text: string) => boolean;
  readonly moment: Moment;
  readonly stop: () => Promise<void>;
}

/** Barriers that each hold up one passer-by. */
class Barriers {
  private waiting: Waiting[] = [];

  add(matches: (text: string) => boolean, moment: Moment): Barrier {
    let reach = () => {};
    let open = () => {};
    const reached = new Promise<void>((resolve) => (reach = resolve));
    const opened = new Promise<void>((resolve) => (open = resolve));
    const stop = () => {
      reach();
      return opened;
    };
    this.waiting.push({ matches, moment, stop });
    return { reached, open };
  }

  async pass<Result>(text: string, work: () => Promise<Result>): Promise<Result> {
    await this.take(text, "before");
    const result = await work();
    await this.take(text, "after");
    return result;
  }

  private async take(text: string, moment: Moment): Promise<void> {
    const found = this.waiting.find((one) => one.moment === moment && one.matches(text));
    if (found === undefined) return;
    this.waiting = this.waiting.filter((one) => one !== found);
    await found.stop();
  }
}

/** An embedded store whose calls can be held up. */
export function barrierStore(): Store & { at(call: StoreCall, moment?: Moment): Barrier } {
  const inner: Store = new MemoryStore();
  const barriers = new Barriers();
  return {
    name: inner.name,
    at: (call, moment = "before") => barriers.add((text) => text === call, moment),
    open: (...args) => inner.open(...args),
    read: (...args) => barriers.pass("read", async () => inner.read(...args)),
    prepare: (...args) => barriers.pass("prepare", () => inner.prepare(...args)),
    fill: (...args) => barriers.pass("fill", () => inner.fill(...args)),
    lock: (...args) => barriers.pass("lock", () => inner.lock(...args)),
    unlock: (...args) => barriers.pass("unlock", () => inner.unlock(...args)),
    invalidate: (...args) => barriers.pass("invalidate", () => inner.invalidate(...args)),
    close: () => inner.close(),
  };
}

/**
 * Holds up statements of a data source that has a cache: `before` they are sent, or `after` the database has answered and
 * before anybody hears of it.
 */
export function statementBarriers(dataSource: DataSource): (pattern: RegExp, moment?: Moment) => Barrier {
  const barriers = new Barriers();
  const driver = dataSource.driver as DataSource["driver"] & { queryRunner?: QueryRunner };
  const create = driver.createQueryRunner.bind(driver);
  const watched = new WeakSet<QueryRunner>();
  const watch = (runner: QueryRunner): QueryRunner => {
    if (watched.has(runner)) return runner;
    watched.add(runner);
    const query = runner.query.bind(runner) as (...args: unknown[]) => Promise<unknown>;
    runner.query = ((sql: string, ...rest: unknown[]) =>
      barriers.pass(sql, () => query(sql, ...rest))) as QueryRunner["query"];
    return runner;
  };
  if (driver.queryRunner !== undefined) watch(driver.queryRunner);
  driver.createQueryRunner = (mode) => watch(create(mode));
  return (pattern, moment = "after") => barriers.add((sql) => pattern.test(sql), moment);
}

/**
 * Keeps the statements of each connection in order until the one before has come back, as pg 8 does and pg 9 will not: for tests
 * of callers who do not wait. Comes before the cache.
 */
export function oneByOne(dataSource: DataSource): void {
  if (dataSource.options.type !== "postgres") return;
  const { driver } = dataSource;
  const create = driver.createQueryRunner.bind(driver);
  driver.createQueryRunner = (mode) => {
    const runner = create(mode);
    const query = runner.query.bind(runner) as (...args: unknown[]) => Promise<unknown>;
    let last: Promise<unknown> = Promise.resolve();
    runner.query = ((...args: unknown[]) => {
      const sent = last.then(() => query(...args));
      last = sent.catch(() => undefined);
      return sent;
    }) as QueryRunner["query"];
    return runner;
  };
}
