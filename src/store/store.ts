import type { Awaitable } from "../core/awaitable";
import type { Tag } from "../core/tag";
import type { Token } from "../core/token";

/**
 * Where entries and tags live. One contract, one suite (test/contract); a store that passes it keeps the promise of
 * docs/consistency.md. Every method rejects with a StoreError when the store cannot be reached or does not answer in
 * time, and the caller then assumes nothing about what happened.
 */
export interface Store {
  /** A word for messages and statistics: "redis", "memory". */
  readonly name: string;

  /**
   * Into how many parts it cuts each table: see core/stripe.ts. All processes must agree. Undefined, or 1, where tables are whole.
   *
   * Where they are cut, whoever reads names one stripe of each epoch and barrier, in requests, `prepare`, `readTags` and `watched`, and
   * whoever writes names none, which means all of them: in `lock`, `unlock` and `invalidate`.
   */
  readonly stripes?: number;

  /**
   * Gets ready and creates the guards of `groups`, so that a quarantine passes before the first read. Best effort:
   * resolves too when the store cannot be reached, which the store then keeps trying.
   */
  open(context: StoreContext, groups: readonly string[]): Promise<void>;

  /**
   * Asks for several entries in one round trip, or answers at once if it need not ask anybody. The answers come in the order of the
   * requests.
   */
  read(requests: readonly ReadRequest[]): Awaitable<ReadAnswer[]>;

  /**
   * Whether copies that somebody keeps are hits still, in one round trip: every tag present, unlocked and equal to its token. The
   * answers come in the order of the copies. A store without this method is asked for the entries again.
   */
  check?(copies: readonly CheckRequest[]): Promise<boolean[]>;

  /**
   * The tokens to fill with, captured before the database is asked; missing ones are minted.
   *
   * @returns one token per tag; "" for a tag that is locked, and "" for all tags of a group in quarantine: an entry
   *   that depends on such a tag must not be filled
   */
  prepare(tags: readonly Tag[], tagTtl: number): Promise<Token[]>;

  /**
   * Claims the load of an entry, so that other processes that want it too wait for the fill. Nothing but the number of loads
   * depends on it. A store without this method lets each process load for itself.
   *
   * @returns false while somebody else has claimed it
   */
  claim?(flight: FlightRequest): Promise<boolean>;

  /** Gives up a claim that is still this holder's. */
  release?(flight: FlightRequest): Promise<void>;

  /** Stores entries. Comes it too late, the entry carries old tokens and is never served. */
  fill(entries: readonly FillRequest[]): Promise<void>;

  /**
   * Marks tags as being written: nothing that depends on them is served or filled until `unlock`, or until the lock
   * TTL has passed. Calling it again with the same holder renews the deadline.
   *
   * @param holder unique per transaction
   * @param readTags tags that the caller does not lock but will write through under
   * @param messages sent to those who {@link listen} once the tags are locked, by their group
   * @returns the tokens of `readTags` at this moment, as `prepare` captures them
   */
  lock(
    tags: readonly Tag[],
    holder: string,
    readTags: readonly Tag[],
    tagTtl: number,
    messages?: ReadonlyMap<string, string>,
  ): Promise<Token[]>;

  /** Ends a lock after COMMIT or ROLLBACK; see {@link UnlockRequest}. */
  unlock(request: UnlockRequest): Promise<UnlockAnswer>;

  /**
   * Makes everything that depends on these tags unreadable, at once and without a lock.
   *
   * @param messages sent to those who {@link listen}, by the group of their tags; of groups without tags too
   */
  invalidate(tags: readonly Tag[], messages?: ReadonlyMap<string, string>): Promise<void>;

  /**
   * Hears what is sent over the channel of the namespace, by this store too, until it is closed. A store without this method
   * tells nobody, and hears of nobody.
   *
   * @param heartbeat milliseconds between two looks at whether messages still come through
   */
  listen?(listener: StoreListener, heartbeat: number): Promise<void>;

  /** Releases what the store opened itself; a client that the user passed in stays open. */
  close(): Promise<void>;
}

/** What a store gets from the cache that opens it. */
export interface StoreContext {
  /** Prefix of every key; one per database. */
  readonly namespace: string;
  /** Milliseconds after which a lock whose holder died is void; also the length of a quarantine. */
  readonly lockTtl: number;
  /** Milliseconds that one call may take. */
  readonly timeout: number;
  /** Called when a connection was lost or found again; never throws. */
  readonly onStateChange?: (state: "up" | "down", cause?: unknown) => void;
}

