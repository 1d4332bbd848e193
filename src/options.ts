import type { EntityTarget, ObjectLiteral } from "typeorm";
import type { CompressionSettings, Compressor } from "./codec/payload-packing";
import type { BypassReason } from "./events";
import type { Dialect } from "./sql/tokenizer";
import type { Store } from "./store/store";
import type { ChannelSettings } from "./write/change-hub";

/** A length of time: milliseconds as a number, or a text such as "10m", "90s", "2 days". */
export type Duration = number | string;

/** What happens to the cached row when its row in the database was written. */
export type Strategy = "write-through" | "invalidate";

/**
 * How far a write goes to keep its promise when the store does not answer; see docs/consistency.md.
 *
 * - `strict`: a transaction whose tags cannot be locked is not committed.
 * - `available`: it is committed, its tags are invalidated as soon as the store answers, and this process reads from the
 *   database until then.
 * - `relaxed`: nothing is locked; tags are invalidated right after COMMIT. Saves a round trip and gives up the promise for the
 *   moment between COMMIT and invalidation, and for a process that dies in it.
 */
export type Consistency = "strict" | "available" | "relaxed";

/** The kind of result that an entry holds: at most one row, a list of rows, or a number of rows. */
export type EntryKind = "row" | "rows" | "count";

/** What a key builder gets to build a key from. */
export interface KeyParts {
  readonly namespace: string;
  /** The name of the entity. */
  readonly entity: string;
  readonly kind: EntryKind;
  /** The property paths that the query compares, for example `["tenantId", "slug"]`. */
  readonly fields: readonly string[];
  /** The values that they are compared with, in the same order. */
  readonly values: readonly unknown[];
  /** Tells this query from every other one: the entity's schema, kind, fields, values, order, limits. */
  readonly digest: string;
}

/**
 * Makes the text of an entry key. Two queries that get the same text cost misses, never wrong data, because an entry knows
 * which query it answers. If a builder throws or returns no text, the read goes to the database.
 *
 * @example
 * const perTenant: KeyBuilder = ({ entity, digest }) => `${tenant.getStore() ?? "none"}:${entity}:${digest}`;
 */
export type KeyBuilder = (parts: KeyParts) => string;

/** Among whom one load is shared: the readers of one process, or those of all that share the store. */
export type SingleFlightScope = "process" | "everywhere";

/** What `@Cached()` takes. */
export interface CachedOptions {
  /** Default: `defaults.strategy`, which is "invalidate". */
  readonly strategy?: Strategy;
  /** How long an entry lives at most. Default: `defaults.ttl`, 10 minutes. */
  readonly ttl?: Duration;
  /** How long "there is no such row" is remembered. 0 turns negative entries off. Default: `defaults.negativeTtl`, 1 minute. */
  readonly negativeTtl?: Duration;
  /** Share of the TTL, 0 to 1, by which it is shortened at random. Default: `defaults.jitter`, 0.1. */
  readonly jitter?: number;
  /**
   * Entries that take more than this many bytes in the store, packed and with what they depend on, are not stored: a write-through
   * only invalidates, and a read loads each time. Default: `defaults.maxEntryBytes`, 1 MiB.
   */
  readonly maxEntryBytes?: number;
  /**
   * Gives up the promise that nothing stale is served: an entry that a write has made stale, or that is older than `ttl`, is served
   * up to this long after it was filled, while one load in the background renews it. That holds for the process that wrote, too. The time is
   * counted on the clocks of the machines, which must agree. Default: `defaults.staleWhileRevalidate`, which is false: never.
   *
   * @example
   * @Cached({ staleWhileRevalidate: "30s" }) // What a read gets is 30 seconds old at most, or true.
   */
  readonly staleWhileRevalidate?: Duration | false;
  /**
   * Among whom one load is shared that several miss at once. everywhere: of all processes one loads and the others wait for its
   * entry, for the lock TTL at most; costs a round trip more per miss. For what is expensive to load; `In` lists are not waited for.
   * Default: `defaults.singleFlight`, which is "process".
   */
  readonly singleFlight?: SingleFlightScope;
  /**
   * Copies of hits in this process, in front of the store; see docs/near-cache.md. All entities of one table share them, with the
   * settings of the first; trust only if all of them say so. Default: `defaults.near`, which is false: none.
   */
  readonly near?: NearOptions | false;
  /** Default: the `keyBuilder` of the cache. */
  readonly keyBuilder?: KeyBuilder;
  /**
   * For a view: the tables and views that it is made of, besides those that its expression names. Needed where the expression
   * does not say it all: there is none, it names tables that are no entities, it calls functions of your own. Writes of these
   * reach the entries of the view; the list is believed, so a table that is missing from it makes reads stale.
   *
   * Names of entities or tables, or classes. While attaching, `CONFIG_INVALID` is thrown if one is not known to the data source,
   * or if the entity is no view.
   *
   * @example
   * @ViewEntity({ synchronize: false })
   * @Cached({ dependsOn: ["order_line", Product] })
   * class Sales { … }
   */
  readonly dependsOn?: readonly ViewSource[];
}

