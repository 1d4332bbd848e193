import { encodeEntry } from "../../src/core/entry";
import type {
  ReadAnswer,
  ReadRequest,
  Store,
  StoreContext,
  UnlockAnswer,
  UnlockRequest,
  WriteThroughRequest,
} from "../../src/store/store";

/** What the suite needs to know about a store to try it. */
export interface StoreHarness {
  /** Whether data can vanish while the store is in use. */
  readonly losesData: boolean;
  /** Runs once, before everything else. */
  start?(): Promise<void>;
  stop?(): Promise<void>;
  /** A store over empty data that nobody else uses, open and past its quarantine. */
  setUp(context: Omit<StoreContext, "namespace">): Promise<Setup>;
}

/** One store under test, and what happens to it from outside. */
export interface Setup {
  readonly store: Store;
  /** What another process sees of the same data; the store itself if its data belongs to one process. */
  readonly other: Store;
  /** A store that was not opened yet. */
  readonly unopened: Store;
  /** Lets every deadline of locks and quarantines come nearer by this many milliseconds. */
  age(milliseconds: number): Promise<void>;
  /** Returns when entries that were to live for this many milliseconds are gone. */
  outlive(milliseconds: number): Promise<void>;
  /** There if the harness `losesData`. */
  readonly lose?: Loss;
  tearDown(): Promise<void>;
}

/** How data vanishes. */
export interface Loss {
  tag(tag: string): Promise<void>;
  guard(group: string): Promise<void>;
  entry(group: string, key: string): Promise<void>;
  everything(): Promise<void>;
}

/** Milliseconds; long, so that nothing ends by itself while a test runs. */
export const LOCK_TTL = 60_000;
export const TAG_TTL = 600_000;

export const EPOCH = "shop.product|";
export const SKU = "shop.product|sku=A";
export const ROW = "shop.product|id=1";

/** A read of the product with sku A, or what `more` makes of it. */
export function request(more: Partial<ReadRequest> = {}): ReadRequest {
  return { key: "k", group: "shop.product", query: "sku=A", tags: [EPOCH, SKU], ...more };
}

/** A miss as `read` answers it. */
export function miss(why: string, rowTags?: string[]): object {
  return { outcome: "miss", why, ...(rowTags ? { rowTags } : {}) };
}

/** The entry that a writer writes through: under its own new token, and the epoch as it was at the lock. */
export function entryBy(holder: string, epoch: string, lockedTags: string[] = [SKU]): WriteThroughRequest {
  const tokens = [epoch, `token-${holder}`];
  return {
    key: "k",
    group: "shop.product",
    value: encodeEntry({ query: "sku=A", rowTags: [], tokens, payload: `by ${holder}` }),
    ttl: TAG_TTL,
    lockedTags,
  };
}

/** The store of the current test, and what readers and writers do with it. */
export class World {
  setup!: Setup;

  get store(): Store {
    return this.setup.store;
  }

  get other(): Store {
    return this.setup.other;
  }

  get lose(): Loss {
    return this.setup.lose!;
  }

  readonly read = async (from: Store, more?: Partial<ReadRequest>): Promise<ReadAnswer> => {
    const [answer] = await from.read([request(more)]);
    return answer!;
  };

  /** What a reader does after a miss, cut where a writer may come in between. */
  readonly startFill = async (by: Store, rowTags: string[] = [], more: Partial<ReadRequest> = {}) => {
    const { key, group, query, tags } = request(more);
    const tokens = await by.prepare([...tags, ...rowTags], TAG_TTL);
    const finish = (payload: string, ttl = TAG_TTL) =>
      by.fill([{ key, group, value: encodeEntry({ query, rowTags, tokens, payload }), ttl }]);
    return { tokens, finish };
  };

  readonly fill = async (payload: string, rowTags: string[] = [], more: Partial<ReadRequest> = {}): Promise<void> => {
    const { finish } = await this.startFill(this.store, rowTags, more);
    await finish(payload);
  };

  readonly unlock = (
    by: Store,
    holder: string,
    tags: string[],
    entries: WriteThroughRequest[] = [],
    watched: UnlockRequest["watched"] = [],
  ): Promise<UnlockAnswer> => by.unlock({ tags, holder, token: `token-${holder}`, tagTtl: TAG_TTL, watched, entries });
}
