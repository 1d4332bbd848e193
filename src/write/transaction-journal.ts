import type { Schema } from "../metadata/schema";
import { ChangeSet } from "./change-set";

interface Frame {
  /** Of the savepoint; "" for the transaction itself. */
  readonly name: string;
  readonly changes: ChangeSet;
}

/**
 * What the transaction on one connection has changed so far, savepoints stacked. It follows what is sent, so raw BEGIN and
 * COMMIT count like TypeORM's own, and on SQLite, where all of a process share one connection, whatever is sent while a
 * transaction runs is part of it, whoever sent it.
 */
export class TransactionJournal {
  /** Counts what was recorded, so that a COMMIT that waited for its lock sees that more came in. */
  version = 0;
  /** Counts transactions begun, so that a load can tell that none ran beside it. */
  begun = 0;
  /**
   * A statement failed inside the transaction: some databases have rolled all of it back by now and commit the next
   * statement at once. Until its end every write is locked for itself as well.
   */
  uncertain = false;
  /** COMMITs and ROLLBACKs that were sent and have not returned: what the connection shows meanwhile may yet vanish. */
  ending = 0;
  private frames: Frame[] = [];
  /** Writes that were sent outside of a transaction and have not returned: a BEGIN sent meanwhile may overtake them. */
  private readonly inFlight = new Set<ChangeSet>();

  constructor(private readonly schema: Schema) {}

  isOpen(): boolean {
    return this.frames.length > 0;
  }

  /** @param savepoint on SQLite a savepoint outside of a transaction begins one, and its release commits it */
  begin(savepoint = ""): void {
    this.begun += 1;
    this.frames = [{ name: savepoint, changes: new ChangeSet(this.schema) }];
    for (const changes of this.inFlight) this.record(changes);
  }

  record(changes: ChangeSet): void {
    this.version += 1;
    this.frames.at(-1)?.changes.merge(changes);
  }

  /** Runs a write that is its own transaction. */
  async alone<Result>(changes: ChangeSet, send: () => Promise<Result>): Promise<Result> {
    this.inFlight.add(changes);
    try {
      return await send();
    } finally {
      this.inFlight.delete(changes);
    }
  }

  /** Whether releasing this savepoint commits. */
  isBegunBy(savepoint: string): boolean {
    return savepoint !== "" && this.frames.findLastIndex((frame) => frame.name === savepoint) === 0;
  }

  savepoint(name: string): void {
    if (!this.isOpen()) this.begin(name);
    else this.frames.push({ name, changes: new ChangeSet(this.schema) });
  }

  /** What came since the savepoint stays, as part of what is around it. */
  release(name: string): void {
    const at = this.find(name);
    for (const { changes } of this.frames.splice(at)) this.record(changes);
  }

  /** What came since the savepoint is void; the savepoint itself stays. */
  rollbackTo(name: string): void {
    if (this.isBegunBy(name)) this.frames = [];
    else this.frames.splice(this.find(name));
    this.savepoint(name);
    this.version += 1;
  }

  /** All that a COMMIT now would make visible. */
  pending(): ChangeSet {
    const all = new ChangeSet(this.schema);
    for (const { changes } of this.frames) all.merge(changes);
    return all;
  }

  /**
   * Ends the transaction at the moment that COMMIT or ROLLBACK goes out: what is sent after it is outside.
   *
   * @returns a function that puts everything back, for a COMMIT that failed and left the transaction open
   */
  end(): () => void {
    const { frames, uncertain } = this;
    this.frames = [];
    this.uncertain = false;
    this.version += 1;
    return () => {
      this.frames = frames;
      this.uncertain = uncertain || frames.length > 0;
    };
  }

  private find(name: string): number {
    const at = this.frames.findLastIndex((frame) => frame.name === name);
    // An unknown savepoint never takes the transaction's own frame away.
    return at <= 0 ? this.frames.length : at;
  }
}
