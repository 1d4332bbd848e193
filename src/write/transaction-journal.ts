import type { Schema, TableModel } from "../metadata/schema";
import { ChangeSet } from "./change-set";
import type { HeldLock } from "./commit-protocol";
import { Turnstile } from "./turnstile";

interface Frame {
  /** Of the savepoint; "" for the transaction itself. */
  readonly name: string;
  readonly changes: ChangeSet;
  /** Its SAVEPOINT has returned: until then a write that was sent after it may still come before it. */
  reached: boolean;
  /** The transaction was there for sure when it was made. */
  readonly certain: boolean;
}

/** A step of a transaction that was sent; one of these is called when it returns. */
export interface Step {
  done(): void;
  failed(): void;
}

const NO_STEP: Step = { done: () => undefined, failed: () => undefined };

/**
 * What the transaction on one connection has changed so far, savepoints stacked. It follows what is sent, so raw BEGIN and
 * COMMIT count like TypeORM's own, and on SQLite, where all of a process share one connection, whatever is sent while a
 * transaction runs is part of it, whoever sent it.
 *
 * Statements that are under way at the same time may reach the database in another order than they were sent. A write is
 * therefore counted wherever it may have ended up.
 */
export class TransactionJournal {
  /** Counts what was recorded, so that a COMMIT that waited for its lock sees that more came in. */
  version = 0;
  /** Counts transactions begun, so that a load can tell that none ran beside it. */
  begun = 0;
  /** Counts ends, and failures that may have been ends: a write that sees it change may have committed by itself. */
  turns = 0;
  /** COMMITs and ROLLBACKs that were sent and have not returned: what the connection shows meanwhile may yet vanish. */
  ending = 0;
  /** The lock under which statements of this transaction have searched for their rows. */
  hold: HeldLock | undefined;
  /** Keeps what is sent while a statement searches behind it. */
  readonly turnstile = new Turnstile();
  private beginning = 0;
  private doubtful = false;
  private frames: Frame[] = [];
  /** Writes that were sent and have not returned: a BEGIN or ROLLBACK TO that is sent meanwhile may overtake them. */
  private readonly inFlight = new Set<ChangeSet>();
  /** Writes that were sent after a COMMIT or ROLLBACK, before it had returned: they may have overtaken it. */
  private overtaking: ChangeSet | undefined;
  private waiting: (() => void)[] = [];

  constructor(private readonly schema: Schema) {}

  isOpen(): boolean {
    return this.frames.length > 0;
  }

  /**
   * Whether a write that is sent now is part of a transaction for sure. It is not while a BEGIN is under way, nor after a
   * statement failed: some databases have rolled all of it back by then and commit the next statement at once.
   */
  isCertain(): boolean {
    return !this.doubtful && this.beginning === 0;
  }

  /** @param savepoint on SQLite a savepoint outside of a transaction begins one, and its release commits it */
  begin(savepoint = ""): Step {
    const frame: Frame = { name: savepoint, changes: new ChangeSet(this.schema), reached: true, certain: true };
    this.begun += 1;
    this.beginning += 1;
    this.frames = [frame];
    this.doubtful = false;
    this.recordInFlight();
    return {
      done: () => void (this.beginning -= 1),
      failed: () => {
        this.beginning -= 1;
        this.dissolve(frame);
      },
    };
  }

  /** The lock of its searches, for whoever ends the transaction. */
  takeHold(): HeldLock | undefined {
    const { hold } = this;
    this.hold = undefined;
    return hold;
  }

  record(changes: ChangeSet): void {
    this.version += 1;
    for (const frame of this.frames.toReversed()) {
      frame.changes.merge(changes);
      if (frame.reached) return;
    }
  }

  /** A row that an event says was inserted: one of those that a statement inserted without naming it, unless one named it. */
  recordInserted(table: TableModel, values: readonly unknown[], decided: boolean): void {
    const announced = new ChangeSet(this.schema);
    const rows = announced.table(table);
    const tag = rows.addRow(values, decided ? "anew" : "as before");
    if (tag === undefined) return;
    const known = this.frames.flatMap(({ changes }) => changes.tables.get(table.group) ?? []);
    const open = known.reduce((sum, { inserted, announced }) => sum + inserted - announced, 0);
    rows.announced = open > 0 && !known.some((one) => one.rows.has(tag)) ? 1 : 0;
    this.record(announced);
  }

