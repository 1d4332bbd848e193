import type { EntityManager, FindManyOptions, ObjectLiteral } from "typeorm";
import { UnencodableValue } from "../codec/raw-value";
import type { RawRow, RowCodec } from "../codec/row-codec";
import { SingleFlight } from "../core/single-flight";
import { anyRowTag, type Tag } from "../core/tag";
import { KeyBuilderError, StoreError } from "../errors";
import type { BypassReason, CacheReporter } from "../events";
import { entryKey, keyTag, type CachedQuery } from "../metadata/cached-query";
import type { EntityModel } from "../metadata/entity-model";
import type { CacheLogger } from "../options";
import type { ReadAnswer, Store } from "../store/store";
import type { CacheableRead } from "./cacheable-query";
import { withIds, type EntityLoader, type Loaded } from "./entity-loader";
import { Filler, needsRowTags, type Fill, type KeyedQuery, type Prepared } from "./filler";

/** What reads need of the cache around them. */
export interface ReadThroughOptions {
  readonly store: Store;
  readonly namespace: string;
  readonly loader: EntityLoader;
  readonly codecOf: (model: EntityModel) => RowCodec;
  readonly reporter: CacheReporter;
  readonly logger: CacheLogger;
  readonly tagTtl: () => number;
  /**
   * Tells whether the connection that a load would use is inside somebody's transaction now, and changes its answer's
   * `begun` if one began meanwhile. On SQLite all of a process share one.
   */
  readonly transactions: () => { readonly open: boolean; readonly begun: number };
}

/** Entities, and for a negative answer none. */
export type ReadResult = readonly ObjectLiteral[];

/** More returned rows than this, and an entry depends on every row write of the table instead. */
const MOST_ROW_TAGS = 100;

type Missed = KeyedQuery & { readonly why: "absent" | "stale" | "corrupt" | "collision" };
type Flight = {
  readonly loaded: Loaded;
  /** For those who join; undefined if they must load for themselves. */
  readonly payload: string | undefined;
};

/** Cache-aside reads: ask the store, else the database, and fill; see docs/architecture.md, "The way of a read". */
export class ReadThrough {
  private readonly filler: Filler;
  private readonly flights = new SingleFlight<Flight>();
  private readonly counts = new SingleFlight<number>();

  constructor(private readonly options: ReadThroughOptions) {
    this.filler = new Filler(options.store, options.reporter, options.tagTtl);
  }

  /** @returns a bypass reason if the cache cannot take part; the caller then asks TypeORM */
  async entities(
    manager: EntityManager,
    model: EntityModel,
    read: CacheableRead,
    options: FindManyOptions<ObjectLiteral>,
  ): Promise<ReadResult | BypassReason> {
    const asked = this.keyed(model, read.queries);
    if (asked === undefined) return "key-builder";
    const answers = await this.ask(asked);
    if (answers === undefined) return "store-unavailable";
    const codec = this.options.codecOf(model);
    const stored = answers.map((answer, index) => this.open(asked[index] as KeyedQuery, answer, codec));
    const missed = stored.filter((one) => "why" in one);
    const hits = stored.flatMap((one) => ("why" in one ? [] : one.rows));
    if (missed.length === 0) return sorted(read, await this.options.loader.rebuild(model, codec, hits), model);
    const loaded = read.multiple
      ? await this.loadMany(manager, model, missed, read, options)
      : await this.loadOne(manager, model, missed[0] as Missed, read, options);
    const rebuilt = await this.options.loader.rebuild(model, codec, hits);
    return sorted(read, [...rebuilt, ...loaded], model);
  }

  /** The number of rows that a count query finds. */
  async count(model: EntityModel, read: CacheableRead, load: () => Promise<number>): Promise<number | BypassReason> {
    const [asked] = this.keyed(model, read.queries) ?? [];
    if (asked === undefined) return "key-builder";
    const [answer] = (await this.ask([asked])) ?? [];
    if (answer === undefined) return "store-unavailable";
    if (answer.outcome === "hit" && /^\d+$/.test(answer.payload)) {
      this.hit(asked);
      return Number(answer.payload);
    }
    this.miss(asked, answer.outcome === "hit" ? "corrupt" : answer.why);
    const prepared = await this.prepare([asked]);
    if (prepared?.fillable !== true) {
      if (prepared !== undefined) this.filler.unfilled(asked, "locked");
      return load();
    }
    const { value, own } = await share(this.counts, asked.key, prepared, load);
    if (own) {
      const fill = { payload: String(value), rowTags: [], ttl: read.ttl ?? model.settings.ttl };
      await this.guarded("fill", () => this.filler.fill(prepared, [{ ...asked, fill }]));
    }
    return value;
  }

