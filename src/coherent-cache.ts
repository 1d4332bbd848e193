import type { DataSource, EntityTarget, FindManyOptions, FindOptionsWhere, ObjectLiteral } from "typeorm";
import { PayloadPacking } from "./codec/payload-packing";
import { RowCodec } from "./codec/row-codec";
import { systemClock } from "./core/clock";
import { ninesOf } from "./core/nines";
import { epochTag } from "./core/tag";
import { createTokenSource } from "./core/token";
import { CacheConfigError, CacheStateError } from "./errors";
import { CacheReporter, type BypassReason, type CacheEventName, type CacheEvents, type CacheStats } from "./events";
import { hookDataSource } from "./metadata/data-source-hooks";
import type { EntityModel } from "./metadata/entity-model";
import { resolveRoutines } from "./metadata/routines";
import { resolveSchema, type Schema } from "./metadata/schema";
import { nearSettingsOf } from "./metadata/near-settings";
import { NearStore } from "./near-cache/near-store";
import type { Explanation, ResolvedOptions } from "./options";
import { primaryKeyIn } from "./read/cacheable-query";
import type { CachedRepository } from "./read/cached-repository";
import { Reads, type ExplainedMethod } from "./read/reads";
import { SqlAnalyzer } from "./sql/statement";
import { signed } from "./store/signed-store";
import type { Store, StoreContext } from "./store/store";
import { logEvents } from "./telemetry/debug-log";
import { History } from "./telemetry/history";
import type { ChangeFeeds } from "./write/change-feeds";
import { ChangeHub } from "./write/change-hub";
import { CommitProtocol } from "./write/commit-protocol";
import { LockedSender } from "./write/locked-sender";
import { PendingInvalidations } from "./write/pending-invalidations";
import { RunningWrites } from "./write/running-writes";
import { StatementObserver } from "./write/statement-observer";
import { CacheSubscriber } from "./write/subscriber";
import { tagsOfRow } from "./write/tags-of-row";

const LEAST_TAG_TTL = 3_600_000; // A tag outlives every entry, and an idle table's tags at least an hour.

/** A cache on a data source, as `attachCache()` returns it. */
export class CoherentCache {
  /** Sources of writes that no connection of this data source makes. */
  readonly feeds: ChangeFeeds;
  private schema: Schema | undefined;
  private tagTtl = LEAST_TAG_TTL;
  private closed = false;
  private opened = false;
  private closing: Promise<void> | undefined;
  private readonly reporter = new CacheReporter();
  private readonly codecs = new Map<EntityModel, RowCodec>();
  private readonly hub: ChangeHub;
  private readonly store: Store;
  private readonly pending: PendingInvalidations;
  private readonly protocol: CommitProtocol;
  private readonly running = new RunningWrites();
  private readonly analyzer: SqlAnalyzer;
  private readonly observer: StatementObserver;
  private readonly subscriber: CacheSubscriber;
  private readonly reads: Reads;
  private readonly undo: (() => void)[] = [];
  /** For `attachCache()` only. */
  constructor(
    private readonly dataSource: DataSource,
    private readonly resolved: ResolvedOptions,
    private readonly onClose: () => void,
  ) {
    const { namespace, consistency, lockTtl, logger, dialect } = resolved;
    const { reporter } = this;
    const source = signed(resolved.store, resolved.entrySecrets);
    const near = new NearStore(source, {
      settings: () => nearSettingsOf(this.started()),
      bound: resolved.channel?.heartbeat ?? 0,
      clock: systemClock,
      onHit: (mode) => reporter.emit("nearHit", { mode }),
    });
    const store: Store = near;
    this.store = store;
    const codecOf = (model: EntityModel) => this.codecs.get(model)!;
    const tagTtl = () => this.tagTtl;
    const packing = new PayloadPacking(resolved.compression);
    logEvents(reporter, resolved.options.debug);
    const transactions = () => this.observer.transactions(dataSource);
    this.hub = new ChangeHub({
      ...resolved,
      store,
      near,
      dataSource,
      origin: createTokenSource()(),
      pending: () => this.pending,
      schema: () => (this.closed ? undefined : this.schema),
      reporter,
      transactions,
    });
    const { announce, announceLock, feeds } = this.hub;
    this.feeds = feeds;
    this.pending = new PendingInvalidations(store, announce);
    this.protocol = new CommitProtocol({
      store,
      pending: this.pending,
      consistency,
      lockTtl,
      tagTtl,
      tokens: createTokenSource(),
      clock: systemClock,
      reporter,
      logger,
      announce,
      announceLock,
    });
    this.analyzer = new SqlAnalyzer(dialect);
    this.observer = new StatementObserver({
      schema: () => (this.closed ? undefined : this.schema),
      analyzer: this.analyzer,
      sender: new LockedSender(
        this.protocol,
        { namespace, codecOf, packing, reporter, stripes: near.stripes },
        this.running,
      ),
      running: this.running,
      isClosing: () => this.closing !== undefined,
    });
    this.subscriber = new CacheSubscriber(
      () => this.schema,
      (runner) => this.observer.journalOf(runner),
    );
    this.reads = new Reads({
      dataSource,
      store,
      source,
      namespace,
      analyzer: this.analyzer,
      codecOf,
      packing,
      reporter,
      logger,
      history: new History(reporter),
      tagTtl,
      lockTtl,
      transactions,
      closedFor: () => this.closedFor(),
      options: resolved.options,
    });
  }

