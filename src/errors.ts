/** The stable codes of {@link CacheError}; a code never changes its meaning. */
export type CacheErrorCode =
  | "CONFIG_INVALID"
  | "KEY_COLUMN_UNKNOWN"
  | "KEY_RELATION_WITHOUT_JOIN_COLUMN"
  | "NOT_AN_ENTITY"
  | "DRIVER_UNSUPPORTED"
  | "ALREADY_ATTACHED"
  | "NOT_INITIALIZED"
  | "NOT_CACHED"
  | "CLOSED"
  | "KEY_BUILDER_FAILED"
  | "STORE_TIMEOUT"
  | "STORE_UNAVAILABLE"
  | "STORE_UNSUPPORTED"
  | "LOCK_FAILED"
  | "LOCK_TOO_SLOW";

/** What an error is about; every field is optional and safe to log. */
export interface CacheErrorDetails {
  readonly entity?: string;
  readonly key?: string;
  readonly cause?: unknown;
}

/**
 * The base of every error that this library throws. Catch it by class, tell causes apart by `code`.
 *
 * @example
 * try { await manager.save(product) } catch (error) {
 *   if (error instanceof CacheError && error.code === "LOCK_FAILED") retryLater();
 * }
 */
export class CacheError extends Error {
  readonly code: CacheErrorCode;
  readonly entity?: string;
  readonly key?: string;

  constructor(code: CacheErrorCode, message: string, details: CacheErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = new.target.name;
    this.code = code;
    if (details.entity !== undefined) this.entity = details.entity;
    if (details.key !== undefined) this.key = details.key;
  }
}

/** A decorator or an option says something that cannot be meant; thrown while attaching, before any query runs. */
export class CacheConfigError extends CacheError {}

/** The cache cannot be used in its present state: attached twice, not initialised yet, or closed. */
export class CacheStateError extends CacheError {}

/** A user's key builder threw, or returned something that is not a non-empty text. The read went to the database. */
export class KeyBuilderError extends CacheError {}

/** The store did not answer, or not in time. Reads fall back to the database; writes follow `consistency`. */
export class StoreError extends CacheError {}

/**
 * Strict mode only: the tags of a transaction could not be locked in time, so the transaction was not committed.
 * Nothing was written; the caller may try again.
 */
export class LockError extends CacheError {}
