import { AsyncLocalStorage } from "node:async_hooks";
import type { QueryRunner } from "typeorm";
import type { BypassReason } from "../events";
import type { ExplainedEntry } from "./explain";

/** What the statements that one call of a find method, or one query builder, sends have in common. */
export interface ReadScope {
  /** Whether they are to be served from the cache; undefined if nobody has said. */
  readonly cached?: boolean | undefined;
  /** For events: the method that was called. */
  readonly method?: string;
  /** Milliseconds, if the call names its own TTL. */
  readonly ttl?: number | undefined;
  /** Told of each statement instead of counting, filling and reporting it: the read is made to be explained. */
  readonly explain?: (statement: ExplainedEntry | BypassReason) => void;
  /** What the statements are sent on, and whether TypeORM made it just for them. */
  readonly runner?: { readonly used: QueryRunner; readonly own: boolean };
}

const scopes = new AsyncLocalStorage<ReadScope>();

/** Runs a call; what it sends, now or later, is in the scope, and in what is said of the scope around it. */
export function inScope<Result>(scope: ReadScope, call: () => Result): Result {
  return scopes.run({ ...scopes.getStore(), ...scope }, call);
}

/** The scope of the call that is running. */
export function currentScope(): ReadScope {
  return scopes.getStore() ?? NONE;
}

/** Ends all scopes. Up to Node 22 a storage that was used once costs every promise of the process a little until then. */
export function endScopes(): void {
  scopes.disable();
}

const NONE: ReadScope = {};