  /** Runs a write, so that it counts for whatever step overtakes it, or is overtaken by it. */
  async during<Result>(changes: ChangeSet, send: () => Promise<Result>): Promise<Result> {
    this.inFlight.add(changes);
    if (this.ending > 0) (this.overtaking ??= new ChangeSet(this.schema)).merge(changes);
    try {
      return await send();
    } finally {
      this.inFlight.delete(changes);
    }
  }

  /** From here to the end every write may be its own transaction. */
  doubt(): void {
    this.doubtful = true;
    this.turns += 1;
  }

  /** Whether releasing this savepoint commits. */
  isBegunBy(savepoint: string): boolean {
    return savepoint !== "" && this.find(savepoint) === 0;
  }

  savepoint(name: string): Step {
    if (!this.isOpen()) return this.begin(name);
    const frame: Frame = {
      name,
      changes: new ChangeSet(this.schema),
      reached: false,
      certain: this.isCertain(),
    };
    this.frames.push(frame);
    return { done: () => void (frame.reached = true), failed: () => this.dissolve(frame) };
  }

  /** What came since the savepoint stays, as part of what is around it. */
  release(name: string): Step {
    const at = this.find(name);
    // The transaction's own frame stays whatever is released.
    if (at > 0) for (const { changes } of this.frames.splice(at)) this.record(changes);
    return NO_STEP;
  }

  /** What came since the savepoint is void as soon as the database says so; the savepoint itself stays. */
  rollbackTo(name: string): Step {
    const at = name === "" ? -1 : this.find(name);
    const dropped = at < 0 ? [] : this.frames.slice(at);
    const [first] = dropped;
    if (first === undefined) return NO_STEP;
    const frame: Frame = { name, changes: new ChangeSet(this.schema), reached: false, certain: first.certain };
    this.frames.push(frame);
    this.recordInFlight();
    const { turns } = this;
    return {
      done: () => {
        this.frames = this.frames.filter((one) => !dropped.includes(one));
        frame.reached = true;
        // The savepoint was still there, and so was the transaction.
        if (frame.certain && turns === this.turns) this.doubtful = false;
        this.version += 1;
      },
      failed: () => this.dissolve(frame),
    };
  }

  /** All that a COMMIT now would make visible. */
  pending(): ChangeSet {
    const all = new ChangeSet(this.schema);
    for (const { changes } of this.frames) all.merge(changes);
    return all;
  }

  /** Ends the transaction at the moment that COMMIT or ROLLBACK goes out; `failed` is for one that left it open. */
  end(): Step {
    const { frames } = this;
    this.frames = [];
    this.doubtful = false;
    this.version += 1;
    this.turns += 1;
    this.ending += 1;
    const settle = () => {
      this.ending -= 1;
      if (this.ending > 0) return;
      this.overtaking = undefined;
      for (const wake of this.waiting.splice(0)) wake();
    };
    return {
      done: settle,
      failed: () => {
        if (frames.length > 0) {
          this.frames = [...frames, ...this.frames];
          this.doubt();
          this.record(this.overtaking ?? new ChangeSet(this.schema));
        }
        settle();
      },
    };
  }

  /** Resolves when no COMMIT or ROLLBACK is under way. */
  async ended(): Promise<void> {
    if (this.ending > 0) await new Promise<void>((resolve) => this.waiting.push(resolve));
  }

  private recordInFlight(): void {
    for (const changes of this.inFlight) this.record(changes);
  }

  /** Takes a frame away whose step failed; what it holds may have happened in what is around it. */
  private dissolve(frame: Frame): void {
    const at = this.frames.indexOf(frame);
    if (at < 0) return;
    this.frames.splice(at, 1);
    this.frames[Math.max(0, at - 1)]?.changes.merge(frame.changes);
    this.version += 1;
  }

  private find(name: string): number {
    return this.frames.findLastIndex((frame) => frame.name === name);
  }
}