/** Who hears what comes over the channel. Nothing here throws. */
export interface StoreListener {
  message(text: string): void;
  /** Messages come in from now on; what was sent since the last `down` is lost. */
  up(): void;
  down(cause?: unknown): void;
  /** Everything that was sent before this time, on the monotonic clock of the process, has come in. */
  confirmed(at: number): void;
}

/** One entry that is asked for. */
export interface ReadRequest {
  readonly key: string;
  /** The group whose slot the entry shares. */
  readonly group: string;
  /** Which query it must be the result of. */
  readonly query: string;
  /** The tags that the query names. */
  readonly tags: readonly Tag[];
  /** The row tags that the entry probably has: a right guess saves a round trip, a wrong one costs nothing else. */
  readonly rowTags?: readonly Tag[];
  /** Whether the answer is to say the tokens of a hit. */
  readonly wantsTokens?: boolean;
  /** Somebody only wants to know: nothing is counted. */
  readonly quiet?: boolean;
}

/** A load that several processes may want to make. */
export interface FlightRequest {
  /** Of the entry that it fills. */
  readonly key: string;
  readonly group: string;
  /** Unique per load. */
  readonly holder: string;
  /** Milliseconds after which the claim of a process that died is void. */
  readonly ttl: number;
}

/** A copy of a hit, and what it depends on. */
export interface CheckRequest {
  readonly tags: readonly Tag[];
  /** One per tag. */
  readonly tokens: readonly Token[];
}

/**
 * hit: every tag present, unlocked and equal to the token in the entry. Misses say why:
 * absent (nothing there), stale (a tag has changed or is locked), corrupt (not an entry of ours), collision (an entry of
 * another query, so the key builder is not unique), unsigned (somebody without the secret has made it or put it there).
 */
export type ReadAnswer =
  | {
      readonly outcome: "hit";
      readonly payload: string;
      readonly rowTags: readonly Tag[];
      /** If they were wanted: those of the query's tags, then those of the row tags. */
      readonly tokens?: readonly Token[];
      /** If the entry knows: see core/entry.ts. */
      readonly filledAt?: number;
      /** The answer is kept, and has room for what its payload was decoded to, so that it is decoded once. */
      readonly isKept?: boolean;
      decoded?: unknown;
    }
  | {
      readonly outcome: "miss";
      readonly why: "absent" | "stale" | "corrupt" | "collision" | "unsigned";
      /** The row tags of the entry that was found: a good guess of what the next fill will depend on. */
      readonly rowTags?: readonly Tag[];
      /** What a stale entry that knows its age holds, under the tokens that its tags had. */
      readonly last?: { readonly payload: string; readonly filledAt: number; readonly tokens: readonly Token[] };
    };

/** One entry to store. */
export interface FillRequest {
  readonly key: string;
  readonly group: string;
  /** An encoded entry (core/entry.ts). */
  readonly value: string;
  /** Milliseconds. */
  readonly ttl: number;
}

/** The end of a lock, with the entries to write through. */
export interface UnlockRequest {
  readonly tags: readonly Tag[];
  readonly holder: string;
  /**
   * The token that tags get under which something is written through. Empty `entries` delete every tag.
   */
  readonly token: Token;
  /** Milliseconds that a tag with a new token lives. */
  readonly tagTtl: number;
  /** Nothing is written into the group of such a tag unless the tag still has this token: the token that `lock` answered. */
  readonly watched: readonly { readonly tag: Tag; readonly token: Token }[];
  /**
   * Written only if, for every one of `lockedTags`, this holder's record is live, nobody else holds or held the tag
   * since, and no quarantine runs. Must be empty after a rollback.
   */
  readonly entries: readonly WriteThroughRequest[];
  /** Sent over the channel together with the end of the lock, by the group of the tags that they tell of. */
  readonly messages?: ReadonlyMap<string, string> | undefined;
}

/** An entry whose tags are all locked by the caller, but for those whose token was captured at the lock. */
export interface WriteThroughRequest extends FillRequest {
  readonly lockedTags: readonly Tag[];
}

/** What became of a lock. */
export interface UnlockAnswer {
  /** False if the lock had been lost (expired, or its guard was gone): worth a warning, never a stale read. */
  readonly held: boolean;
  /** How many of the entries were written. */
  readonly written: number;
}
