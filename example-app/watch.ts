import { AsyncLocalStorage } from "node:async_hooks";
import type { Logger } from "typeorm";
import type { CacheEvents, CoherentCache } from "typeorm-coherent";

/** What one piece of work made the cache and the database do. */
export interface Trace {
  readonly reads: { readonly outcome: "hit" | "miss" | "bypass"; readonly entity: string; readonly why?: string }[];
  readonly invalidated: CacheEvents["invalidate"][];
  readonly writtenThrough: CacheEvents["writeThrough"][];
  /** SQL, as it was sent. */
  readonly statements: string[];
}

/**
 * Tells what a piece of work made the cache do: events come while the read or write that causes them is under way, so each
 * belongs to the trace of the asynchronous call chain it comes in. Other requests have traces of their own.
 */
export class Watch {
  private readonly traces = new AsyncLocalStorage<Trace>();

  /** Goes into the data source; hears of every statement. */
  readonly logger: Logger = {
    logQuery: (query) => void this.traces.getStore()?.statements.push(query),
    logQueryError: () => undefined,
    logQuerySlow: () => undefined,
    logSchemaBuild: () => undefined,
    logMigration: () => undefined,
    log: () => undefined,
  };

  attach(cache: CoherentCache): void {
    const trace = () => this.traces.getStore();
    cache.on("hit", ({ entity }) => trace()?.reads.push({ outcome: "hit", entity }));
    cache.on("miss", ({ entity, why }) => trace()?.reads.push({ outcome: "miss", entity, why }));
    cache.on("bypass", ({ entity, reason }) => trace()?.reads.push({ outcome: "bypass", entity, why: reason }));
    cache.on("invalidate", (event) => trace()?.invalidated.push(event));
    cache.on("writeThrough", (event) => trace()?.writtenThrough.push(event));
  }

  /** Runs `work` under a trace that fills as it goes on, also if it fails. */
  run<Result>(trace: Trace, work: () => Promise<Result>): Promise<Result> {
    return this.traces.run(trace, work);
  }
}

export function newTrace(): Trace {
  return { reads: [], invalidated: [], writtenThrough: [], statements: [] };
}

/**
 * One word for all reads of a trace: hit if the cache had everything, bypass if it took no part, else miss.
 */
export function outcomeOf({ reads }: Trace): "hit" | "miss" | "bypass" {
  if (reads.some(({ outcome }) => outcome === "miss")) return "miss";
  return reads.some(({ outcome }) => outcome === "hit") ? "hit" : "bypass";
}

/** Why it was not a hit, or how many of several reads were which; empty for a single hit. */
export function reasonOf({ reads }: Trace): string {
  const hits = reads.filter(({ outcome }) => outcome === "hit").length;
  if (hits > 0)
    return reads.length === 1 ? "" : hits === reads.length ? `${hits} reads` : `${hits} of ${reads.length} hit`;
  const reasons = new Set(reads.map(({ why }) => why));
  return reasons.size > 1 ? `${reads.length} reads` : (reads[0]?.why ?? "");
}
