import type { DataSource, EntityTarget, FindManyOptions, ObjectLiteral, QueryRunner } from "typeorm";
import type { PayloadPacking } from "../codec/payload-packing";
import type { RowCodec } from "../codec/row-codec";
import type { BypassReason, CacheReporter } from "../events";
import { createTokenSource } from "../core/token";
import type { EntityModel } from "../metadata/entity-model";
import { defaultSettings } from "../metadata/entity-settings";
import type { Schema } from "../metadata/schema";
import type { CacheLogger, CacheOptions, Explanation } from "../options";
import { SelectAnalyzer } from "../sql/select-text";
import type { SqlAnalyzer } from "../sql/statement";
import type { Store } from "../store/store";
import type { History } from "../telemetry/history";
import { cacheableQuery } from "./cacheable-query";
import { ConsistencyMeter } from "./consistency-meter";
import { CachedRepository, setReader } from "./cached-repository";
import { EntityLoader } from "./entity-loader";
import { EntryReader } from "./entry-reader";
import { explainBypass, explainEntries, type ExplainedEntry } from "./explain";
import { Filler, type Lookup } from "./filler";
import { JointFlights } from "./joint-flights";
import { hookManager } from "./manager-hook";
import { inScope } from "./read-scope";
import { ReadThrough } from "./read-through";
import { hookSelects } from "./select-hook";
import type { SharedLoadsOptions } from "./shared-loads";
import { StatementCache } from "./statement-cache";

/** What reads need of the cache around them. */
export interface ReadsOptions {
  readonly dataSource: DataSource;
  readonly store: Store;
  /** The same without the copies of this process. */
  readonly source: Store;
  readonly namespace: string;
  readonly analyzer: SqlAnalyzer;
  readonly codecOf: (model: EntityModel) => RowCodec;
  readonly packing: PayloadPacking;
  readonly reporter: CacheReporter;
  readonly logger: CacheLogger;
  readonly history: History;
  readonly tagTtl: () => number;
  /** Milliseconds that another process's load is waited for. */
  readonly lockTtl: number;
  readonly transactions: SharedLoadsOptions["transactions"];
  /** Why nothing may be served right now. */
  readonly closedFor: () => BypassReason | undefined;
  readonly options: CacheOptions;
}

/** What can be explained. */
export type ExplainedMethod = keyof typeof READ_KIND | "findAndCount";

const READ_KIND = { find: "many", findOne: "one", exists: "exists", count: "count" } as const;

/** Everything that reads, put together. */
export class Reads {
  private readonly sharing: SharedLoadsOptions;
  private readonly entries: EntryReader;
  private readonly loader: EntityLoader;
  private readonly readThrough: ReadThrough;
  /** Undefined: nothing is checked. */
  private readonly meter: ConsistencyMeter | undefined;
  private readonly transparent: boolean;
  private readonly repositories = new Map<EntityModel, CachedRepository<ObjectLiteral>>();

  constructor(private readonly options: ReadsOptions) {
    const { store, namespace, reporter, logger, tagTtl, transactions, dataSource, codecOf, lockTtl, packing } = options;
    const filler = new Filler(store, packing, reporter, tagTtl);
    const entries = new EntryReader({ store, filler, packing, reporter, logger });
    this.entries = entries;
    const guarded: SharedLoadsOptions["guarded"] = (operation, call) => entries.guarded(operation, call);
    const ask = async (lookup: Lookup) => (await entries.ask([lookup]))?.[0];
    const joint = new JointFlights({ store, ask, guarded, tokens: createTokenSource(), patience: lockTtl });
    this.sharing = { filler, transactions, guarded, joint, packing };
    this.transparent = options.options.transparent === true;
    this.loader = new EntityLoader(dataSource, this.transparent);
    this.meter = meterOf(options, entries);
    const { sharing, loader, meter } = this;
    const { stripes = 1 } = store;
    this.readThrough = new ReadThrough({ namespace, entries, sharing, loader, codecOf, meter, stripes });
  }

