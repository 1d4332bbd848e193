/**
 * What one search looks at: a small world of tags, rows and queries, the processes in it, what may go wrong, and the
 * rules of the protocol. The rules of the library are {@link PROTOCOL}; a mutant breaks one of them.
 */
export interface Scenario {
  readonly name: string;
  readonly tags: readonly TagSpec[];
  /** Whether each row is in the result of the queries by key when everything begins. */
  readonly rows: readonly Membership[];
  readonly entries: readonly EntrySpec[];
  /** What each writer may do; it does one of these, once. */
  readonly writers: readonly (readonly WriteSpec[])[];
  /** Readers read for ever; they are alike, so states that differ in their order only count once. */
  readonly readers: number;
  /** Which entries they read. */
  readonly reads: readonly number[];
  /**
   * How a reader gets the tokens of its fill.
   * - query: the query names all tags
   * - any-row: PREPARE with `T:*`, load, PREPARE again with the tags of the rows found
   * - hints: PREPARE with some guess of row tags, right or wrong; no second one
   */
  readonly capture: "query" | "any-row" | "hints";
  /** A load is one statement, or one per row with writers in between. */
  readonly load: "at once" | "row by row";
  /**
   * Whether readers may join a load that another one began, as single flight does. They fill nothing then, which is tried
   * without: a load may be shared or not whether it is stored afterwards or not.
   */
  readonly sharing: boolean;
  /** A hit looks at its entry and tags at once, or at the entry and then at one tag after the other, or in any order. */
  readonly hits: "at once" | "entry first" | "any order";
  /**
   * From when on a write must be seen.
   * - committed: from its COMMIT on, which takes effect before the deadline of its lock
   * - returned: from when its writer goes on after UNLOCK; COMMIT may take for ever, but then its writer does not die
   */
  readonly promise: "committed" | "returned";
  readonly faults: Faults;
  readonly rules: Rules;
}

export interface TagSpec {
  readonly name: string;
  /** The group whose guard it is under. */
  readonly group: number;
}

export type Membership = "in" | "out";

/** A query and the entry that holds its result. */
export interface EntrySpec {
  readonly name: string;
  readonly group: number;
  /** The tags that the query names. */
  readonly tags: readonly number[];
  /** Which rows it may return. */
  readonly rows: readonly number[];
  /** It returns those of its rows that are "in", and depends on the tag of each; otherwise it returns them always. */
  readonly byKey?: { readonly rowTags: readonly number[]; readonly anyRow: number };
  /** A tag that must not be locked when it is PREPAREd; the entry does not carry its token. */
  readonly barrier?: number;
}

export interface WriteSpec {
  readonly name: string;
  /** A statement outside of a transaction is locked for before it has its row, and commits by itself. */
  readonly mode: "transaction" | "statement";
  /** The rows that it changes, and whether each is in the result of queries by key afterwards. */
  readonly rows: readonly { readonly row: number; readonly becomes: Membership }[];
  readonly tags: readonly number[];
  /**
   * It writes whichever rows are "in" when it comes, and locks the tags of those that it has found before, under the barrier.
   */
  readonly search?: {
    readonly rowTags: readonly number[];
    readonly barrier: number;
    readonly becomes: Membership;
  };
  /**
   * The entry that it writes through, under which locked tags, and under which tag whose token LOCK captures; and the tag that
   * must have the same token at UNLOCK as at LOCK.
   */
  readonly through?: {
    /** Of one group, or, explored with "names" only, of several, each of which decides for itself. */
    readonly entry: number;
    readonly locked: readonly number[];
    readonly captured: number;
    readonly watched?: number;
  };
}

/** How often each thing may happen; {@link ANY} is without limit. */
export interface Faults {
  readonly crashes: number;
  readonly rollbacks: boolean;
  /** Of one tag or one guard. Entries come and go without limit. */
  readonly evictions: number;
  readonly flushes: number;
}

/** Cheaper than a large number: what is not counted is no part of the state. */
export const ANY = 255;

export interface Rules {
  /** What a writer does about the cache: LOCK and UNLOCK, or one command after COMMIT. */
  readonly write: "lock" | "delete after commit" | "set after commit";
  /** Whether locks are listed in the guard, or stand in the tag alone. */
  readonly guard: boolean;
  readonly quarantine: boolean;
  readonly tokens: "random" | "counter";
  /** Whether a lock has a deadline per holder, or one for the tag, set by its first holder. */
  readonly deadline: "per holder" | "per tag";
  /** Whether UNLOCK checks that the tag was this holder's all along before it writes through. */
  readonly compareBeforeWrite: boolean;
  readonly captureEpoch: "at lock" | "at unlock";
  /** Whether a LOCK that finds a live holder, or is renewed after one, leaves a mark that is nobody's. */
  readonly sharedMark: boolean;
  /**
   * Whether a writer that has renewed its lock writes through. The lock may have been lost before, together with every
   * trace of another who came and went, and the row have been read back before that.
   */
  readonly writeAfterRenewal: boolean;
  /** Whether UNLOCK takes away the mark also of a tag that others hold. */
  readonly unlockTakesMark: boolean;
  /** Whether COMMIT goes out only while its lock is young. */
  readonly commitWhileYoung: boolean;
  readonly writeAfterRollback: boolean;
  /** Whether a fill with tokens of a second PREPARE asks that `T:*` has not changed since the first. */
  readonly compareAnyRow: boolean;
  readonly prepare: "before the load" | "after the load";
  /** Whether a reader that joins a load compares the tokens that it has captured itself. */
  readonly compareBeforeJoin: boolean;
  /** Whether those who join get only rows whose tags were among the compared ones. */
  readonly joinCoveredRows: boolean;
  /** Whether a writer that searches for its rows has locked the barrier before it looks. */
  readonly search: "under the barrier" | "before the barrier";
  /** Whether it goes on only if its lock of the barrier has not run out meanwhile. */
  readonly searchWhileYoung: boolean;
  /** Whether a reader PREPAREs the barrier too. */
  readonly prepareBarrier: boolean;
  /** Whether write-through asks that the barrier has not changed since LOCK. */
  readonly watchBarrier: boolean;
}

/** The rules of the library. */
export const PROTOCOL: Rules = Object.freeze({
  write: "lock",
  guard: true,
  quarantine: true,
  tokens: "random",
  deadline: "per holder",
  compareBeforeWrite: true,
  captureEpoch: "at lock",
  sharedMark: true,
  writeAfterRenewal: false,
  unlockTakesMark: true,
  commitWhileYoung: true,
  writeAfterRollback: false,
  compareAnyRow: true,
  prepare: "before the load",
  compareBeforeJoin: true,
  joinCoveredRows: true,
  search: "under the barrier",
  searchWhileYoung: true,
  prepareBarrier: true,
  watchBarrier: true,
});
