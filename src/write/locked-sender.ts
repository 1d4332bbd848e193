import type { QueryRunner } from "typeorm";
import type { Token } from "../core/token";
import type { ChangeSet } from "./change-set";
import type { CommitProtocol, HeldLock } from "./commit-protocol";
import { planWrite, type KeyTagReader, type WritePlan } from "./lock-planner";
import { isRefusal } from "./refusal";
import { readKeyTags, type Ask } from "./row-reader";
import { RowSearch } from "./row-search";
import type { RunningWrites } from "./running-writes";
import type { TransactionJournal } from "./transaction-journal";
import { readCommitted, writeThroughEntries, type CommittedRows, type WriteThroughOptions } from "./write-through";

/** Sends a statement as its caller wrote it. */
export type Send<Result> = () => Promise<Result>;

/** Sends what commits, a COMMIT or a statement outside of a transaction: LOCK before it, UNLOCK after it. */
export class LockedSender {
  private readonly search: RowSearch;

  constructor(
    private readonly protocol: CommitProtocol,
    private readonly writeThrough: WriteThroughOptions,
    private readonly running: RunningWrites,
  ) {
    this.search = new RowSearch(protocol);
  }

  /**
   * A statement that commits by itself: LOCK, statement, UNLOCK.
   *
   * @param ask given if the rows of the statement may be searched for
   */
  async alone<Result>(
    runner: QueryRunner,
    journal: TransactionJournal,
    changes: ChangeSet,
    send: Send<Result>,
    ask?: Ask,
  ): Promise<Result> {
    let held = ask === undefined ? undefined : await this.search.alone(runner, journal, changes, ask);
    let searcher = held?.holder;
    try {
      for (;;) {
        const plan = await planWrite(changes, this.writeThrough.stripes, undefined, searcher);
        if (plan.tags.length === 0 && held === undefined) return await send();
        const before = held;
        held = await this.protocol.lock(plan, held);
        if (searcher !== undefined && before !== undefined && !this.protocol.isUnbroken(before)) {
          searcher = undefined;
          continue;
        }
        // On a shared connection somebody else may have begun a transaction meanwhile: then this is part of it.
        if (journal.isOpen()) journal.record(changes);
        const current = held;
        held = undefined;
        return await this.under(runner, journal, plan, current, () => journal.during(changes, send));
      }
    } finally {
      if (held !== undefined) await this.protocol.release(held, "rolled-back", { cause: "not sent" });
    }
  }

  /** Finds the rows of a statement inside of a transaction, before it is sent. */
  searchInside(runner: QueryRunner, journal: TransactionJournal, changes: ChangeSet, ask: Ask): Promise<void> {
    return this.search.inside(runner, journal, changes, ask);
  }

  /** Nothing that was searched for has been committed. */
  async rolledBack(journal: TransactionJournal): Promise<void> {
    const hold = journal.takeHold();
    if (hold !== undefined) await this.protocol.release(hold, "rolled-back", { cause: "rolled back" });
  }

  /** LOCK all that the journal holds, then COMMIT or whatever may be one, then UNLOCK. */
  async commit<Result>(runner: QueryRunner, journal: TransactionJournal, send: Send<Result>): Promise<Result> {
    const keyTags: KeyTagReader = (changes, rows) => readKeyTags(runner, changes, rows);
    let held = journal.takeHold();
    let searcher = held?.holder;
    try {
      for (;;) {
        const { version } = journal;
        const plan = await planWrite(journal.pending(), this.writeThrough.stripes, keyTags, searcher);
        if (plan.tags.length === 0 && held === undefined) {
          if (journal.version === version) return await send();
          continue;
        }
        const before = held;
        held = await this.protocol.lock(plan, held);
        const isBroken = before !== undefined && !this.protocol.isUnbroken(before);
        const isFinal = !isBroken || searcher === undefined;
        if (isBroken) searcher = undefined;
        // More was written while we waited, or the wait was too long for the lock: once more.
        if (!isFinal || journal.version !== version || !this.protocol.isFresh(held)) continue;
        const current = held;
        held = undefined;
        return await this.under(runner, journal, plan, current, send);
      }
    } finally {
      if (held !== undefined) await this.protocol.release(held, "rolled-back", { cause: "not committed" });
    }
  }

  /** For a write whose transaction may have ended before it arrived: invalidates at once, before its caller hears of it. */
  async makeUpFor(changes: ChangeSet): Promise<void> {
    const plan = await planWrite(changes, this.writeThrough.stripes);
    if (plan.tags.length > 0) await this.protocol.invalidate(plan.tags, plan.cause, plan.told);
  }

  private async under<Result>(
    runner: QueryRunner,
    journal: TransactionJournal,
    plan: WritePlan,
    held: HeldLock,
    send: Send<Result>,
  ): Promise<Result> {
    const stop = this.protocol.keepAlive(held);
    let outcome: "committed" | "failed" | "unknown" = "committed";
    let committed: CommittedRows[] = [];
    const release = async () => {
      const renewed = stop();
      const { cause, searched, told } = plan;
      const entries = (token: Token) => (renewed ? [] : writeThroughEntries(committed, held, token, this.writeThrough));
      await this.protocol.release(held, outcome, { cause, renewed, searched, told, entries });
    };
    try {
      const result = await send();
      if (held.locked && plan.writeThrough.length > 0) committed = await this.committedRows(runner, journal, plan);
      return result;
    } catch (error) {
      outcome = isRefusal(error) ? "failed" : "unknown";
      throw error;
    } finally {
      // A COMMIT that is under way may hold this statement too, if it came first after all: the lock must cover both. Nobody
      // waits for that COMMIT here, since it may be waiting for this.
      if (journal.ending > 0) this.releaseLater(journal, release);
      else await release();
    }
  }

  private releaseLater(journal: TransactionJournal, release: () => Promise<void>): void {
    this.running.begin();
    void journal
      .ended()
      .then(release)
      .finally(() => this.running.end());
  }

  /** Nothing, rather than rows that a transaction on the same connection has not committed. */
  private async committedRows(
    runner: QueryRunner,
    journal: TransactionJournal,
    plan: WritePlan,
  ): Promise<CommittedRows[]> {
    if (journal.isOpen() || journal.ending > 0) return [];
    const { begun } = journal;
    try {
      const rows = await readCommitted(runner, plan.writeThrough);
      return journal.begun === begun ? rows : [];
    } catch {
      return [];
    }
  }
}
