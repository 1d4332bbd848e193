import { ninesOf } from "../core/nines";
import type {
  BypassReason,
  CacheEventName,
  CacheEvents,
  CacheStats,
  CheckOutcome,
  MissReason,
  StoreState,
  UndecidedReason,
  UnfilledReason,
  WritePath,
} from "../events";
import { publish } from "./event-channels";
import { isTraced, traced, type OperationName, type Operations } from "./operations";

type Rejection = keyof CacheStats["rejected"];

type Listener<Name extends CacheEventName> = (event: CacheEvents[Name]) => void;

/**
 * Counts, and tells: those who listen to the cache, and those who listen to the channels of the process. A listener that throws is
 * ignored: no read and no write may fail because somebody watches.
 */
export class CacheReporter {
  private readonly listeners = new Map<CacheEventName, Set<Listener<never>>>();
  private readonly misses: Record<MissReason, number> = { absent: 0, stale: 0, corrupt: 0, collision: 0, unsigned: 0 };
  private readonly unfilled: Record<UnfilledReason, number> = {
    locked: 0,
    raced: 0,
    transaction: 0,
    unencodable: 0,
    "negative-off": 0,
    ambiguous: 0,
    "too-large": 0,
    failed: 0,
  };
  private readonly invalidations: Record<WritePath, number> = {
    transaction: 0,
    statement: 0,
    "by-hand": 0,
    message: 0,
    feed: 0,
    "made-up-for": 0,
  };
  private readonly bypasses: Partial<Record<BypassReason, number>> = {};
  private readonly nearHits = { verify: 0, trust: 0 };
  private readonly rejected: Record<Rejection, number> = { malformed: 0, oversized: 0, unsigned: 0, unknown: 0 };
  private storeState: StoreState = "up";
  private outages = 0;
  private readonly checks = { equal: 0, mismatch: 0, dropped: 0 };
  private readonly undecided: Record<UndecidedReason, number> = {
    changed: 0,
    transaction: 0,
    incomparable: 0,
    failed: 0,
  };
  private readonly counts = {
    hit: 0,
    staleHit: 0,
    fill: 0,
    lock: 0,
    invalidate: 0,
    writeThrough: 0,
    storeError: 0,
    invalidated: 0,
    gap: 0,
  };

  /** @param cache names the cache to those who listen to several: its namespace */
  constructor(readonly cache: string) {}

  /** @returns a function that stops listening */
  on<Name extends CacheEventName>(name: Name, listener: Listener<Name>): () => void {
    const listeners = this.listeners.get(name) ?? new Set();
    listeners.add(listener);
    this.listeners.set(name, listeners);
    return () => listeners.delete(listener);
  }

  emit<Name extends CacheEventName>(name: Name, event: CacheEvents[Name]): void {
    this.count(name, event);
    publish(this.cache, name, event);
    const listeners = this.listeners.get(name);
    if (listeners === undefined) return;
    for (const listener of listeners) {
      try {
        (listener as Listener<Name>)(event);
      } catch {
        // A watcher's fault stays the watcher's.
      }
    }
  }

  /** Whether somebody listens to an operation: who runs often, and would have to make something for {@link trace}, asks before. */
  isTraced(name: OperationName): boolean {
    return isTraced(name);
  }

  /**
   * Runs an operation, and tells those who listen when it begins and ends. What answers at once still does.
   *
   * @param about asked only if somebody listens
   * @param run gets what is told, to add to it; undefined if nobody listens
   */
  trace<Name extends OperationName, Result>(
    name: Name,
    about: () => Operations[Name],
    run: (operation: Operations[Name] | undefined) => Result,
  ): Result {
    if (!isTraced(name)) return run(undefined);
    return traced(name, { cache: this.cache, ...about() }, run);
  }

  /** @param now what only the cache around this knows */
  stats({ pending, near }: Pick<CacheStats, "pending" | "near">): CacheStats {
    const { equal, mismatch, dropped } = this.checks;
    const checked = equal + mismatch;
    const undecided = { ...this.undecided };
    return {
      consistency: { checked, mismatches: mismatch, undecided, dropped, ...ninesOf(checked, mismatch) },
      hits: this.counts.hit,
      staleHits: this.counts.staleHit,
      misses: { ...this.misses },
      fills: this.counts.fill,
      unfilled: { ...this.unfilled },
      bypasses: { ...this.bypasses },
      locks: this.counts.lock,
      invalidations: this.counts.invalidate,
      invalidationsBy: { ...this.invalidations },
      writeThroughs: this.counts.writeThrough,
      storeErrors: this.counts.storeError,
      storeState: this.storeState,
      outages: this.outages,
      nearHits: { ...this.nearHits },
      near,
      pending,
      invalidated: this.counts.invalidated,
      gaps: this.counts.gap,
      rejected: { ...this.rejected },
    };
  }

  private count<Name extends CacheEventName>(name: Name, event: CacheEvents[Name]): void {
    if (name in this.counts) {
      this.counts[name as keyof typeof this.counts] += 1;
      if (name === "invalidate") this.invalidations[(event as CacheEvents["invalidate"]).path] += 1;
      return;
    }
    if (name === "checked") return this.countCheck(event as CacheEvents["checked"]);
    const { why, reason } = event as { readonly why?: string; readonly reason?: BypassReason };
    if (name === "nearHit") this.nearHits[(event as CacheEvents["nearHit"]).mode] += 1;
    else if (name === "bypass" && reason !== undefined) this.bypasses[reason] = (this.bypasses[reason] ?? 0) + 1;
    else if (name === "storeState") this.noteState((event as CacheEvents["storeState"]).state);
    else if (name === "rejected") this.rejected[why as Rejection] += 1;
    else if (name === "miss") this.misses[why as MissReason] += 1;
    else if (name === "unfilled") this.unfilled[why as UnfilledReason] += 1;
  }

  private noteState(state: StoreState): void {
    this.storeState = state;
    if (state === "down") this.outages += 1;
  }

  private countCheck(check: CheckOutcome): void {
    if (check.outcome === "undecided") this.undecided[check.why] += 1;
    else this.checks[check.outcome] += 1;
  }
}
