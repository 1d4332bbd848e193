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
export type MissReason = "absent" | "stale" | "corrupt" | "collision";

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
  | "ambiguous";

/** What happened, by name; see {@link CacheEvents} for what each carries. */
export interface CacheEvents {
  hit: { readonly entity: string; readonly key: string };
  miss: { readonly entity: string; readonly key: string; readonly why: MissReason };
  fill: { readonly entity: string; readonly key: string; readonly ttl: number; readonly tags: readonly string[] };
  unfilled: { readonly entity: string; readonly key: string; readonly why: UnfilledReason };
  bypass: { readonly entity: string; readonly method: string; readonly reason: BypassReason };
  lock: { readonly tags: readonly string[]; readonly cause: string };
  invalidate: { readonly tags: readonly string[]; readonly cause: string };
  writeThrough: { readonly entity: string; readonly key: string };
  storeError: { readonly operation: string; readonly error: unknown };
}

/** The name of an event. */
export type CacheEventName = keyof CacheEvents;

/** Counters since the cache was attached. The waiters of one load count as misses each; only the loader counts a fill. */
export interface CacheStats {
  readonly hits: number;
  readonly misses: Readonly<Record<MissReason, number>>;
  readonly fills: number;
  readonly unfilled: Readonly<Record<UnfilledReason, number>>;
  readonly bypasses: Readonly<Partial<Record<BypassReason, number>>>;
  readonly locks: number;
  readonly invalidations: number;
  readonly writeThroughs: number;
  readonly storeErrors: number;
  /** Invalidations that wait for the store to answer. */
  readonly pending: number;
}

type Listener<Name extends CacheEventName> = (event: CacheEvents[Name]) => void;

/** Counts and tells. A listener that throws is ignored: no read and no write may fail because somebody watches. */
export class CacheReporter {
  private readonly listeners = new Map<CacheEventName, Set<Listener<never>>>();
  private readonly misses: Record<MissReason, number> = { absent: 0, stale: 0, corrupt: 0, collision: 0 };
  private readonly unfilled: Record<UnfilledReason, number> = {
    locked: 0,
    raced: 0,
    transaction: 0,
    unencodable: 0,
    "negative-off": 0,
    ambiguous: 0,
  };
  private readonly bypasses: Partial<Record<BypassReason, number>> = {};
  private readonly counts = { hit: 0, fill: 0, lock: 0, invalidate: 0, writeThrough: 0, storeError: 0 };

  /** @returns a function that stops listening */
  on<Name extends CacheEventName>(name: Name, listener: Listener<Name>): () => void {
    const listeners = this.listeners.get(name) ?? new Set();
    listeners.add(listener);
    this.listeners.set(name, listeners);
    return () => listeners.delete(listener);
  }

  emit<Name extends CacheEventName>(name: Name, event: CacheEvents[Name]): void {
    this.count(name, event);
    const listeners = this.listeners.get(name);
    if (listeners === undefined) return;
    for (const listener of listeners) {
      try {
        (listener as Listener<Name>)(event);
      } catch {
        // A watcher's fault stays the watcher's.
      }
    }
  }

  stats(pending: number): CacheStats {
    return {
      hits: this.counts.hit,
      misses: { ...this.misses },
      fills: this.counts.fill,
      unfilled: { ...this.unfilled },
      bypasses: { ...this.bypasses },
      locks: this.counts.lock,
      invalidations: this.counts.invalidate,
      writeThroughs: this.counts.writeThrough,
      storeErrors: this.counts.storeError,
      pending,
    };
  }

  private count<Name extends CacheEventName>(name: Name, event: CacheEvents[Name]): void {
    const { why, reason } = event as { readonly why?: string; readonly reason?: BypassReason };
    if (name === "bypass" && reason !== undefined) this.bypasses[reason] = (this.bypasses[reason] ?? 0) + 1;
    else if (name === "miss") this.misses[why as MissReason] += 1;
    else if (name === "unfilled") this.unfilled[why as UnfilledReason] += 1;
    else this.counts[name as keyof typeof this.counts] += 1;
  }
}
