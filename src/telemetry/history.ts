import { LRUCache } from "lru-cache";
import { unstriped } from "../core/stripe";
import type { Tag } from "../core/tag";
import type { CacheReporter } from "../events";

/** An invalidation that this process has sent, or heard of. */
export interface PastInvalidation {
  readonly at: Date;
  /** What wrote, in words: "update product". */
  readonly cause: string;
}

/** More than this, of each, and the oldest is forgotten. */
const MOST = 10_000;
/** Characters of names and causes, which come from other processes too. */
const MOST_TEXT = 4_000_000;

/** Remembers what this process has lately filled and invalidated, and what it heard of others, for explanations. */
export class History {
  private readonly fills = new LRUCache<string, Date>({ max: MOST });
  private readonly invalidations = new LRUCache<Tag, PastInvalidation>({
    max: MOST,
    maxSize: MOST_TEXT,
    sizeCalculation: ({ cause }, tag) => tag.length + cause.length + 1,
  });

  constructor(reporter: CacheReporter) {
    reporter.on("fill", ({ key }) => this.fills.set(key, new Date()));
    reporter.on("writeThrough", ({ key }) => this.fills.set(key, new Date()));
    reporter.on("lock", ({ tags, cause }) => this.note(tags, cause));
    reporter.on("invalidate", ({ tags, cause }) => this.note(tags, cause));
    reporter.on("invalidated", ({ tags, own, operation, table, origin }) => {
      if (!own) this.note(tags, `${operation} ${table}, by process ${origin}`);
    });
  }

  /** When this process has last stored the entry. */
  filledAt(key: string): Date | undefined {
    return this.fills.peek(key);
  }

  /** The last invalidation that touched any of these tags. */
  lastOf(tags: readonly Tag[]): PastInvalidation | undefined {
    const found = tags.flatMap((tag) => this.invalidations.peek(unstriped(tag)) ?? []);
    return found.reduce<PastInvalidation | undefined>(
      (last, one) => (last === undefined || one.at >= last.at ? one : last),
      undefined,
    );
  }

  private note(tags: readonly Tag[], cause: string): void {
    const invalidation = { at: new Date(), cause };
    for (const tag of tags) this.invalidations.set(tag, invalidation);
  }
}
