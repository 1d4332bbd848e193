import { tracingChannel, type TracingChannel } from "node:diagnostics_channel";
import { isPromise } from "../core/awaitable";
import type { BypassReason, WritePath } from "../events";
import { tellable } from "./tellable";

/** What is told of every operation besides. Keys, tags, rows and parameters never are. */
export interface Traced {
  /** The namespace of the cache. */
  readonly cache: string;
  /** Milliseconds that it took; from its end on. */
  duration?: number;
  /** Why it failed; an error of ours, or else one that has the name of the other and nothing more. */
  error?: Error;
}

/** A read that asks the cache, with the load from the database and the fill if it was a miss. */
export interface ReadOperation {
  readonly entity: string;
  /** Of the repository, or "query builder". */
  readonly method: string;
  /** Whether it is looked up by a key, or by the SQL that TypeORM makes of it. */
  readonly by: "key" | "statement";
  /** From the answer of the store on. Of several entries: a miss if one of them was missed, stale if one of them was. */
  outcome?: "hit" | "stale" | "miss" | "bypass";
  /** Why the cache took no part. */
  reason?: BypassReason;
  /** Entries that were served. */
  hits?: number;
  /** Entries that were loaded. */
  misses?: number;
}

/** What was loaded is stored. */
export interface FillOperation {
  readonly entity: string;
  readonly entries: number;
}

/** What is written, on whose behalf tags are locked or invalidated. */
export interface WriteOperation {
  readonly path: WritePath;
  /** In words: "update product". */
  readonly cause: string;
  readonly tables: readonly string[];
  /** How many. */
  readonly tags: number;
}

/** A COMMIT, or a statement that commits by itself, waits for LOCK. */
export interface LockOperation extends WriteOperation {
  /** How often it was sent. */
  attempts?: number;
}

/** The end of a lock. */
export interface UnlockOperation extends WriteOperation {
  /** Milliseconds from the first LOCK to here; from the end on. */
  held?: number;
}

/** Tags are invalidated without a lock. */
export type InvalidateOperation = WriteOperation;

/** One call of the store. */
export interface StoreOperation {
  /** "redis", "memory". */
  readonly store: string;
  readonly operation: "read" | "check" | "prepare" | "claim" | "release" | "fill" | "lock" | "unlock" | "invalidate";
  /** How many entries, or else tags, it is about. */
  readonly items: number;
}

/** What is told of each operation, by the end of its name: `tracingChannel("typeorm-coherent:read")`. */
export interface Operations {
  read: ReadOperation;
  fill: FillOperation;
  lock: LockOperation;
  unlock: UnlockOperation;
  invalidate: InvalidateOperation;
  store: StoreOperation;
}

export type OperationName = keyof Operations;

/** The message of an operation; the same object from its start to its end. */
export type TracedOperation<Name extends OperationName = OperationName> = Operations[Name] & Traced;

type Channel = TracingChannel<object, object>;

/** The names of a version that has other messages would be others. */
const CHANNELS: { readonly [Name in OperationName]: Channel } = {
  read: tracingChannel<object, object>("typeorm-coherent:read"),
  fill: tracingChannel<object, object>("typeorm-coherent:fill"),
  lock: tracingChannel<object, object>("typeorm-coherent:lock"),
  unlock: tracingChannel<object, object>("typeorm-coherent:unlock"),
  invalidate: tracingChannel<object, object>("typeorm-coherent:invalidate"),
  store: tracingChannel<object, object>("typeorm-coherent:store"),
};

export function isTraced(name: OperationName): boolean {
  return CHANNELS[name].hasSubscribers;
}

/**
 * Runs an operation under its channel: `start`, `error` if it failed, `end` when it has returned, `asyncStart` and `asyncEnd` when it is over.
 * Unlike `tracePromise` of Node it tells no result, which would be rows, and what answers at once still does; all five come then too,
 * so that who listens need not know which operations do.
 */
export function traced<Name extends OperationName, Result>(
  name: Name,
  operation: TracedOperation<Name>,
  run: (operation: TracedOperation<Name>) => Result,
): Result {
  const { start, end, asyncStart, asyncEnd, error } = CHANNELS[name];
  const begun = performance.now();
  const over = () => {
    operation.duration ??= performance.now() - begun;
    asyncStart.publish(operation);
    asyncEnd.publish(operation);
  };
  const failed = (cause: unknown) => {
    operation.duration = performance.now() - begun;
    operation.error = tellable(cause);
    error.publish(operation);
  };
  return start.runStores(operation, () => {
    let result: Result;
    try {
      result = run(operation);
    } catch (cause) {
      failed(cause);
      end.publish(operation);
      over();
      throw cause;
    }
    end.publish(operation);
    if (!isPromise<unknown>(result)) {
      over();
      return result;
    }
    return result.then(
      (value: unknown) => {
        over();
        return value;
      },
      (cause: unknown) => {
        failed(cause);
        over();
        throw cause;
      },
    ) as Result;
  });
}
