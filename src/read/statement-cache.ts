import type { QueryRunner } from "typeorm";
import { UnencodableValue } from "../codec/raw-value";
import { decodeResult, encodeResult } from "../codec/result-codec";
import type { RawRow } from "../codec/row-codec";
import { placed } from "../core/stripe";
import type { Tag } from "../core/tag";
import type { BypassReason, CacheReporter, UnfilledReason } from "../events";
import type { EntityModel } from "../metadata/entity-model";
import type { EntitySettings } from "../metadata/entity-settings";
import type { ConsistencyMeter } from "./consistency-meter";
import type { EntryReader, Opening } from "./entry-reader";
import type { Fill, Lookup } from "./filler";
import { memberTags } from "./key-members";
import { currentScope, type ReadScope } from "./read-scope";
import type { Select, SelectInterceptor } from "./select-hook";
import { SharedLoads, type LoadPlan, type SharedLoadsOptions } from "./shared-loads";
import { statementQuery, type StatementContext, type StatementQuery } from "./statement-lookup";

/** What caching statements needs of the cache around it. */
export interface StatementCacheOptions {
  readonly context: StatementContext;
  readonly entries: EntryReader;
  readonly sharing: SharedLoadsOptions;
  readonly meter: ConsistencyMeter | undefined;
  readonly reporter: CacheReporter;
  /** Whether SELECTs are cached of which nobody has said that they should be. */
  readonly transparent: boolean;
  /** Of what belongs to no cached entity. */
  readonly settings: EntitySettings;
  /** Why nothing may be served right now. */
  readonly closedFor: () => BypassReason | undefined;
  readonly onPrimary: OnPrimary;
  /** Into how many parts the store cuts each table. */
  readonly stripes: number;
}

/** Runs something on a connection that shows what was committed: the given one if that does, else one of its own. */
export type OnPrimary = <Result>(run: (runner: QueryRunner) => Promise<Result>, given?: QueryRunner) => Promise<Result>;

/** A SELECT that can be looked up, and what it takes to load and fill it. */
interface StatementLookup extends Lookup, Pick<StatementQuery, "reveal" | "members"> {
  readonly sql: string;
  readonly parameters: readonly unknown[];
  /** `ttl` for a result without rows; 0 for not at all. */
  readonly emptyTtl: number;
}

interface Loaded {
  readonly rows: readonly RawRow[];
  /** Undefined if some value would not come back exactly. */
  readonly payload: string | undefined;
  /** Of rows that the statement read, whether or not it shows them. */
  readonly memberTags: readonly Tag[];
}

/**
 * Serves the SELECTs that TypeORM makes, whatever they are made for, under their SQL and parameters. TypeORM turns the rows into
 * entities itself, on a hit as on a load.
 */
export class StatementCache implements SelectInterceptor {
  private readonly loads: SharedLoads<Loaded>;

  readonly transparent: boolean;

  constructor(private readonly options: StatementCacheOptions) {
    this.transparent = options.transparent;
    this.loads = new SharedLoads(options.sharing);
  }

  async rowsOf(select: Select, runner: QueryRunner): Promise<readonly RawRow[] | undefined> {
    const scope = currentScope();
    const { cache } = select.expressionMap;
    const offered = scope.cached ?? this.transparent;
    // What nobody asked to be cached, and is not, is no event.
    if (cache !== true && !offered) return undefined;
    const asked = cache === false ? "cache-off" : this.lookupOf(select, runner, scope);
    if (scope.explain !== undefined) return this.explain(asked, scope.explain);
    const found = typeof asked === "string" ? asked : await this.serve(asked, runner);
    if (typeof found !== "string") return found;
    const method = scope.method ?? "query builder";
    this.options.reporter.emit("bypass", { entity: this.nameOf(select), method, reason: found });
    return undefined;
  }

