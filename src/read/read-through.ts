import type { EntityManager, FindManyOptions, ObjectLiteral } from "typeorm";
import { payloadOf, type RowCodec } from "../codec/row-codec";
import { KeyBuilderError } from "../errors";
import type { BypassReason, CacheReporter, MissReason } from "../events";
import { entryKey, type CachedQuery } from "../metadata/cached-query";
import type { EntityModel } from "../metadata/entity-model";
import type { CacheLogger, Explanation } from "../options";
import type { ReadAnswer, Store } from "../store/store";
import type { CacheableRead } from "./cacheable-query";
import type { EntityLoader, Loaded, LoadOptions } from "./entity-loader";
import { Filler, needsRowTags, type KeyedQuery } from "./filler";
import { rowsByQuery, sorted, withIds } from "./multi-get";
import { fillOf, textsOf } from "./row-fill";
import { SharedLoads, type Outcome, type SharedLoadsOptions } from "./shared-loads";

/** What reads need of the cache around them. */
export interface ReadThroughOptions {
  readonly store: Store;
  readonly namespace: string;
  readonly loader: EntityLoader;
  readonly codecOf: (model: EntityModel) => RowCodec;
  readonly reporter: CacheReporter;
  readonly logger: CacheLogger;
  readonly tagTtl: () => number;
  readonly transactions: SharedLoadsOptions["transactions"];
}

/** One call of a repository. */
export interface ReadCall {
  readonly manager: EntityManager;
  readonly model: EntityModel;
  readonly read: CacheableRead;
  readonly options: FindManyOptions<ObjectLiteral>;
}

/** Entities, and for a negative answer none. */
export type ReadResult = readonly ObjectLiteral[];

interface Looked<Content> {
  readonly hits: readonly Content[];
  readonly missed: readonly KeyedQuery[];
}

/**
 * Cache-aside reads: ask the store, else the database, and fill; see docs/architecture.md, "The way of a read". Every method
 * returns a bypass reason if the cache cannot take part; the caller then asks TypeORM.
 */
export class ReadThrough {
  private readonly filler: Filler;
  private readonly loads: SharedLoads<Loaded>;
  private readonly counts: SharedLoads<number>;
  /** What was reported already: each fault of an entity is, once. */
  private readonly reported = new Set<string>();

  constructor(private readonly options: ReadThroughOptions) {
    const { store, reporter, tagTtl, transactions } = options;
    this.filler = new Filler(store, reporter, tagTtl);
    const shared: SharedLoadsOptions = {
      filler: this.filler,
      transactions,
      guarded: (operation, call) => this.guarded(operation, call),
    };
    this.loads = new SharedLoads(shared);
    this.counts = new SharedLoads(shared);
  }

  async entities(call: ReadCall): Promise<ReadResult | BypassReason> {
    const { model, read, options } = call;
    const codec = this.options.codecOf(model);
    const looked = await this.look(model, read.queries, (payload) => rebuild(codec, payload));
    if (typeof looked === "string") return looked;
    const hits = looked.hits.length === 1 ? looked.hits[0]! : looked.hits.flat();
    const loaded = looked.missed.length === 0 ? [] : await this.loadEntities(call, looked.missed);
    if (this.options.loader.hasLoadListeners(model)) await this.options.loader.announce(model, hits);
    const entities = loaded.length === 0 ? hits : [...hits, ...loaded];
    if (read.multiple) return sorted(entities, model);
    return options.take === undefined ? entities : entities.slice(0, options.take);
  }

  /** Whether the query finds a row. It shares its entry with `findOne`, and makes no entity. */
  async exists(call: ReadCall): Promise<boolean | BypassReason> {
    const codec = this.options.codecOf(call.model);
    const looked = await this.look(call.model, call.read.queries, (payload) => codec.decode(payload).length > 0);
    if (typeof looked === "string") return looked;
    const [hit] = looked.hits;
    return hit ?? (await this.load(call, looked.missed, false)).value.rows.length > 0;
  }

  /** The number of rows that the query finds. */
  async count({ manager, model, read, options }: ReadCall): Promise<number | BypassReason> {
    const looked = await this.look(model, read.queries, numberIn);
    if (typeof looked === "string") return looked;
    const [hit] = looked.hits;
    if (hit !== undefined) return hit;
    const ttl = read.ttl ?? model.settings.ttl;
    const { value } = await this.counts.run(
      looked.missed,
      () => this.options.loader.count(manager, model, options),
      (count) => looked.missed.map((one) => ({ ...one, fill: { payload: String(count), rowTags: [], ttl } })),
    );
    return value;
  }

  /** Where a read stands, without counting anything. */
  async explain(model: EntityModel, { queries, ttl }: CacheableRead): Promise<Explanation> {
    const asked = this.keyed(model, queries);
    if (asked === undefined) return { cacheable: false, reason: "key-builder" };
    const answers = await this.ask(asked);
    if (answers === undefined) return { cacheable: false, reason: "store-unavailable" };
    return {
      cacheable: true,
      kind: queries[0]!.kind,
      keys: asked.map(({ key }) => key),
      tags: [...new Set(queries.flatMap(({ tags }) => tags))],
      ttl: ttl ?? model.settings.ttl,
      present: answers.map(({ outcome }) => outcome === "hit"),
    };
  }