  /** For `attachCache()` only: hooks in, now or as soon as the data source knows its entities. */
  async attach(): Promise<void> {
    this.undo.push(
      this.observer.attach(this.dataSource),
      hookDataSource(this.dataSource, { onMetadata: () => this.start(), onDestroy: () => this.close() }),
    );
    if (this.dataSource.isInitialized) await this.start();
  }

  /**
   * A full TypeORM repository that reads through the cache.
   *
   * @throws CacheConfigError `NOT_CACHED` if the entity is not cached
   * @throws CacheStateError `CLOSED`, or `NOT_INITIALIZED` before `dataSource.initialize()`
   * @example
   * const products = cache.repository(Product);
   */
  repository<Entity extends ObjectLiteral>(target: EntityTarget<Entity>): CachedRepository<Entity> {
    return this.reads.repository(this.modelOf(target)) as unknown as CachedRepository<Entity>;
  }

  /**
   * Makes entries unreadable by hand, after a write that no connection of this data source has made.
   *
   * @param where a primary key, for everything that depends on that row as it is now; anything else, or nothing, for the
   *   whole table
   * @throws StoreError if the store does not answer; the invalidation is then made up for as soon as it does
   * @example
   * await cache.invalidate(Product, { id: 7 });
   */
  async invalidate<Entity extends ObjectLiteral>(
    target: EntityTarget<Entity>,
    where?: FindOptionsWhere<Entity>,
  ): Promise<void> {
    const model = this.modelOf(target);
    const key = where === undefined ? undefined : primaryKeyIn(model, where);
    const tags = key ? await tagsOfRow(this.dataSource, this.started(), model.group, key) : [epochTag(model.group)];
    await this.hub.invalidate(tags);
  }

  /**
   * Makes every entry of this cache unreadable; touches nothing else that the store holds.
   *
   * @throws StoreError if the store does not answer; the invalidation is then made up for as soon as it does
   */
  async clear(): Promise<void> {
    await this.hub.invalidate(this.started().groups.map(epochTag));
  }

  /**
   * Calls `listener` for every event of that name; see `CacheEvents`. What a listener throws is ignored.
   *
   * @returns a function that stops listening
   * @example
   * const stop = cache.on("bypass", ({ method, reason }) => console.log(method, reason));
   */
  on<Name extends CacheEventName>(name: Name, listener: (event: CacheEvents[Name]) => void): () => void {
    return this.reporter.on(name, listener);
  }