  private lookupOf(select: Select, runner: QueryRunner, scope: ReadScope): StatementLookup | BypassReason {
    const { closedFor, context } = this.options;
    const closed = closedFor() ?? (runner.isTransactionActive ? "transaction" : undefined);
    if (closed !== undefined) return closed;
    const [sql, parameters] = select.getQueryAndParameters();
    const query = statementQuery(context, sql, parameters);
    if (typeof query === "string") return query;
    const [group = ""] = query.groups;
    const settings =
      (this.modelOf(select) ?? context.schema.tableOf(group)?.models[0])?.settings ?? this.options.settings;
    const { text, tags, revealing, reveal, members } = query;
    const ttl = select.expressionMap.cacheDuration ?? scope.ttl ?? settings.ttl;
    const place = placed(group, text, tags, this.options.stripes);
    const lookup = { entity: this.nameOf(select), settings, ttl, key: text, text, revealing };
    return { ...lookup, ...place, reveal, members, sql, parameters, emptyTtl: Math.min(ttl, settings.negativeTtl) };
  }

  private async serve(lookup: StatementLookup, runner: QueryRunner): Promise<readonly RawRow[] | BypassReason> {
    const { entries, onPrimary, meter } = this.options;
    const planOn = (given?: QueryRunner): LoadPlan<Loaded> => ({
      load: () => onPrimary((primary) => load(primary, lookup), given),
      outcomesOf: (loaded) => [{ ...lookup, fill: fillOf(lookup, loaded) }],
      open: decodeResult,
    });
    // Not on the caller's runner, as below.
    const checked = meter && ((_: StatementLookup, payload: string) => meter.hit(lookup, payload, () => planOn()));
    const looked = await entries.look([lookup], ROWS, checked);
    if (looked === undefined) return "store-unavailable";
    const [hit] = looked.hits;
    if (hit !== undefined) {
      // Not on the caller's runner, which he may have released by then.
      if (looked.stale.length > 0) this.loads.renew(looked.stale, planOn());
      return hit;
    }
    const found = await this.loads.run(looked.missed, planOn(runner));
    if ("payload" in found) return decodeResult(found.payload);
    const { value, own } = found;
    // Rows of its own for one who waited for another's load: TypeORM hands them on to the caller.
    return own || value.payload === undefined ? value.rows : decodeResult(value.payload);
  }

  private async explain(
    asked: StatementLookup | BypassReason,
    tell: NonNullable<ReadScope["explain"]>,
  ): Promise<readonly RawRow[] | undefined> {
    if (typeof asked === "string") {
      tell(asked);
      return undefined;
    }
    const [answer] = (await this.options.entries.ask([asked])) ?? [];
    const { key, tags, ttl, settings } = asked;
    if (answer === undefined) tell("store-unavailable");
    else tell({ kind: "statement", key, tags, ttl, settings, present: answer.outcome === "hit" });
    return undefined;
  }

  private modelOf({ expressionMap: { mainAlias } }: Select): EntityModel | undefined {
    return mainAlias?.hasMetadata === true ? this.options.context.schema.modelOf(mainAlias.metadata.target) : undefined;
  }

  /** For events; a query builder need not begin with an entity. */
  private nameOf({ expressionMap: { mainAlias } }: Select): string {
    return mainAlias?.hasMetadata === true ? mainAlias.metadata.name : "";
  }
}

/** Rows are handed on to TypeORM, and by it to the caller, so they are parsed each time. */
const ROWS: Opening<string, RawRow[]> = { decode: (payload) => payload, make: decodeResult, isReusable: () => false };

/** Past TypeORM's own query cache, which knows no writes. */
async function load(runner: QueryRunner, { sql, parameters, members }: StatementLookup): Promise<Loaded> {
  const tags = await memberTags(runner, members);
  const { records } = (await runner.query(sql, [...parameters], true)) as { readonly records: RawRow[] };
  try {
    return { rows: records, payload: encodeResult(records), memberTags: tags };
  } catch (error) {
    if (error instanceof UnencodableValue) return { rows: records, payload: undefined, memberTags: tags };
    throw error;
  }
}

function fillOf(
  { ttl, emptyTtl, reveal }: StatementLookup,
  { rows, payload, memberTags }: Loaded,
): Fill | UnfilledReason {
  if (payload === undefined) return "unencodable";
  const lifetime = rows.length > 0 ? ttl : emptyTtl;
  return lifetime === 0
    ? "negative-off"
    : { payload, rowTags: [...new Set([...reveal(rows), ...memberTags])], ttl: lifetime };
}