  /** Waits for what goes on in the background. */
  async close(): Promise<void> {
    await this.meter?.close();
  }

  /** The one repository of an entity that reads through the cache. */
  repository(model: EntityModel): CachedRepository<ObjectLiteral> {
    const known =
      this.repositories.get(model) ?? new CachedRepository(model.metadata.target, this.options.dataSource.manager);
    this.repositories.set(model, known);
    return known;
  }

  /**
   * Lets the repositories and query builders of the data source read through the cache.
   *
   * @returns a function that takes it away again
   */
  attach(schema: Schema): () => void {
    const { dataSource, analyzer, reporter, closedFor, options } = this.options;
    const { transparent } = this;
    setReader(dataSource, {
      readThrough: this.readThrough,
      reporter,
      modelOf: (target) => schema.modelOf(target),
      transparent,
      closedFor,
    });
    const statements = new StatementCache({
      context: {
        schema,
        statements: analyzer,
        selects: new SelectAnalyzer(analyzer.dialect),
        driver: dataSource.options.type,
      },
      entries: this.entries,
      sharing: this.sharing,
      meter: this.meter,
      reporter,
      transparent,
      settings: defaultSettings(options),
      closedFor,
      stripes: this.options.store.stripes ?? 1,
      onPrimary: (run, given) => this.loader.onPrimary((primary) => this.onRunner(run, primary ?? given)),
    });
    const undo = [hookSelects(dataSource, statements)];
    if (transparent) {
      const repositoryOf = (target: EntityTarget<ObjectLiteral>) => {
        const model = schema.modelOf(target);
        return model && this.repository(model);
      };
      undo.push(hookManager(dataSource.manager, repositoryOf));
    }
    return () => {
      for (const step of undo) step();
    };
  }

  /** See {@link CoherentCache.explain}. */
  async explain(
    model: EntityModel,
    method: ExplainedMethod,
    options: FindManyOptions<ObjectLiteral>,
  ): Promise<Explanation> {
    const read = `${model.name}.${method}()`;
    const plan =
      this.options.closedFor() ??
      (method === "findAndCount" ? undefined : cacheableQuery(model, READ_KIND[method], options));
    if (typeof plan === "string") return explainBypass(read, plan);
    const entries =
      plan === undefined
        ? await this.explainStatements(model, method, options)
        : await this.readThrough.explain(model, plan);
    return typeof entries === "string"
      ? explainBypass(read, entries)
      : explainEntries(read, entries, this.options.history);
  }

  private async onRunner<Result>(
    run: (runner: QueryRunner) => Promise<Result>,
    given: QueryRunner | undefined,
  ): Promise<Result> {
    if (given !== undefined) return run(given);
    const runner = this.options.dataSource.createQueryRunner();
    try {
      return await run(runner);
    } finally {
      await runner.release();
    }
  }

  private async explainStatements(
    { metadata }: EntityModel,
    method: ExplainedMethod,
    options: FindManyOptions<ObjectLiteral>,
  ): Promise<readonly ExplainedEntry[] | BypassReason> {
    const entries: ExplainedEntry[] = [];
    let reason: BypassReason | undefined;
    const explain = (found: ExplainedEntry | BypassReason): void => {
      if (typeof found === "string") reason ??= found;
      else entries.push(found);
    };
    await inScope({ cached: true, explain }, () => {
      const repository = this.options.dataSource.getRepository<ObjectLiteral>(metadata.target);
      return repository[method](options);
    });
    return reason ?? entries;
  }
}

function meterOf(options: ReadsOptions, entries: EntryReader): ConsistencyMeter | undefined {
  const { source: store, transactions, packing, reporter, history } = options;
  const { consistencyCheck } = options.options;
  if (consistencyCheck === undefined) return undefined;
  const report: EntryReader["report"] = (...fault) => entries.report(...fault);
  return new ConsistencyMeter({ ...consistencyCheck, store, transactions, packing, reporter, report, history });
}
