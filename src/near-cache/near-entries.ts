import { LRUCache } from "lru-cache";
import { unstriped } from "../core/stripe";
import type { Tag } from "../core/tag";
import type { Token } from "../core/token";
import type { ReadAnswer } from "../store/store";

/** How the near cache of one entity works, resolved. */
export interface NearSettings {
  readonly mode: "verify" | "trust";
  readonly max: number;
  readonly maxBytes: number;
  /** Milliseconds. */
  readonly ttl: number;
}

/** A hit as the store answered it, and all that it depends on. */
export interface NearEntry {
  readonly key: string;
  readonly query: string;
  readonly answer: ReadAnswer & { readonly outcome: "hit" };
  readonly tags: readonly Tag[];
  /** In the order of `tags`; undefined if the store did not say. */
  readonly tokens: readonly Token[] | undefined;
  /** On the monotonic clock. */
  readonly expires: number;
}

/** The copies of one group, bounded by number and bytes, and found by their tags. */
export class NearEntries {
  private readonly entries: LRUCache<string, NearEntry>;
  private readonly byTag = new Map<Tag, Set<NearEntry>>();

  constructor(readonly settings: NearSettings) {
    this.entries = new LRUCache({
      max: settings.max,
      maxSize: settings.maxBytes,
      sizeCalculation: sizeOf,
      dispose: (entry) => this.forget(entry),
    });
  }

  get size(): number {
    return this.entries.size;
  }

  get(key: string): NearEntry | undefined {
    return this.entries.get(key);
  }

  put(entry: NearEntry): void {
    this.entries.set(entry.key, entry);
    // One that is too large was not taken.
    if (this.entries.peek(entry.key) !== entry) return;
    for (const tag of entry.tags.map(unstriped)) {
      const known = this.byTag.get(tag);
      if (known === undefined) this.byTag.set(tag, new Set([entry]));
      else known.add(entry);
    }
  }

  delete(key: string): void {
    this.entries.delete(key);
  }

  /** @returns how many depended on the tag */
  drop(tag: Tag): number {
    const entries = [...(this.byTag.get(tag) ?? [])];
    for (const { key } of entries) this.entries.delete(key);
    return entries.length;
  }

  clear(): void {
    this.entries.clear();
    this.byTag.clear();
  }

  private forget(entry: NearEntry): void {
    for (const tag of entry.tags.map(unstriped)) {
      const known = this.byTag.get(tag);
      known?.delete(entry);
      if (known?.size === 0) this.byTag.delete(tag);
    }
  }
}

/** Two bytes a character, those of the payload once more for what it is decoded to, and what a tag costs besides its text, which it shares. */
function sizeOf({ key, query, answer, tags }: NearEntry): number {
  return 2 * (key.length + query.length) + 4 * answer.payload.length + 64 * tags.length + 100;
}
