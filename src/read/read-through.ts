import type { EntityManager, FindManyOptions, ObjectLiteral } from "typeorm";
import { payloadOf, type RowCodec, type StoredRow } from "../codec/row-codec";
import { isPromise, type Awaitable } from "../core/awaitable";
import { placed } from "../core/stripe";
import type { Tag } from "../core/tag";
import { KeyBuilderError } from "../errors";
import type { BypassReason } from "../events";
import { entryKey, type CachedQuery } from "../metadata/cached-query";
import type { EntityModel } from "../metadata/entity-model";
import type { CacheableRead } from "./cacheable-query";
import type { ConsistencyMeter } from "./consistency-meter";
import type { EntityLoader, Loaded, LoadOptions } from "./entity-loader";
import type { Checked, EntryReader, Looked, Opening } from "./entry-reader";
import type { ExplainedEntry } from "./explain";
import { rowsByQuery, sorted, withIds } from "./multi-get";
import { fillOf, membersOf, needsRowTags, textsOf, type KeyedQuery } from "./row-fill";
import { SharedLoads, type LoadPlan, type SharedLoadsOptions } from "./shared-loads";

/** What reads need of the cache around them. */
export interface ReadThroughOptions {
  readonly namespace: string;
  readonly entries: EntryReader;
  readonly sharing: SharedLoadsOptions;
  readonly loader: EntityLoader;
  readonly codecOf: (model: EntityModel) => RowCodec;
  readonly meter: ConsistencyMeter | undefined;
  /** Into how many parts the store cuts each table. */
  readonly stripes: number;
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

interface Counted {
  readonly count: number;
  readonly memberTags: readonly Tag[];
}

/**
 * Cache-aside reads: ask the store, else the database, and fill; see docs/architecture.md, "The way of a read". Every method
 * returns a bypass reason if the cache cannot take part; the caller then asks TypeORM.
 */
export class ReadThrough {
  private readonly loads: SharedLoads<Loaded>;
  private readonly counts: SharedLoads<Counted>;

  constructor(private readonly options: ReadThroughOptions) {
    this.loads = new SharedLoads(options.sharing);
    this.counts = new SharedLoads(options.sharing);
  }

  entities(call: ReadCall): Awaitable<ReadResult | BypassReason> {
    const { model, read } = call;
    const codec = this.options.codecOf(model);
    const checked = this.checking((one) => this.loading(call, [one], false));
    const looked = this.look(model, read, codec, checked);
    return isPromise(looked) ? looked.then((found) => this.found(call, found)) : this.found(call, looked);
  }

  /** The way of nearly every read, and therefore without a promise where nothing has to be waited for. */
  private found(
    call: ReadCall,
    looked: Looked<KeyedQuery, ReadResult> | "key-builder" | undefined,
  ): Awaitable<ReadResult | BypassReason> {
    if (looked === undefined) return "store-unavailable";
    if (typeof looked === "string") return looked;
    if (looked.missed.length > 0 || looked.stale.length > 0 || this.options.loader.hasLoadListeners(call.model)) {
      return this.completed(call, looked);
    }
    return shaped(call, flattened(looked.hits));
  }

  /** Loads what was missed, and what is stale in the background. */
  private async completed(call: ReadCall, looked: Looked<KeyedQuery, readonly ObjectLiteral[]>): Promise<ReadResult> {
    const { model } = call;
    if (looked.stale.length > 0) this.loads.renew(looked.stale, this.loading(call, looked.stale, false));
    const hits = flattened(looked.hits);
    const loaded = looked.missed.length === 0 ? [] : await this.loadEntities(call, looked.missed);
    await this.options.loader.announce(model, hits);
    return shaped(call, loaded.length === 0 ? hits : [...hits, ...loaded]);
  }

  /** Whether the query finds a row. It shares its entry with `findOne`, and makes no entity. */
  async exists(call: ReadCall): Promise<boolean | BypassReason> {
    const codec = this.options.codecOf(call.model);
    const checked = this.checking((one) => this.loading(call, [one], false));
    const looked = await this.look(call.model, call.read, whetherAny(codec), checked);
    if (typeof looked === "string") return looked;
    if (looked === undefined) return "store-unavailable";
    if (looked.stale.length > 0) this.loads.renew(looked.stale, this.loading(call, looked.stale, false));
    const [hit] = looked.hits;
    if (hit !== undefined) return hit;
    const found = await this.loads.run(looked.missed, this.loading(call, looked.missed, false));
    return ("payload" in found ? codec.decode(found.payload) : found.value.rows).length > 0;
  }

  /** The number of rows that the query finds. */
  async count({ manager, model, read, options }: ReadCall): Promise<number | BypassReason> {
    const counting = (asked: readonly KeyedQuery[]): LoadPlan<Counted> => ({
      load: () => this.options.loader.count(manager, model, { find: options, members: asked.flatMap(membersOf) }),
      outcomesOf: ({ count, memberTags }) =>
        asked.map((one) => ({ ...one, fill: { payload: String(count), rowTags: memberTags, ttl: one.ttl } })),
      open: numberIn,
    });
    const checked = this.checking((one) => counting([one]));
    const looked = await this.look(model, read, NUMBER, checked);
    if (typeof looked === "string") return looked;
    if (looked === undefined) return "store-unavailable";
    if (looked.stale.length > 0) this.counts.renew(looked.stale, counting(looked.stale));
    const [hit] = looked.hits;
    if (hit !== undefined) return hit;
    const found = await this.counts.run(looked.missed, counting(looked.missed));
    return "payload" in found ? numberIn(found.payload) : found.value.count;
  }