/**
 * How copies in this process are kept, and how they are believed.
 *
 * @example
 * @Cached({ near: { mode: "trust", max: 5000, ttl: "30s" } })
 */
export interface NearOptions {
  /**
   * verify (default): their tags are looked at in the store each time, so they are as right as the store, and one round trip stays.
   * trust: nobody is asked. What another process has written may be served for one `channel.heartbeat` more; what this process has
   * written never is. All processes must have the same mode.
   */
  readonly mode?: "verify" | "trust";
  /** Copies at most. Default: 1000. */
  readonly max?: number;
  /** Bytes at most, two a character. Default: 16 MiB. */
  readonly maxBytes?: number;
  /** How long a copy lives at most, on top of the TTL of its entry in the store. Default: 1 minute. */
  readonly ttl?: Duration;
}

/** A table or view that a view is made of: the name of its entity, its own name, or its class. */
export type ViewSource = string | EntityTarget<ObjectLiteral>;

/** The same as the decorators say, for an entity that one cannot or does not want to decorate. */
export interface EntityCacheOptions extends CachedOptions {
  /** Property paths that rows are looked up by; a list inside is a composite key. */
  readonly keys?: readonly (string | readonly string[])[];
}

/** Where messages go. Called seldom: a store that is away is reported once, not once a read. */
export interface CacheLogger {
  warn(message: string, details?: unknown): void;
}

/** What `attachCache()` takes. */
export interface CacheOptions {
  /** Default: a `MemoryStore`, for one process alone. */
  readonly store?: Store;
  /**
   * Prefix of every key in the store; processes that share a database must share it, others must not.
   * Default: the name of the database. An in-memory SQLite database gets a random one, since no other process sees it.
   */
  readonly namespace?: string;
  /** Default: "available". */
  readonly consistency?: Consistency;
  /**
   * Which entities are cached: the decorated ones (default), all, or the decorated ones and those named here. A setting
   * here wins over the decorator; `false` turns an entity off.
   */
  readonly entities?: "decorated" | "all" | Readonly<Record<string, EntityCacheOptions | false>>;
  /**
   * Caches every SELECT that TypeORM makes, and not only those of `cache.repository(Entity)` and of query builders with
   * `.cache(true)`: repositories that the app has already, `dataSource.manager`, active record, query builders, lazy relations.
   * What is read of tables that are not followed, inside transactions, or with `cache: false` stays as it is. Default: false.
   *
   * @example
   * await attachCache(dataSource, { store, transparent: true, entities: "all" });
   */
  readonly transparent?: boolean;
  /** What an entity's settings are filled up from. */
  readonly defaults?: Omit<CachedOptions, "dependsOn">;
  /**
   * Makes large entries smaller in the store; see docs/reads.md. Processes with another codec, or none, miss what this one has stored.
   * Default: none.
   *
   * @example
   * compression: { codec: zstd() } // Node.js 22.15; for others see Compressor
   */
  readonly compression?: CompressionOptions;
  /** Builds the keys of all entities that name no builder of their own. */
  readonly keyBuilder?: KeyBuilder;
  /**
   * What stored procedures and functions write: names of entities or tables, by the name of the routine. A CALL or DO of one that
   * is not named here invalidates everything; a SELECT of a function that is not named here is taken for a read.
   *
   * @example
   * routines: { close_order: ["Order", "stock_movement"], touch: [] }
   */
  readonly routines?: Readonly<Record<string, readonly string[]>>;
  /**
   * Milliseconds after which the lock of a process that died is void. No COMMIT and no statement outside of a transaction
   * may take longer while its process is blocked. Default: 2000, at least 20.
   */
  readonly lockTtl?: Duration;
  /** Milliseconds that one call of the store may take before a read goes to the database. Default: 50. Below `lockTtl` / 2. */
  readonly storeTimeout?: Duration;
  /**
   * What processes tell each other of their writes, and hear from other programs; see docs/events.md. Default: on, if the store
   * has a channel. `false`: nothing is told, and nothing is heard.
   */
  readonly channel?: boolean | ChannelOptions;
  /**
   * Signs every entry, so that nobody who can write to the store but does not know this can have anything of his served; see
   * docs/security.md. At least 32 bytes, the same in all processes. Of several, the first signs and all are good, so that a secret can be
   * replaced: `[old, next]` everywhere, then `[next, old]`, then `next`. Default: none, entries are believed.
   *
   * @example
   * entrySecret: process.env.ENTRY_SECRET // openssl rand -base64 32
   */
  readonly entrySecret?: string | readonly string[];
  /**
   * Compares a share of the hits with the database, in the background, and tells of what differs: `cache.stats().consistency` and the
   * event `checked`; see docs/consistency.md. `sampleRate` is above 0 and at most 1. Default: none is compared.
   *
   * @example
   * consistencyCheck: { sampleRate: 1 / 1000 }
   */
  readonly consistencyCheck?: { readonly sampleRate: number };
  /** Default: `console`. */
  readonly logger?: CacheLogger;
  /**
   * Gets one line for each read, fill and write. Without it they go to standard error under NODE_DEBUG=typeorm-coherent.
   *
   * @example
   * debug: (line) => logger.debug(line)
   */
  readonly debug?: (line: string) => void;
}