  /** Asks the store, in one round trip; what cannot be opened is a miss like any other. */
  private async look<Content>(
    model: EntityModel,
    queries: readonly CachedQuery[],
    open: (payload: string) => Content,
  ): Promise<Looked<Content> | BypassReason> {
    const asked = this.keyed(model, queries);
    if (asked === undefined) return "key-builder";
    const answers = await this.ask(asked);
    if (answers === undefined) return "store-unavailable";
    const hits: Content[] = [];
    const missed: KeyedQuery[] = [];
    for (let index = 0; index < asked.length; index += 1) {
      const opened = this.open(asked[index]!, answers[index]!, open);
      if (opened === undefined) missed.push(asked[index]!);
      else hits.push(opened.content);
    }
    return { hits, missed };
  }

  private open<Content>(
    asked: KeyedQuery,
    answer: ReadAnswer,
    open: (payload: string) => Content,
  ): { readonly content: Content } | undefined {
    // The rows of a stale entry are older than those of a load since: believed again and again, they would never let a
    // list be filled that has gained a row.
    if (answer.outcome === "hit" || this.filler.hintOf(asked.key) === undefined) {
      this.filler.remember(asked.key, answer.rowTags);
    }
    if (answer.outcome === "miss") return this.miss(asked, answer.why);
    let content: Content;
    try {
      content = open(answer.payload);
    } catch {
      return this.miss(asked, "corrupt");
    }
    this.options.reporter.emit("hit", { entity: asked.model.name, key: asked.key });
    return { content };
  }

  private async loadEntities(call: ReadCall, missed: readonly KeyedQuery[]): Promise<readonly ObjectLiteral[]> {
    const { value, own } = await this.load(call, missed, true);
    const texts = own ? undefined : textsOf(value.rows);
    if (texts === undefined) return value.entities;
    // Entities of its own for one who waited for another's load: no two callers may share an object.
    const entities = rebuild(this.options.codecOf(call.model), payloadOf(texts));
    await this.options.loader.announce(call.model, entities);
    return entities;
  }

  private load({ manager, model, read, options }: ReadCall, missed: readonly KeyedQuery[], listeners: boolean) {
    const codec = this.options.codecOf(model);
    const find = read.multiple
      ? withIds(
          options,
          missed.map(({ query }) => query.values[0]),
        )
      : limited(options, missed[0]!.query);
    const load: LoadOptions = { find, listeners };
    return this.loads.run(
      missed,
      () => this.options.loader.load(manager, model, codec, load),
      ({ rows }): readonly Outcome[] => {
        const answers = read.multiple ? rowsByQuery(model, missed, rows) : [rows];
        return missed.map((one, index) => ({
          ...one,
          fill: answers === undefined ? "ambiguous" : fillOf({ ...one, rows: answers[index] ?? [] }, read.ttl),
        }));
      },
    );
  }

  private keyed(model: EntityModel, queries: readonly CachedQuery[]): KeyedQuery[] | undefined {
    try {
      return queries.map((query) => ({ model, query, key: entryKey(this.options.namespace, model, query) }));
    } catch (error) {
      if (!(error instanceof KeyBuilderError)) throw error;
      this.report(model, "key builder", error.message, error);
      return undefined;
    }
  }

  private ask(asked: readonly KeyedQuery[]): Promise<ReadAnswer[] | undefined> {
    return this.guarded("read", () =>
      this.options.store.read(
        asked.map(({ model, query, key }) => {
          const rowTags = needsRowTags(model, query) ? this.filler.hintOf(key) : undefined;
          const request = { key, group: model.group, query: query.text, tags: query.tags };
          return rowTags === undefined ? request : { ...request, rowTags };
        }),
      ),
    );
  }

  /** Reads never fail because of the store. */
  private async guarded<Result>(operation: string, call: () => Promise<Result>): Promise<Result | undefined> {
    try {
      return await call();
    } catch (error) {
      this.options.reporter.emit("storeError", { operation, error });
      return undefined;
    }
  }

  private miss({ model, key }: KeyedQuery, why: MissReason): undefined {
    this.options.reporter.emit("miss", { entity: model.name, key, why });
    if (why === "corrupt") {
      this.report(
        model,
        why,
        `The store holds something under a key of ${model.name} that is no entry of this cache. It is loaded and stored anew; see that nothing else writes under the namespace.`,
        { key },
      );
    } else if (why === "collision") {
      this.report(
        model,
        why,
        `The key builder of ${model.name} gives two queries the same key, so they drive each other out. Make use of the digest that it gets.`,
        { key },
      );
    }
  }

  private report({ name }: EntityModel, fault: string, message: string, details: unknown): void {
    if (this.reported.has(`${name} ${fault}`)) return;
    this.reported.add(`${name} ${fault}`);
    this.options.logger.warn(message, details);
  }
}

/** @throws if the payload is none of this entity */
function rebuild(codec: RowCodec, payload: string): ObjectLiteral[] {
  return codec.decode(payload).map((row) => codec.hydrate(row));
}

/** @throws if the payload is no number of rows */
function numberIn(payload: string): number {
  if (/^\d+$/.test(payload)) return Number(payload);
  throw new TypeError("The payload is not a number of rows.");
}

/**
 * A key that finds at most one row needs no limit, and should the table not keep to it after all, a limit would hide that
 * there are more.
 */
function limited(options: FindManyOptions<ObjectLiteral>, { key, kind }: CachedQuery): FindManyOptions<ObjectLiteral> {
  if (kind !== "row") return options;
  if (!key.unique) return { ...options, take: 1 };
  const { take: _take, skip: _skip, ...unlimited } = options;
  return unlimited;
}
