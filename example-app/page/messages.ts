// What the server sends to the page. The page's script is checked against these types.

/** One second. */
export interface Tick {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly hits: number;
  readonly misses: number;
  readonly bypasses: number;
  readonly invalidations: number;
  /** Whether the store was away at its end. */
  readonly away: boolean;
  /** Microseconds that reads took, as the shop saw it; null if there were none. */
  readonly p50: number | null;
  readonly p99: number | null;
}

/** How things stand right now. */
export interface State {
  readonly store: "up" | "down";
  /** Invalidations that wait for the store. */
  readonly pending: number;
  /** Undefined: Redis belongs to somebody else, or there is none. */
  readonly redis: "running" | "stopped" | undefined;
  readonly traffic: boolean;
}

/** A cached entity, and what came of reading it since the start. */
export interface EntityRow {
  readonly name: string;
  readonly strategy: string;
  /** Milliseconds. */
  readonly ttl: number;
  /** Entries that this process has stored, and whose time is not over. */
  readonly entries: number;
  readonly hits: number;
  readonly misses: number;
  readonly bypasses: number;
}

/** Something was invalidated, and why. */
export interface Invalidation {
  readonly at: number;
  /** "update product", by which way it came, and whether it was another process. */
  readonly cause: string;
  readonly path: string;
  readonly tags: readonly string[];
  /** How many tags are left out. */
  readonly more: number;
}

/** Everything, for a page that has just been opened. */
export interface Snapshot {
  /** Where the cache is, in words. */
  readonly place: string;
  readonly ticks: readonly Tick[];
  readonly invalidations: readonly Invalidation[];
  readonly entities: readonly EntityRow[];
  readonly state: State;
}

/** What is sent each second. */
export interface Second {
  readonly tick: Tick;
  readonly entities: readonly EntityRow[];
  readonly state: State;
}

/** What a read that was asked for has done. */
export interface ReadReport {
  readonly outcome: "hit" | "miss" | "bypass";
  /** Why it was not a hit; may be empty. */
  readonly reason: string;
  readonly micros: number;
  readonly statements: readonly string[];
  /** What `explain` said right before it. */
  readonly explanation: string;
  /** The result as JSON, shortened. */
  readonly result: string;
}