  /** Whether the store holds a valid entry for each query, without counting anything. */
  async present(model: EntityModel, queries: readonly CachedQuery[]): Promise<{ keys: string[]; present: boolean[] }> {
    const asked = this.keyed(model, queries) ?? [];
    const answers = await this.ask(asked);
    return { keys: asked.map(({ key }) => key), present: (answers ?? []).map(({ outcome }) => outcome === "hit") };
  }

  private keyed(model: EntityModel, queries: readonly CachedQuery[]): KeyedQuery[] | undefined {
    try {
      return queries.map((query) => ({ model, query, key: entryKey(this.options.namespace, model, query) }));
    } catch (error) {
      if (!(error instanceof KeyBuilderError)) throw error;
      this.options.logger.warn(error.message, error);
      return undefined;
    }
  }

  private ask(asked: readonly KeyedQuery[]): Promise<ReadAnswer[] | undefined> {
    return this.guarded("read", () =>
      this.options.store.read(
        asked.map(({ model, query, key }) => {
          const rowTags = this.filler.hintOf(key);
          const request = { key, group: model.group, query: query.text, tags: query.tags };
          return rowTags === undefined ? request : { ...request, rowTags };
        }),
      ),
    );
  }

  /** The rows of a hit, or why it is none; a payload that does not decode is a miss like any other. */
  private open(asked: KeyedQuery, answer: ReadAnswer, codec: RowCodec): Missed | { rows: (readonly unknown[])[] } {
    this.filler.remember(asked.key, answer.rowTags);
    if (answer.outcome === "hit") {
      try {
        const rows = codec.decode(answer.payload);
        this.hit(asked);
        return { rows };
      } catch {
        return this.miss(asked, "corrupt");
      }
    }
    return this.miss(asked, answer.why);
  }

  private async loadOne(
    manager: EntityManager,
    model: EntityModel,
    missed: Missed,
    read: CacheableRead,
    options: FindManyOptions<ObjectLiteral>,
  ): Promise<readonly ObjectLiteral[]> {
    const limited = missed.query.kind === "row" ? { ...options, take: 1 } : options;
    const load = () => this.options.loader.load(manager, model, limited);
    const prepared = await this.prepare([missed]);
    if (prepared?.fillable !== true) {
      if (prepared !== undefined) this.filler.unfilled(missed, "locked");
      return (await load()).entities;
    }
    const flight = await share(this.flights, missed.key, prepared, () =>
      this.loadAndFill(prepared, load, (loaded) => [{ ...missed, rows: loaded.rows }], read),
    );
    return flight.own ? flight.value.loaded.entities : this.copy(model, flight.value, load);
  }

  private async loadMany(
    manager: EntityManager,
    model: EntityModel,
    missed: readonly Missed[],
    read: CacheableRead,
    options: FindManyOptions<ObjectLiteral>,
  ): Promise<readonly ObjectLiteral[]> {
    const ids = missed.map(({ query }) => query.values[0]);
    const load = () => this.options.loader.load(manager, model, withIds(options, ids));
    const prepared = await this.prepare(missed);
    if (prepared === undefined) return (await load()).entities;
    const flight = await share(this.flights, missed.map(({ key }) => key).join(" "), prepared, () =>
      this.loadAndFill(prepared, load, (loaded) => this.rowsByQuery(model, missed, loaded.rows), read),
    );
    return flight.own ? flight.value.loaded.entities : this.copy(model, flight.value, load);
  }

  /** Each missed id with its row; ids that found none get a negative entry. Nothing if a row cannot be told to one id. */
  private rowsByQuery(
    model: EntityModel,
    missed: readonly Missed[],
    rows: readonly RawRow[],
  ): (KeyedQuery & { rows: readonly RawRow[] })[] {
    const codec = this.options.codecOf(model);
    const tagOf = (row: RawRow) => keyTag(model.group, model.primaryKey, codec.valuesOf(row, model.primaryKey.columns));
    const byTag = new Map(rows.map((row) => [tagOf(row), row]));
    const tags = new Set(missed.map(({ query }) => query.tags[1]));
    if (byTag.size !== rows.length || tags.size !== missed.length || byTag.has(undefined)) return [];
    return missed.map((one) => {
      const row = byTag.get(one.query.tags[1]);
      return { ...one, rows: row === undefined ? [] : [row] };
    });
  }