  /** Counters since the cache was attached. */
  stats(): CacheStats {
    return this.reporter.stats(this.pending.size, ninesOf);
  }

  /**
   * What the cache would do with a read: under which keys and tags, whether an entry is there, or why it would not take part.
   * Nothing is counted or filled. A read that takes more than a look at its keys is really made, to learn its statements.
   *
   * @example
   * await cache.explain(Product, "findOne", { where: { sku: "A-1" } });
   */
  async explain<Entity extends ObjectLiteral>(
    target: EntityTarget<Entity>,
    method: ExplainedMethod,
    options: FindManyOptions<Entity>,
  ): Promise<Explanation> {
    const model = this.modelOf(target);
    const untyped: object = options;
    return this.reads.explain(model, method, untyped);
  }

  /**
   * Detaches from the data source and closes the store; repositories go on, straight to the database. Resolves when what was under way
   * has ended: feeds, statements with their locks, and transactions, for `lockTtl` at most. Writes that begin after the call are not
   * followed any more, so it is the last thing to do, and `dataSource.destroy()` does it.
   */
  close(): Promise<void> {
    this.closing ??= this.detach();
    return this.closing;
  }

  private async detach(): Promise<void> {
    await Promise.all([this.feeds.close(), this.reads.close()]);
    await this.running.over(this.resolved.lockTtl);
    await this.pending.drain();
    this.closed = true;
    this.pending.stop();
    this.protocol.stop();
    for (const step of this.undo.reverse()) step();
    try {
      // One that would not open may be in the hands of another cache.
      if (this.opened) await this.store.close();
    } finally {
      this.onClose();
    }
  }

  private async start(): Promise<void> {
    const { dataSource, resolved } = this;
    const schema = resolveSchema(dataSource, resolved.options);
    this.analyzer.declare(resolveRoutines(dataSource, resolved.options));
    this.tagTtl = Math.max(LEAST_TAG_TTL, ...schema.models.map(({ settings }) => 2 * settings.ttl));
    const { namespace, lockTtl, storeTimeout: timeout } = resolved;
    const onStateChange: StoreContext["onStateChange"] = (state, cause) => this.stateChanged({ state, cause });
    await this.store.open({ namespace, lockTtl, timeout, onStateChange }, schema.groups);
    this.opened = true;
    for (const model of schema.models) this.codecs.set(model, new RowCodec(dataSource, model));
    this.schema = schema;
    this.undo.push(this.subscriber.attach(dataSource), this.reads.attach(schema));
    await this.hub.listen();
  }

  private stateChanged(event: CacheEvents["storeState"]): void {
    this.reporter.emit("storeState", event);
    if (event.state === "up") void this.pending.drain();
    else
      this.resolved.logger.warn("The cache's store is away; reads go to the database until it is back.", event.cause);
  }

  private closedFor(): BypassReason | undefined {
    if (this.closing !== undefined) return "closed";
    if (this.pending.size > 0) return "store-unavailable";
    return this.observer.transactions(this.dataSource).open ? "transaction" : undefined;
  }

  private started(): Schema {
    if (this.closing !== undefined) throw new CacheStateError("CLOSED", "This cache is closed. Attach a new one.");
    if (this.schema !== undefined) return this.schema;
    throw new CacheStateError(
      "NOT_INITIALIZED",
      "The data source is not initialised yet. Call dataSource.initialize() first.",
    );
  }

  private modelOf(target: EntityTarget<ObjectLiteral>): EntityModel {
    const model = this.started().modelOf(target);
    if (model !== undefined) return model;
    const name = typeof target === "function" ? target.name : JSON.stringify(target);
    throw new CacheConfigError(
      "NOT_CACHED",
      `${name} is not cached. Put @Cached() on it, or name it in the option entities.`,
    );
  }
}
