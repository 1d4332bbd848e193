import { inspect } from "node:util";
import { CacheConfigError } from "../../errors";
import type { PauseSettings } from "./probe-pauses";

/**
 * The circuit breaker of a store: calls that fail in a row open it, and then every call fails at once, until a probe has found Redis
 * well. What counts as a failure: see docs/outages.md.
 *
 * @example
 * new RedisStore(redis, { breaker: { openAfter: 3, probeAtMost: 10_000 } })
 */
export interface BreakerOptions {
  /** Failures in a row; calls that were under way together count once. Default: 5. */
  readonly openAfter?: number;
  /** Milliseconds until the first probe, at most; each pause after it is twice as long, half of each by chance. Default: 50. */
  readonly probeAfter?: number;
  /** Milliseconds between two probes, at most. Default: 2000. */
  readonly probeAtMost?: number;
}

/** The same with all defaults. */
export interface BreakerSettings extends PauseSettings {
  readonly openAfter: number;
}

const DEFAULTS: BreakerSettings = Object.freeze({ openAfter: 5, probeAfter: 50, probeAtMost: 2000 });
const LONGEST_PAUSE = 3_600_000;

/** @throws CacheConfigError CONFIG_INVALID if an option cannot be meant */
export function breakerSettings(options: BreakerOptions = {}): BreakerSettings {
  if (typeof options !== "object" || options === null) {
    throw invalid(`breaker is ${inspect(options)}, but must be an object: { openAfter, probeAfter, probeAtMost }.`);
  }
  const { openAfter, probeAfter, probeAtMost } = { ...DEFAULTS, ...options };
  if (!Number.isSafeInteger(openAfter) || openAfter < 1) {
    throw invalid(`breaker.openAfter is ${inspect(openAfter)}, but must be a number of failures, at least 1.`);
  }
  for (const [name, pause] of Object.entries({ probeAfter, probeAtMost })) {
    if (typeof pause === "number" && pause >= 1 && pause <= LONGEST_PAUSE) continue;
    throw invalid(`breaker.${name} is ${inspect(pause)}, but must be milliseconds from 1 to ${LONGEST_PAUSE}.`);
  }
  if (probeAtMost < probeAfter) {
    throw invalid(`breaker.probeAtMost (${probeAtMost} ms) must not be below probeAfter (${probeAfter} ms).`);
  }
  return { openAfter, probeAfter, probeAtMost };
}

function invalid(problem: string): CacheConfigError {
  return new CacheConfigError("CONFIG_INVALID", `RedisStore: ${problem}`);
}
