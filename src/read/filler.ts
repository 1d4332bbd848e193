import { LRUCache } from "lru-cache";
import type { PayloadPacking } from "../codec/payload-packing";
import { storedEntry } from "../codec/stored-entry";
import type { Stripe } from "../core/stripe";
import { anyRowTag, barrierTag, groupOf, isFine, type Tag } from "../core/tag";
import type { Token } from "../core/token";
import type { CacheReporter, UnfilledReason } from "../events";
import { lifetimeOf, type EntitySettings } from "../metadata/entity-settings";
import type { FillRequest, Store } from "../store/store";

/** One entry that a read asks for, and later fills. */
export interface Lookup {
  /** The name of the entity, for events. */
  readonly entity: string;
  /** Where the entry lies: a group, and its stripe. */
  readonly group: string;
  /** Of the epochs among `tags`, and of the barriers that must not be locked. */
  readonly stripe: Stripe;
  readonly settings: Pick<EntitySettings, "jitter" | "staleWhileRevalidate" | "singleFlight" | "maxEntryBytes">;
  /** Milliseconds that the entry is fresh at most. */
  readonly ttl: number;
  readonly key: string;
  /** Tells the query from every other one; see core/entry.ts. */
  readonly text: string;
  /** The tags that are known before the result is. */
  readonly tags: readonly Tag[];
  /** Tables of which only the result says on which rows or values it depends, beyond `tags`. */
  readonly revealing: readonly string[];
}

/** Tokens that were captured before the database was asked. */
export interface Prepared {
  readonly tokens: ReadonlyMap<Tag, Token>;
  /** Every tag that the query names can be filled under. */
  readonly fillable: boolean;
  /** Tells this state of the tags from every other one; undefined if some tag is locked, so that no load may be shared. */
  readonly state: string | undefined;
  /** On the wall clock. */
  readonly at: number;
}

/** What a load found, ready to be stored. */
export interface Fill {
  readonly payload: string;
  /** The primary-key tags of the rows that it returns; empty where the query's own tags say it all. */
  readonly rowTags: readonly Tag[];
  /** Milliseconds, before jitter. */
  readonly ttl: number;
}

/** Tags that are kept as guesses, over all entries. */
const MOST_HINTED_TAGS = 200_000;

/** The half of a miss that talks to the store: PREPARE before the load, fill after it. */
export class Filler {
  /** The row tags that an entry had when it was last seen: a good guess, never relied upon. */
  private readonly hints = new LRUCache<string, readonly Tag[]>({
    maxSize: MOST_HINTED_TAGS,
    sizeCalculation: (tags) => tags.length,
  });

  constructor(
    private readonly store: Store,
    private readonly packing: PayloadPacking,
    private readonly reporter: CacheReporter,
    private readonly tagTtl: () => number,
  ) {}

  hintOf(key: string): readonly Tag[] | undefined {
    return this.hints.get(key);
  }

  remember(key: string, rowTags: readonly Tag[] | undefined): void {
    if (rowTags !== undefined && rowTags.length > 0) this.hints.set(key, rowTags);
  }

  /**
   * Captures the tokens of what the lookups depend on. Which rows a query returns is not known yet: those that it returned last
   * time are asked for on suspicion, and for others that may come, the tag that every row write of the table touches.
   */
  async prepare(lookups: readonly Lookup[]): Promise<Prepared> {
    const at = Date.now();
    const tags = [...new Set(lookups.flatMap((lookup) => [...required(lookup), ...this.suspected(lookup)]))];
    const tokens = await this.store.prepare(tags, this.tagTtl());
    const found = new Map(tags.map((tag, index) => [tag, tokens[index] ?? ""]));
    for (const { key, revealing } of lookups) {
      if (!this.hints.has(key)) continue;
      // Where many write, this one is nearly always locked; the suspicion alone then has to do.
      for (const anyRow of revealing.map(anyRowTag)) if (found.get(anyRow) === "") found.delete(anyRow);
    }
    const captured = [...found.values()];
    return {
      tokens: found,
      fillable: lookups.every((lookup) => required(lookup).every((tag) => found.get(tag) !== "")),
      state: captured.includes("") ? undefined : captured.join(" "),
      at,
    };
  }

  /** Stores what was loaded, as far as the tokens allow. */
  async fill(prepared: Prepared, fills: readonly (Lookup & { readonly fill: Fill })[]): Promise<void> {
    const requests: FillRequest[] = [];
    for (const one of fills) {
      this.remember(one.key, one.fill.rowTags);
      const tokens = await this.tokensFor(prepared, one, one.fill.rowTags);
      if (typeof tokens === "string") {
        this.unfilled(one, tokens);
        continue;
      }
      const { entity, key, group, text, tags, fill, settings } = one;
      const { rowTags, payload } = fill;
      const ttl = lifetimeOf(fill.ttl, settings);
      const value = storedEntry({ query: text, rowTags, tokens, payload }, prepared.at, settings, this.packing);
      if (value === undefined) {
        this.unfilled(one, "too-large");
        continue;
      }
      requests.push({ key, group, ttl, value });
      this.reporter.emit("fill", { entity, key, ttl, tags: [...tags, ...rowTags] });
    }
    if (requests.length > 0) await this.store.fill(requests);
  }

  unfilled({ entity, key }: Lookup, why: UnfilledReason): void {
    this.reporter.emit("unfilled", { entity, key, why });
  }

  private suspected({ key, revealing }: Lookup): readonly Tag[] {
    return revealing.length === 0 ? [] : [...(this.hints.get(key) ?? []), ...revealing.map(anyRowTag)];
  }

  private async tokensFor(
    prepared: Prepared,
    lookup: Lookup,
    rowTags: readonly Tag[],
  ): Promise<Token[] | "locked" | "raced"> {
    if (required(lookup).some((tag) => prepared.tokens.get(tag) === "")) return "locked";
    const tags = [...lookup.tags, ...rowTags];
    const before = tags.map((tag) => prepared.tokens.get(tag));
    if (before.includes("")) return "locked";
    if (before.every((token) => token !== undefined)) return before;
    // Some row was not suspected. Its token may be taken now if no row of its table was written since PREPARE, which the
    // tag that every such write touches tells: then the row is as the load saw it.
    const surprising = new Set(rowTags.filter((tag) => !prepared.tokens.has(tag)).map(groupOf));
    const watched = [...lookup.tags, ...Array.from(surprising, anyRowTag)];
    if (watched.some((tag) => (prepared.tokens.get(tag) ?? "") === "")) return "raced";
    const asked = [...new Set([...watched, ...rowTags])];
    const answers = await this.store.prepare(asked, this.tagTtl());
    const after = new Map(asked.map((tag, index) => [tag, answers[index] ?? ""]));
    if (watched.some((tag) => after.get(tag) !== prepared.tokens.get(tag))) return "raced";
    // What was captured before the load is older, and stays what the entry depends on.
    const tokens = tags.map((tag) => prepared.tokens.get(tag) ?? after.get(tag) ?? "");
    return tokens.includes("") ? "locked" : tokens;
  }
}

/**
 * What must not be locked when a load begins: the tags that the query names, and the barriers of the tables of whose single rows or
 * values it depends. The entry carries no token of a barrier: it only must not begin while somebody searches.
 */
function required({ tags, revealing, stripe }: Lookup): readonly Tag[] {
  const groups = new Set([...tags.filter(isFine).map(groupOf), ...revealing]);
  return [...tags, ...Array.from(groups, (group) => barrierTag(group + stripe))];
}
