import { LRUCache } from "lru-cache";
import { type Clock, systemClock } from "../core/clock";
import { decodeEntry } from "../core/entry";
import { groupOf, type Tag } from "../core/tag";
import { createTokenSource, type Token, type TokenSource } from "../core/token";
import { CacheConfigError, CacheStateError, StoreError } from "../errors";
import { hitOf, staleOf } from "./answers";
import { entryKey, MemoryClaims } from "./memory-claims";
import type {
  CheckRequest,
  FillRequest,
  FlightRequest,
  ReadAnswer,
  ReadRequest,
  Store,
  StoreContext,
  StoreListener,
  UnlockAnswer,
  UnlockRequest,
  WriteThroughRequest,
} from "./store";

/** What the constructor of {@link MemoryStore} takes. */
export interface MemoryStoreOptions {
  /** How many entries are kept; the least recently used one leaves first. Default: 10000. */
  readonly maxEntries?: number;
  /** How much keys and values may take, counted as two bytes a character. Default: 64 MiB. Larger entries are not kept. */
  readonly maxBytes?: number;
  /** Default: the monotonic clock of the process. */
  readonly clock?: Clock;
  /** Where tokens come from. Default: the operating system's CSPRNG. For tests. */
  readonly tokens?: TokenSource;
}

const DEFAULTS = Object.freeze({ maxEntries: 10_000, maxBytes: 64 * 1024 * 1024 });

/** An entry depends on a few tags of its own; a tag that is evicted costs its entries a miss each. */
const TAGS_PER_ENTRY = 8;

interface Stored {
  readonly value: string;
  readonly expires: number;
}

/**
 * Keeps entries and tags in this process: the default, for an application that runs as one process. Writes of another
 * process are not seen.
 *
 * There is no guard and no quarantine, unlike in Redis: locks are kept where nothing evicts them, and they cannot be lost
 * without the process that reads the entries being lost too. Every method does its work before it first yields, so
 * nothing comes in between its steps.
 *
 * @throws CacheConfigError CONFIG_INVALID if a limit is not a positive integer
 * @example
 * await attachCache(dataSource, { store: new MemoryStore({ maxEntries: 50_000 }) });
 */
export class MemoryStore implements Store {
  readonly name = "memory";
  private readonly clock: Clock;
  private readonly mint: TokenSource;
  private readonly entries: LRUCache<string, Stored>;
  private readonly tokens: LRUCache<Tag, Token>;
  /** Per locked tag the deadlines of its holders, dead ones included until somebody looks. */
  private readonly locks = new Map<Tag, Map<string, number>>();
  private readonly claims: MemoryClaims;
  private readonly listeners = new Set<StoreListener>();
  private context: StoreContext | undefined;
  /** How many have opened it and not closed it yet. */
  private users = 0;

  constructor(options: MemoryStoreOptions = {}) {
    const maxEntries = limit("maxEntries", options.maxEntries ?? DEFAULTS.maxEntries);
    const maxBytes = limit("maxBytes", options.maxBytes ?? DEFAULTS.maxBytes);
    this.clock = options.clock ?? systemClock;
    this.claims = new MemoryClaims(this.clock);
    this.mint = options.tokens ?? createTokenSource();
    this.entries = new LRUCache({
      max: maxEntries,
      maxSize: maxBytes,
      sizeCalculation: ({ value }, key) => 2 * (key.length + value.length),
    });
    this.tokens = new LRUCache({ max: maxEntries * TAGS_PER_ENTRY });
  }

  /**
   * Gets ready; several caches of one database may share a store.
   *
   * @throws CacheStateError ALREADY_ATTACHED if the store is open for another namespace
   */
  async open(context: StoreContext): Promise<void> {
    if (this.context !== undefined && this.context.namespace !== context.namespace) {
      throw new CacheStateError("ALREADY_ATTACHED", "This MemoryStore serves another database; give each its own.");
    }
    this.context = context;
    this.users += 1;
  }

  async read(requests: readonly ReadRequest[]): Promise<ReadAnswer[]> {
    this.opened();
    return requests.map((request) => this.readOne(request));
  }

  async prepare(tags: readonly Tag[]): Promise<Token[]> {
    this.opened();
    return this.capture(tags, this.clock.monotonic());
  }

  async fill(entries: readonly FillRequest[]): Promise<void> {
    this.opened();
    for (const entry of entries) this.put(entry);
  }

  async claim(flight: FlightRequest): Promise<boolean> {
    this.opened();
    return this.claims.claim(entryKey(flight), flight.holder, flight.ttl);
  }

  async release(flight: FlightRequest): Promise<void> {
    this.opened();
    this.claims.release(entryKey(flight), flight.holder);
  }

  async check(copies: readonly CheckRequest[]): Promise<boolean[]> {
    this.opened();
    return copies.map((copy) => this.isFresh(copy));
  }

  async lock(
    tags: readonly Tag[],
    holder: string,
    readTags: readonly Tag[],
    _tagTtl?: number,
    messages?: ReadonlyMap<string, string>,
  ): Promise<Token[]> {
    const { lockTtl } = this.opened();
    const now = this.clock.monotonic();
    // Captured now and not at unlock: a bulk write between this transaction's COMMIT and its unlock moves the epoch, and
    // the entry must not carry the moved one.
    const captured = this.capture(readTags, now);
    for (const tag of tags) {
      const holders = this.locks.get(tag) ?? new Map<string, number>();
      for (const [other, deadline] of holders) if (deadline <= now) holders.delete(other);
      const renewed = holders.has(holder);
      // The mark tells at unlock that nobody else had the tag meanwhile. A holder who is here now may commit after us and be
      // gone before we look, and renewing must not wipe out the trace of one who came since: both leave a mark that is
      // nobody's.
      const mark = `!${holder}`;
      const shared = holders.size > (renewed ? 1 : 0) || (renewed && this.tokens.get(tag) !== mark);
      this.tokens.set(tag, shared ? "!" : mark);
      holders.set(holder, now + lockTtl);
      this.locks.set(tag, holders);
    }
    this.dropDead(now);
    this.send(messages);
    return captured;
  }

