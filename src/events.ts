import type { Operation, RowKey } from "./core/change";
import type { Nines } from "./core/nines";
import type { GapReason } from "./feed/change-channel";
import type { Rejection } from "./feed/change-message";

/** Why a read went past the cache; a closed list. */
export type BypassReason =
  /** Inside a transaction, or on a query runner of the caller's: it must see its own writes. */
  | "transaction"
  /** `cache: false`. */
  | "cache-off"
  /** A table is read whose writes are not followed: it belongs to no cached entity, and no relation of one leads to it. */
  | "tables"
  /** The result depends on the clock, on chance or on the session: `now()`, `random()`, `current_user`, user variables. */
  | "volatile"
  /** A function is called that is none of the database's own, and may read any table. */
  | "function"
  /** Rows are locked: FOR UPDATE and the like. */
  | "lock"
  /** The SQL is not understood for sure, or does more than read. */
  | "not-understood"
  /** A parameter that no key can be made of. */
  | "value"
  /** The key builder threw or returned no text. */
  | "key-builder"
  /** The store did not answer, or invalidations wait for it to come back. */
  | "store-unavailable"
  /** The cache was closed. */
  | "closed";

/** Why an entry was not served. */
export type MissReason =
  | "absent"
  /** A tag has changed, or is locked. */
  | "stale"
  /** What was there is no entry of this cache. */
  | "corrupt"
  /** It is the entry of another query. */
  | "collision"
  /** It is not signed with the `entrySecret`, or was signed for another place. */
  | "unsigned";

/** Why a fill did not happen after a miss. */
export type UnfilledReason =
  /** A writer holds a tag, or a quarantine runs. */
  | "locked"
  /** A row tag was not known before the load and the table changed meanwhile. */
  | "raced"
  /** The shared connection entered a transaction during the load. */
  | "transaction"
  /** The result holds a value that cannot be stored exactly. */
  | "unencodable"
  /** Negative entries are off. */
  | "negative-off"
  /** More rows than the key allows, or other ones: the table does not keep to what the entity says of it. */
  | "ambiguous"
  /** The entry would take more bytes than `maxEntryBytes`. */
  | "too-large"
  /** A load in the background failed; whoever reads it next sees why. */
  | "failed";

/** By which way a write came for which something is locked or invalidated; a closed list. */
export type WritePath =
  /** A COMMIT of this data source. */
  | "transaction"
  /** A statement of this data source outside of a transaction. */
  | "statement"
  /** `cache.invalidate()` or `cache.clear()`. */
  | "by-hand"
  /** Another program has told of it, over the channel. */
  | "message"
  /** A change feed has. */
  | "feed"
  /** The store did not take it when it was due, and has now. */
  | "made-up-for";

/** Whether the store is asked: what a circuit breaker calls closed and open. */
export type StoreState = "up" | "down";

/** Why a check of a hit came to nothing. */
export type UndecidedReason =
  /** The entry or one of its tags has changed since the hit: somebody writes. */
  | "changed"
  /** The connection that all share was inside a transaction. */
  | "transaction"
  /** What the database says now would not be stored. */
  | "incomparable"
  /** The store or the database did not answer. */
  | "failed";

/** What became of a hit that was to be checked; see `consistencyCheck`. */
export type CheckOutcome =
  | { readonly outcome: "equal" }
  | { readonly outcome: "undecided"; readonly why: UndecidedReason }
  /** Too many checks were running. */
  | { readonly outcome: "dropped" }
  | {
      readonly outcome: "mismatch";
      /** Everything that the entry depends on. */
      readonly tags: readonly string[];
      /** Milliseconds since the entry was filled, if this process knows. */
      readonly age?: number;
      /** Milliseconds since the hit. */
      readonly sinceHit: number;
      /** The last invalidation of any of the tags that this process has made or heard of. */
      readonly invalidated?: { readonly at: Date; readonly cause: string };
    };

