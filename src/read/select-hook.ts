import type { DataSource, EntityMetadata, QueryRunner } from "typeorm";
import type { RawRow } from "../codec/row-codec";
import { dataSourceOf } from "../metadata/data-source-hooks";
import { currentScope, endScopes, inScope } from "./read-scope";

/** One SELECT of TypeORM's, about to be sent. */
export interface Select {
  readonly expressionMap: {
    /** What `.cache(...)` or the find option said; undefined for nothing. */
    readonly cache?: boolean;
    /** Milliseconds. */
    readonly cacheDuration?: number;
    readonly mainAlias?: { readonly hasMetadata: boolean; readonly metadata: EntityMetadata };
  };
  getQueryAndParameters(): [string, readonly unknown[]];
}

/** Takes the place of the database. */
export interface SelectInterceptor {
  /** Whether SELECTs are cached of which nobody has said that they should be. */
  readonly transparent: boolean;
  /** The rows of a SELECT that TypeORM sends on a query runner of its own; undefined to have it sent. */
  rowsOf(select: Select, runner: QueryRunner): Promise<readonly RawRow[] | undefined>;
}

interface SelectInternals extends Select {
  /** The caller's, if he gave one. */
  readonly queryRunner?: QueryRunner;
}

type Execute<Result> = (this: SelectInternals, runner: QueryRunner) => Promise<Result>;

/** What all query builders share; the names are the same in TypeORM 0.3 and 1.x. */
interface SelectPrototype {
  loadRawResults: Execute<readonly RawRow[]>;
  executeExistsQuery: Execute<boolean>;
  executeEntitiesAndRawResults: Execute<unknown>;
}

const interceptors = new WeakMap<DataSource, SelectInterceptor>();
const hooked = new Map<SelectPrototype, { users: number; readonly undo: () => void }>();

/**
 * Has the SELECTs of a data source pass an interceptor. Everything that reads comes to `loadRawResults`: find methods, query builders,
 * relations, trees, repositories that were taken before. What the caller sends on a query runner of his own does not pass, and so
 * neither does what `save()` reads for itself.
 *
 * @returns a function that takes the hook away
 */
export function hookSelects(dataSource: DataSource, interceptor: SelectInterceptor): () => void {
  interceptors.set(dataSource, interceptor);
  // Of the copy of TypeORM that the data source is from; there may be two.
  const prototype = Object.getPrototypeOf(dataSource.createQueryBuilder()) as SelectPrototype;
  const hook = hooked.get(prototype) ?? { users: 0, undo: patch(prototype) };
  hook.users += 1;
  hooked.set(prototype, hook);
  return () => {
    interceptors.delete(dataSource);
    hook.users -= 1;
    if (hook.users > 0) return;
    hooked.delete(prototype);
    hook.undo();
    if (hooked.size === 0) endScopes();
  };
}

function patch(prototype: SelectPrototype): () => void {
  const { loadRawResults, executeExistsQuery, executeEntitiesAndRawResults } = prototype;
  prototype.loadRawResults = async function (runner) {
    const interceptor = interceptorOf(this);
    const rows = interceptor !== undefined && isOwn(this, runner) ? await interceptor.rowsOf(this, runner) : undefined;
    return rows ?? loadRawResults.call(this, runner);
  };
  prototype.executeExistsQuery = nesting(executeExistsQuery);
  prototype.executeEntitiesAndRawResults = nesting(executeEntitiesAndRawResults);
  return () => Object.assign(prototype, { loadRawResults, executeExistsQuery, executeEntitiesAndRawResults });
}

/** These have other query builders load for them, which know neither what `.cache(...)` said nor whose query runner it is. */
function nesting<Result>(execute: Execute<Result>): Execute<Result> {
  return function (runner) {
    const interceptor = interceptorOf(this);
    const { cache, cacheDuration } = this.expressionMap;
    // A scope has its price, and those who want no cache do not pay it.
    if (interceptor === undefined || (cache !== true && !(currentScope().cached ?? interceptor.transparent))) {
      return execute.call(this, runner);
    }
    return inScope(
      {
        runner: { used: runner, own: isOwn(this, runner) },
        ...(cache === undefined ? {} : { cached: cache, ttl: cacheDuration }),
      },
      () => execute.call(this, runner),
    );
  };
}

/** Whether TypeORM made this query runner for one read, so that nobody's transaction runs on it. On SQLite all share one. */
function isOwn(select: SelectInternals, used: QueryRunner): boolean {
  const { runner } = currentScope();
  return runner?.used === used ? runner.own : used !== select.queryRunner;
}

function interceptorOf(select: SelectInternals): SelectInterceptor | undefined {
  const found = dataSourceOf(select);
  return found === undefined ? undefined : interceptors.get(found);
}