  async unlock(request: UnlockRequest): Promise<UnlockAnswer> {
    this.opened();
    const now = this.clock.monotonic();
    const tags = new Set(request.tags);
    const owned = new Set<Tag>();
    let held = true;
    for (const tag of tags) {
      const holders = this.locks.get(tag) ?? new Map<string, number>();
      const alive = (holders.get(request.holder) ?? -Infinity) > now;
      held &&= alive;
      holders.delete(request.holder);
      // Another holder, even a dead one, may have committed after this one; and so may one that came and went, whose mark
      // is then on the tag. Only a tag that was this holder's all along tells that its value is the newest.
      if (alive && holders.size === 0 && this.tokens.get(tag) === `!${request.holder}`) owned.add(tag);
      if (!anyAlive(holders, now)) this.locks.delete(tag);
    }
    const barred = new Set(
      request.watched.filter(({ tag, token }) => this.tokens.get(tag) !== token).map(({ tag }) => groupOf(tag)),
    );
    const written = request.entries.filter(
      ({ group, lockedTags }) =>
        !barred.has(group) && lockedTags.length > 0 && lockedTags.every((tag) => owned.has(tag)),
    );
    // What is not written under is deleted, also if others still hold it: the mark that is gone tells them that somebody
    // else has had the tag, even if that one's record was lost before they came.
    for (const tag of tags) this.tokens.delete(tag);
    this.writeThrough(written, request.token);
    this.send(request.messages);
    return { held, written: written.length };
  }

  async invalidate(tags: readonly Tag[], messages?: ReadonlyMap<string, string>): Promise<void> {
    this.opened();
    for (const tag of tags) this.tokens.delete(tag);
    this.send(messages);
  }

  /** Messages come in before the call that has sent them returns; nothing is ever lost. */
  async listen(listener: StoreListener): Promise<void> {
    this.opened();
    this.listeners.add(listener);
    listener.up();
    listener.confirmed(Infinity);
  }

  /** Forgets everything as soon as all that have opened it have closed it: the others still count on its locks. */
  async close(): Promise<void> {
    this.users = Math.max(0, this.users - 1);
    if (this.users > 0) return;
    this.context = undefined;
    this.listeners.clear();
    this.entries.clear();
    this.tokens.clear();
    this.locks.clear();
    this.claims.clear();
  }

  private send(messages: ReadonlyMap<string, string> | undefined): void {
    for (const text of messages?.values() ?? []) for (const listener of this.listeners) listener.message(text);
  }

  private readOne(request: ReadRequest): ReadAnswer {
    const key = entryKey(request);
    const stored = this.entries.get(key);
    if (stored === undefined) return { outcome: "miss", why: "absent" };
    if (stored.expires <= this.clock.monotonic()) {
      this.entries.delete(key);
      return { outcome: "miss", why: "absent" };
    }
    const entry = decodeEntry(stored.value);
    if (entry === undefined) return { outcome: "miss", why: "corrupt" };
    if (entry.query !== request.query) return { outcome: "miss", why: "collision" };
    const { rowTags, tokens } = entry;
    const tags = [...request.tags, ...rowTags];
    if (tokens.length !== tags.length) return { outcome: "miss", why: "corrupt" };
    return this.isFresh({ tags, tokens }) ? hitOf(entry, request.wantsTokens) : staleOf(entry);
  }

  private isFresh({ tags, tokens }: CheckRequest): boolean {
    return tags.every((tag, at) => {
      const held = this.tokens.get(tag);
      return isToken(held) && held === tokens[at];
    });
  }

  private capture(tags: readonly Tag[], now: number): Token[] {
    const minted = this.mint();
    return tags.map((tag) => {
      const holders = this.locks.get(tag);
      if (holders !== undefined) {
        if (anyAlive(holders, now)) return "";
        // The writers died: nobody knows what they committed, so the tag begins anew.
        this.locks.delete(tag);
        this.tokens.delete(tag);
      }
      const held = this.tokens.get(tag);
      if (isToken(held)) return held;
      this.tokens.set(tag, minted);
      return minted;
    });
  }

  private put(entry: FillRequest): void {
    this.entries.set(entryKey(entry), { value: entry.value, expires: this.clock.monotonic() + entry.ttl });
  }

  private writeThrough(entries: readonly WriteThroughRequest[], token: Token): void {
    for (const entry of entries) {
      this.put(entry);
      for (const tag of entry.lockedTags) this.tokens.set(tag, token);
    }
  }

  /** Locks that were never ended and whose tags nobody asks for again would pile up; the oldest come first. */
  private dropDead(now: number): void {
    let looked = 0;
    for (const [tag, holders] of this.locks) {
      if (++looked > 2) return;
      if (anyAlive(holders, now)) continue;
      this.locks.delete(tag);
      this.tokens.delete(tag);
    }
  }

  private opened(): StoreContext {
    if (this.context !== undefined) return this.context;
    throw new StoreError("STORE_UNAVAILABLE", "The store is not open.");
  }
}

function anyAlive(holders: ReadonlyMap<string, number>, now: number): boolean {
  for (const deadline of holders.values()) if (deadline > now) return true;
  return false;
}

function isToken(held: Token | undefined): held is Token {
  return held !== undefined && !held.startsWith("!");
}

function limit(name: string, value: number): number {
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new CacheConfigError("CONFIG_INVALID", `MemoryStore: ${name} must be a positive integer.`);
}