/** How large entries are made smaller. */
export interface CompressionOptions {
  readonly codec: Compressor;
  /** Results of more bytes than this are packed, if that makes them smaller. Default: 4096. */
  readonly above?: number;
  /**
   * Results of more bytes than this are not packed, and what would become more is a miss: a few packed bytes that somebody has put into
   * the store cannot take all memory. Default: 16 MiB.
   */
  readonly maxUnpackedBytes?: number;
}

/** How the channel works that tells of changes. */
export interface ChannelOptions {
  /**
   * Known to all processes, and to other programs that tell of writes: messages without its HMAC are ignored. It keeps strangers
   * from making the cache miss; nobody can make it serve something wrong over the channel. Default: none.
   */
  readonly secret?: string;
  /**
   * Milliseconds within which a channel that is cut off is noticed, and for which a near cache in mode trust may lag. Default: 1000, at
   * least 60.
   */
  readonly heartbeat?: Duration;
}

/** What attach-cache.ts makes of the user's options. */
export interface ResolvedOptions {
  readonly store: Store;
  readonly namespace: string;
  readonly dialect: Dialect;
  readonly consistency: Consistency;
  readonly lockTtl: number;
  readonly storeTimeout: number;
  readonly logger: CacheLogger;
  readonly channel: ChannelSettings | undefined;
  readonly compression: CompressionSettings | undefined;
  /** Undefined: entries are not signed. */
  readonly entrySecrets: readonly [string, ...string[]] | undefined;
  readonly options: CacheOptions;
}

/** Where one read stands: what `cache.explain()` returns. */
export type Explanation =
  | {
      readonly cacheable: false;
      readonly reason: BypassReason;
      /** The same as a sentence. */
      readonly text: string;
    }
  | {
      readonly cacheable: true;
      /** What it is looked up by: a key, whose entry holds this, or the statements that TypeORM makes of it. */
      readonly kind: EntryKind | "statement";
      /** The keys that are asked for: one, or one per row of a multi-get, or one per statement. */
      readonly keys: readonly string[];
      /** The tags that the query names; the rows that it returns add their own. */
      readonly tags: readonly string[];
      /** The tables that they belong to. */
      readonly tables: readonly string[];
      /** Milliseconds. */
      readonly ttl: number;
      /** Milliseconds after the fill up to which it may be served although it is stale; missing if it never is. */
      readonly staleWhileRevalidate?: number;
      /** Whether the store has a valid entry for each key right now. */
      readonly present: readonly boolean[];
      /** When this process stored each of them; undefined if it did not, or long ago. */
      readonly filledAt: readonly (Date | undefined)[];
      /** The last invalidation of any of the tags that this process has made or heard of, and what wrote; missing if none is known. */
      readonly invalidated?: { readonly at: Date; readonly cause: string };
      /** All of this as a few lines. */
      readonly text: string;
    };