  private async loadAndFill(
    prepared: Prepared,
    load: () => Promise<Loaded>,
    split: (loaded: Loaded) => readonly (KeyedQuery & { readonly rows: readonly RawRow[] })[],
    read: CacheableRead,
  ): Promise<Flight> {
    const before = this.options.transactions();
    const loaded = await load();
    const after = this.options.transactions();
    const parts = split(loaded);
    // What a shared connection shows inside of a transaction may be rolled back.
    if (before.open || after.open || before.begun !== after.begun) {
      for (const part of parts) this.filler.unfilled(part, "transaction");
      return { loaded, payload: undefined };
    }
    const fills = parts.flatMap((part) => {
      const fill = this.fillOf(part, read);
      return fill === undefined ? [] : [{ ...part, fill }];
    });
    await this.guarded("fill", () => this.filler.fill(prepared, fills));
    const isCovered = fills.every(({ fill, model }) => fill.rowTags.every((tag) => covers(prepared, model, tag)));
    return { loaded, payload: isCovered ? this.payloadOf(parts[0]?.model, loaded.rows) : undefined };
  }

  private fillOf(part: KeyedQuery & { readonly rows: readonly RawRow[] }, read: CacheableRead): Fill | undefined {
    const { model, query, rows } = part;
    const { settings } = model;
    const negative = query.kind === "row" && rows.length === 0;
    const payload = this.payloadOf(model, rows);
    if (payload === undefined || (negative && settings.negativeTtl === 0)) {
      this.filler.unfilled(part, payload === undefined ? "unencodable" : "negative-off");
      return undefined;
    }
    const ttl = read.ttl ?? settings.ttl;
    return { payload, rowTags: this.rowTags(part), ttl: negative ? Math.min(ttl, settings.negativeTtl) : ttl };
  }

  private rowTags({ model, query, rows }: KeyedQuery & { readonly rows: readonly RawRow[] }): readonly Tag[] {
    if (!needsRowTags(model, query)) return [];
    if (rows.length > MOST_ROW_TAGS) return [anyRowTag(model.group)];
    const codec = this.options.codecOf(model);
    const { group, primaryKey } = model;
    const tags = rows.map((row) => keyTag(group, primaryKey, codec.valuesOf(row, primaryKey.columns)) ?? anyRowTag(group));
    return [...new Set(tags)];
  }

  private payloadOf(model: EntityModel | undefined, rows: readonly RawRow[]): string | undefined {
    try {
      return model === undefined ? undefined : this.options.codecOf(model).encode(rows);
    } catch (error) {
      if (error instanceof UnencodableValue) return undefined;
      throw error;
    }
  }

  /** Entities of its own for one who waited for another's load: no two callers may share an object. */
  private async copy(model: EntityModel, { payload }: Flight, load: () => Promise<Loaded>): Promise<readonly ObjectLiteral[]> {
    if (payload === undefined) return (await load()).entities;
    const codec = this.options.codecOf(model);
    return this.options.loader.rebuild(model, codec, codec.decode(payload));
  }

  private prepare(missed: readonly KeyedQuery[]): Promise<Prepared | undefined> {
    return this.guarded("prepare", () => this.filler.prepare(missed));
  }

  /** Reads never fail because of the store. */
  private async guarded<Result>(operation: string, call: () => Promise<Result>): Promise<Result | undefined> {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      this.options.reporter.emit("storeError", { operation, error });
      return undefined;
    }
  }

  private hit({ model, key }: KeyedQuery): void {
    this.options.reporter.emit("hit", { entity: model.name, key });
  }

  private miss(asked: KeyedQuery, why: Missed["why"]): Missed {
    this.options.reporter.emit("miss", { entity: asked.model.name, key: asked.key, why });
    return { ...asked, why };
  }
}

/**
 * Joins a load that started from the same tokens. Were some tag locked, two states of it would look alike, so that load
 * stays its caller's own.
 */
async function share<Value>(
  flights: SingleFlight<Value>,
  key: string,
  { state }: Prepared,
  load: () => Promise<Value>,
): Promise<{ readonly value: Value; readonly own: boolean }> {
  return state === undefined ? { value: await load(), own: true } : flights.run(`${key} ${state}`, load);
}

/** Whether the tokens that were compared before joining a load would have shown a write of this row. */
function covers({ tokens }: Prepared, { group }: EntityModel, tag: Tag): boolean {
  return tokens.has(tag) || tokens.has(anyRowTag(group));
}

/** A multi-get in the order of the primary key, as a database answers it; a single query is in its own order already. */
function sorted(
  read: CacheableRead,
  entities: readonly ObjectLiteral[],
  { primaryKey }: EntityModel,
): ReadResult {
  const column = primaryKey.columns[0]?.column;
  if (!read.multiple || column === undefined) return entities;
  const valueOf = (entity: ObjectLiteral): unknown => column.getEntityValue(entity, true);
  return [...entities].sort((left, right) => compare(valueOf(left), valueOf(right)));
}

function compare(left: unknown, right: unknown): number {
  if (typeof left === "number" && typeof right === "number") return left - right;
  const [a, b] = [String(left), String(right)];
  if (/^\d+$/.test(a) && /^\d+$/.test(b)) return a.length - b.length || (a < b ? -1 : Number(a > b));
  return a < b ? -1 : Number(a > b);
}
