import type { Scenario } from "./scenario";

/**
 * A state: one byte per cell, so that it is copied, compared and hashed at once. {@link Layout} says which cell is what.
 * A Buffer, because a million of them are kept as texts of one byte per character, which it makes fastest.
 */
export type State = Buffer;

/** What a tag cell, or a captured token, holds. Whatever is larger than DEAD is a token. */
export const MISSING = 0;
/** The answer "" of PREPARE and LOCK. */
export const WITHHELD = 1;
/** "!": locked, by more than one or after more than one. */
export const NOBODYS_MARK = 2;
/** "!holder" of the first writer; those of the others follow. */
export const FIRST_MARK = 3;
/** A token that no tag has and nobody compares with any more. */
export const DEAD = 11;
/** In canonical states: the token that the tag has now. */
export const CURRENT = 12;
/**
 * The token that a writer's UNLOCK gives to tags of several parts, in any order: known before some of them have it. Of the first writer;
 * those of the others follow.
 */
const PROMISED = 230;
/** A token that was never there before. */
export const FRESH = 255;

export const isToken = (cell: number): boolean => cell > DEAD;
export const isMark = (cell: number): boolean => cell >= NOBODYS_MARK && cell < DEAD;
export const promisedBy = (writer: number): number => PROMISED + writer;
/** The writer whose token it is, if it is such a one. */
export const promiserOf = (cell: number): number | undefined =>
  cell >= PROMISED && cell < FRESH - 1 ? cell - PROMISED : undefined;
export const markOf = (writer: number): number => FIRST_MARK + writer;

/** The quarantine field of a guard. */
export const NO_GUARD = 0;
export const RUNNING = 1;
export const OVER = 2;

/** The time of a writer's lock in a group: none, before its deadline, or past it. */
export const UNLOCKED = 0;
export const LIVE = 1;
/** Live, and its deadline comes no later than the end of the quarantine that runs. */
export const LIVE_UNTIL_QUARANTINE = 2;
export const EXPIRED = 3;

/** Where a writer stands. */
export const Writer = {
  IDLE: 0,
  HOLDING: 1,
  FOUND: 2,
  WROTE: 3,
  LOCKED: 4,
  COMMITTED: 5,
  REREAD: 6,
  ROLLED_BACK: 7,
  GONE: 8,
} as const;

/** Where a reader stands. HIT lasts for the check of one step only. */
export const Reader = {
  IDLE: 0,
  PREPARING: 1,
  PREPARED: 2,
  LOADING: 3,
  LOADED: 4,
  FILLABLE: 5,
  LOOKING: 6,
  HIT: 7,
} as const;

/** In the cell of a row: the number of the commit that changed it last, and whether it is out. */
export const OUT = 64;
/** In the cell of a row: a value that was rolled back. */
export const ROLLED_BACK = 128;

/** Offsets of the cells of a scenario's states. */
export class Layout {
  /** Number of commits so far. */
  readonly commits = 0;
  /** In promise "returned": the newest commit whose writer went on. */
  readonly returned = 1;
  readonly crashes = 2;
  readonly evictions = 3;
  readonly flushes = 4;

  readonly tagCount: number;
  readonly rowCount: number;
  readonly writerCount: number;
  readonly readerCount: number;
  readonly groupCount: number;

  readonly tags: number;
  /** Only in mutants: how far the counter has come that is the token of a tag. */
  readonly counters: number;
  readonly size: number;
  readonly entrySize: number;
  readonly readerSize: number;
  private readonly database: number;
  private readonly quarantines: number;
  private readonly records: number;
  private readonly locks: number;
  private readonly entries: number;
  private readonly writers: number;
  private readonly writerSize: number;
  private readonly readers: number;

  constructor(scenario: Scenario) {
    this.tagCount = scenario.tags.length;
    this.rowCount = scenario.rows.length;
    this.writerCount = scenario.writers.length;
    this.readerCount = scenario.readers;
    this.groupCount = Math.max(...scenario.tags.map(({ group }) => group)) + 1;
    this.entrySize = 1 + this.tagCount + this.rowCount;
    this.writerSize = 7 + this.rowCount;
    const looks = scenario.hits !== "at once" ? this.tagCount + 1 : 0;
    this.readerSize = 3 + this.tagCount + this.rowCount + looks;

    let end = 5;
    const take = (count: number): number => (end += count) - count;
    this.database = take((this.writerCount + 1) * this.rowCount);
    this.tags = take(this.tagCount);
    this.counters = take(scenario.rules.tokens === "counter" ? this.tagCount : 0);
    this.quarantines = take(this.groupCount);
    this.records = take(this.tagCount * this.writerCount);
    this.locks = take(this.groupCount * this.writerCount);
    this.entries = take(scenario.entries.length * this.entrySize);
    this.writers = take(this.writerCount * this.writerSize);
    this.readers = take(this.readerCount * this.readerSize);
    this.size = end;
  }

  /** A row as it was after a commit; 0 is the beginning. */
  row(commit: number, row: number): number {
    return this.database + commit * this.rowCount + row;
  }

  tag(tag: number): number {
    return this.tags + tag;
  }

  quarantine(group: number): number {
    return this.quarantines + group;
  }

  /** Whether the guard lists a writer as a holder of a tag. */
  record(tag: number, writer: number): number {
    return this.records + tag * this.writerCount + writer;
  }

  /** The time of a writer's lock in a group. */
  lock(group: number, writer: number): number {
    return this.locks + group * this.writerCount + writer;
  }

  /** Whether the entry is there; then its tokens by tag (MISSING: it does not depend on it), then its rows. */
  entry(entry: number): number {
    return this.entries + entry * this.entrySize;
  }

  /** Offsets from a writer's first cell, which says where it stands. */
  writer(writer: number): number {
    return this.writers + writer * this.writerSize;
  }
  readonly write = 1;
  readonly captured = 2;
  readonly commit = 3;
  readonly watched = 4;
  /** The rows that a search has found, and those that it has written before COMMIT, as sets of bits. */
  readonly found = 5;
  readonly wrote = 6;
  readonly image = 7;

  /** Offsets from a reader's first cell, which says where it stands: captured tokens by tag, then rows. */
  reader(reader: number): number {
    return this.readers + reader * this.readerSize;
  }
  readonly reads = 1;
  readonly began = 2;
  readonly tokens = 3;
  get values(): number {
    return 3 + this.tagCount;
  }
  /** Only if a hit does not look at all keys at once: what the tags were seen to hold, then whether the entry was seen. */
  get looked(): number {
    return 3 + this.tagCount + this.rowCount;
  }
}