/** What happened, by name; see {@link CacheEvents} for what each carries. */
export interface CacheEvents {
  hit: { readonly entity: string; readonly key: string };
  miss: { readonly entity: string; readonly key: string; readonly why: MissReason };
  fill: { readonly entity: string; readonly key: string; readonly ttl: number; readonly tags: readonly string[] };
  unfilled: { readonly entity: string; readonly key: string; readonly why: UnfilledReason };
  bypass: { readonly entity: string; readonly method: string; readonly reason: BypassReason };
  lock: { readonly tags: readonly string[]; readonly cause: string; readonly path: WritePath };
  invalidate: { readonly tags: readonly string[]; readonly cause: string; readonly path: WritePath };
  writeThrough: { readonly entity: string; readonly key: string };
  storeError: { readonly operation: string; readonly error: unknown };
  /** Calls of the store fail at once from now on (down), or it is asked again (up); each change once. See docs/outages.md. */
  storeState: { readonly state: StoreState; readonly cause: unknown };
  /** An entry that is stale was served, as `staleWhileRevalidate` says; instead of `hit`. Its age is in milliseconds. */
  staleHit: { readonly entity: string; readonly key: string; readonly age: number };
  /** A hit that came from a copy in this process; besides `hit`. */
  nearHit: { readonly mode: "verify" | "trust" };
  /** A hit was compared with the database, or was to be; see `consistencyCheck`. Values are never told. */
  checked: { readonly entity: string; readonly key: string } & CheckOutcome;
  /** A process that shares the namespace, perhaps this one, has invalidated something; see docs/events.md. */
  invalidated: InvalidatedEvent;
  /** Events may have been missed. */
  gap: GapEvent;
  /** A message on the change channel, or of a feed, was ignored. */
  rejected: { readonly why: Rejection };
  /** `cache.close()` has come to its end: whoever watches may go. */
  closed: Readonly<Record<never, never>>;
}

/** What has changed in one table. Rows are named by their primary keys; their values are never told. */
export interface InvalidatedEvent {
  /** The path of the table: its name, after that of its schema if it has one. */
  readonly table: string;
  readonly operation: Operation;
  /** Primary keys by the names of their columns, or null if it may be any row. */
  readonly rows: readonly RowKey[] | null;
  readonly tags: readonly string[];
  /** Names the process that has invalidated, until it ends; "outside" if another program asked for it. */
  readonly origin: string;
  /** Counts what this origin has published, from 1; 0 from outside. */
  readonly sequence: number;
  /** This process has made the change itself. */
  readonly own: boolean;
}

/** How events may have been missed. */
export interface GapEvent {
  /**
   * sequence: an origin has published something that did not come in; connection: nobody listened for a while; feed: a change
   * feed has lost its place, and everything that it watches was invalidated.
   */
  readonly reason: GapReason | "feed";
  /** Whose events are missing; undefined if it may be anybody's. The name of the feed for reason feed. */
  readonly origin: string | undefined;
}

/** The name of an event. */
export type CacheEventName = keyof CacheEvents;

/** Counters since the cache was attached. The waiters of one load count as misses each; only the loader counts a fill. */
export interface CacheStats {
  readonly hits: number;
  /** Served although they were stale; see `staleWhileRevalidate`. */
  readonly staleHits: number;
  readonly misses: Readonly<Record<MissReason, number>>;
  readonly fills: number;
  readonly unfilled: Readonly<Record<UnfilledReason, number>>;
  readonly bypasses: Readonly<Partial<Record<BypassReason, number>>>;
  readonly locks: number;
  readonly invalidations: number;
  /** The same, by the way that the write came. */
  readonly invalidationsBy: Readonly<Record<WritePath, number>>;
  readonly writeThroughs: number;
  readonly storeErrors: number;
  /** Whether the store is asked right now. A store that never tells counts as up. */
  readonly storeState: StoreState;
  /** How often it went down. */
  readonly outages: number;
  /** Hits that came from a copy in this process, by how it was believed. */
  readonly nearHits: Readonly<Record<"verify" | "trust", number>>;
  /** Copies in this process right now, and what they take: two bytes a character, as `near.maxBytes` counts. */
  readonly near: { readonly copies: number; readonly bytes: number };
  /** Invalidations that wait for the store to answer. */
  readonly pending: number;
  /** Events `invalidated`, own ones included. */
  readonly invalidated: number;
  readonly gaps: number;
  readonly rejected: Readonly<Record<Rejection, number>>;
  /** What `consistencyCheck` has seen. */
  readonly consistency: Nines & {
    /** Hits that were compared with the database. */
    readonly checked: number;
    /** Those among them that were not what the database said. */
    readonly mismatches: number;
    readonly undecided: Readonly<Record<UndecidedReason, number>>;
    readonly dropped: number;
  };
}