  /** Where a read stands, without counting anything. */
  async explain(model: EntityModel, read: CacheableRead): Promise<readonly ExplainedEntry[] | BypassReason> {
    const asked = this.keyed(model, read);
    if (asked === undefined) return "key-builder";
    const answers = await this.options.entries.ask(asked);
    if (answers === undefined) return "store-unavailable";
    return asked.map(({ query, key, tags, ttl, settings }, at) => ({
      kind: query.kind,
      key,
      tags,
      ttl,
      settings,
      present: answers[at]?.outcome === "hit",
    }));
  }

  /** Undefined if the store did not answer. */
  private look<Decoded, Content>(
    model: EntityModel,
    read: CacheableRead,
    opening: Opening<Decoded, Content>,
    checked: Checked<KeyedQuery> | undefined,
  ): Awaitable<Looked<KeyedQuery, Content> | undefined | "key-builder"> {
    const asked = this.keyed(model, read);
    return asked === undefined ? "key-builder" : this.options.entries.look(asked, opening, checked);
  }

  /** Has some hits checked, if they are; by what loads them anew. */
  private checking<Value>(planOf: (hit: KeyedQuery) => LoadPlan<Value>): Checked<KeyedQuery> | undefined {
    const { meter } = this.options;
    return meter && ((hit, payload) => meter.hit(hit, payload, () => planOf(hit)));
  }

  private async loadEntities(call: ReadCall, missed: readonly KeyedQuery[]): Promise<readonly ObjectLiteral[]> {
    const found = await this.loads.run(missed, this.loading(call, missed, true));
    let payload: string;
    if ("payload" in found) ({ payload } = found);
    else {
      const { value, own } = found;
      const texts = own ? undefined : textsOf(value.rows);
      if (texts === undefined) return value.entities;
      payload = payloadOf(texts);
    }
    const codec = this.options.codecOf(call.model);
    // Entities of its own for one who waited for another's load: no two callers may share an object.
    const entities = codec.make(codec.decode(payload));
    await this.options.loader.announce(call.model, entities);
    return entities;
  }

  /** How missed queries are loaded, and what to fill then. */
  private loading(
    { manager, model, read, options }: ReadCall,
    missed: readonly KeyedQuery[],
    listeners: boolean,
  ): LoadPlan<Loaded> {
    const codec = this.options.codecOf(model);
    const find = read.multiple
      ? withIds(
          options,
          missed.map(({ query }) => query.values[0]),
        )
      : limited(options, missed[0]!.query);
    const load: LoadOptions = { find, listeners, members: missed.flatMap(membersOf) };
    return {
      load: () => this.options.loader.load(manager, model, codec, load),
      outcomesOf: ({ rows, memberTags }) => {
        const answers = read.multiple ? rowsByQuery(model, missed, rows) : [rows];
        return missed.map((one, index) => ({
          ...one,
          fill:
            answers === undefined ? "ambiguous" : fillOf({ ...one, memberTags, rows: answers[index] ?? [] }, read.ttl),
        }));
      },
      open: (payload) => codec.decode(payload),
    };
  }

  private keyed(model: EntityModel, { queries, ttl }: CacheableRead): KeyedQuery[] | undefined {
    try {
      const { namespace, stripes } = this.options;
      return queries.map((query) => {
        const key = entryKey(namespace, model, query);
        return {
          model,
          query,
          entity: model.name,
          settings: model.settings,
          ttl: ttl ?? model.settings.ttl,
          key,
          text: query.text,
          ...placed(model.group, key, query.tags, stripes),
          revealing: needsRowTags(model, query) ? [model.group] : [],
        };
      });
    } catch (error) {
      if (!(error instanceof KeyBuilderError)) throw error;
      this.options.entries.report(model.name, "key builder", error.message, error);
      return undefined;
    }
  }
}

function flattened(found: readonly ReadResult[]): ReadResult {
  return found.length === 1 ? found[0]! : found.flat();
}

/** In the order, and as many, as the call asks for. */
function shaped({ model, read, options }: ReadCall, entities: ReadResult): ReadResult {
  if (read.multiple) return sorted(entities, model);
  return options.take === undefined ? entities : entities.slice(0, options.take);
}

function whetherAny(codec: RowCodec): Opening<readonly StoredRow[], boolean> {
  return {
    decode: (payload) => codec.decode(payload),
    make: (rows) => rows.length > 0,
    isReusable: (rows) => codec.isReusable(rows),
  };
}

/** @throws if the payload is no number of rows */
function numberIn(payload: string): number {
  if (/^\d+$/.test(payload)) return Number(payload);
  throw new TypeError("The payload is not a number of rows.");
}

const NUMBER: Opening<number, number> = { decode: numberIn, make: (number) => number, isReusable: () => true };

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
