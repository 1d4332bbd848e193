import { LRUCache } from "lru-cache";
import { encodeEntry } from "../core/entry";
import { anyRowTag, barrierTag, groupOf, isFine, type Tag } from "../core/tag";
import type { Token } from "../core/token";
import { jitteredTtl } from "../core/ttl";
import type { CacheReporter, UnfilledReason } from "../events";
import type { CachedQuery } from "../metadata/cached-query";
import type { EntityModel } from "../metadata/entity-model";
import type { FillRequest, Store } from "../store/store";

/** A query of a model, under the key that its builder gave it. */
export interface KeyedQuery {
  readonly model: EntityModel;
  readonly query: CachedQuery;
  readonly key: string;
}

/** Tokens that were captured before the database was asked. */
export interface Prepared {
  readonly tokens: ReadonlyMap<Tag, Token>;
  /** Every tag that the query names can be filled under. */
  readonly fillable: boolean;
  /** Tells this state of the tags from every other one; undefined if some tag is locked, so that no load may be shared. */
  readonly state: string | undefined;
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
   * Captures the tokens of what the queries depend on. Which rows a query returns is not known yet: those that it returned last
   * time are asked for on suspicion, and for others that may come, the tag that every row write of the table touches.
   */
  async prepare(queries: readonly KeyedQuery[]): Promise<Prepared> {
    const tags = [...new Set(queries.flatMap((query) => [...required(query), ...this.suspected(query)]))];
    const tokens = await this.store.prepare(tags, this.tagTtl());
    const found = new Map(tags.map((tag, index) => [tag, tokens[index] ?? ""]));
    for (const query of queries) {
      // Where many write, this one is nearly always locked; the suspicion alone then has to do.
      const anyRow = anyRowTag(query.model.group);
      if (this.hints.has(query.key) && needsRowTags(query.model, query.query) && found.get(anyRow) === "")
        found.delete(anyRow);
    }
    const captured = [...found.values()];
    return {
      tokens: found,
      fillable: queries.every((query) => required(query).every((tag) => found.get(tag) !== "")),
      state: captured.includes("") ? undefined : captured.join(" "),
    };
  }

  /** Stores what was loaded, as far as the tokens allow. */
  async fill(prepared: Prepared, fills: readonly (KeyedQuery & { readonly fill: Fill })[]): Promise<void> {
    const requests: FillRequest[] = [];
    for (const one of fills) {
      this.remember(one.key, one.fill.rowTags);
      const tokens = await this.tokensFor(prepared, one, one.fill.rowTags);
      if (typeof tokens === "string") {
        this.unfilled(one, tokens);
        continue;
      }
      const { model, query, key, fill } = one;
      const { rowTags, payload } = fill;
      const ttl = jitteredTtl(fill.ttl, model.settings.jitter, Math.random());
      requests.push({
        key,
        group: model.group,
        ttl,
        value: encodeEntry({ query: query.text, rowTags, tokens, payload }),
      });
      this.reporter.emit("fill", { entity: model.name, key, ttl, tags: [...query.tags, ...rowTags] });
    }
    if (requests.length > 0) await this.store.fill(requests);
  }

  unfilled({ model, key }: KeyedQuery, why: UnfilledReason): void {
    this.reporter.emit("unfilled", { entity: model.name, key, why });
  }

  private suspected({ model, query, key }: KeyedQuery): readonly Tag[] {
    if (!needsRowTags(model, query)) return [];
    return [...(this.hints.get(key) ?? []), anyRowTag(model.group)];
  }

  private async tokensFor(
    prepared: Prepared,
    keyed: KeyedQuery,
    rowTags: readonly Tag[],
  ): Promise<Token[] | "locked" | "raced"> {
    const { model, query } = keyed;
    if (required(keyed).some((tag) => prepared.tokens.get(tag) === "")) return "locked";
    const tags = [...query.tags, ...rowTags];
    const before = tags.map((tag) => prepared.tokens.get(tag));
    if (before.includes("")) return "locked";
    if (before.every((token) => token !== undefined)) return before;
    // Some row was not suspected. Its token may be taken now if no row of the table was written since PREPARE, which the
    // tag that every such write touches tells: then the row is as the load saw it.
    const watched = [...query.tags, anyRowTag(model.group)];
    if (watched.some((tag) => (prepared.tokens.get(tag) ?? "") === "")) return "raced";
    const asked = [...new Set([...watched, ...rowTags])];
    const answers = await this.store.prepare(asked, this.tagTtl());
    const after = new Map(asked.map((tag, index) => [tag, answers[index] ?? ""]));
    if (watched.some((tag) => after.get(tag) !== prepared.tokens.get(tag))) return "raced";
    const tokens = tags.map((tag) => after.get(tag) ?? "");
    return tokens.includes("") ? "locked" : tokens;
  }
}

/**
 * What must not be locked when a load begins: the tags that the query names, and the barriers of the tables of whose single rows or
 * values it depends. The entry carries no token of a barrier: it only must not begin while somebody searches.
 */
function required({ model, query }: KeyedQuery): readonly Tag[] {
  const fine = query.tags.filter(isFine);
  const groups = new Set(fine.map(groupOf));
  if (needsRowTags(model, query)) groups.add(model.group);
  return [...query.tags, ...Array.from(groups, barrierTag)];
}

/** Whether an entry depends on the rows it returns, beyond the tags that its query names. */
export function needsRowTags(model: EntityModel, query: CachedQuery): boolean {
  if (model.sources !== undefined || query.kind === "count") return false;
  return query.key !== model.primaryKey && !query.tags.includes(anyRowTag(model.group));
}
