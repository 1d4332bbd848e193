import type { ProbePauses } from "./probe-pauses";

/**
 * Counts failures. Whoever asks makes the calls and the probes, so nothing here costs a timer.
 *
 * @see Nygard, Release It!, "Stability Patterns"
 */
export class CircuitBreaker {
  private failures = 0;
  private failedAt = -Infinity;

  /** @param openAfter failures in a row */
  constructor(
    private readonly openAfter: number,
    private readonly pauses: ProbePauses,
  ) {}

  /** A call was answered in time. */
  succeeded(): void {
    this.failures = 0;
  }

  /**
   * A call was not, or the answer was that nothing can be done. Calls that were under way together count once: a stall of one moment
   * fails all that wait in it, and says no more than one of them.
   *
   * @param begun when it was sent
   * @returns whether it is time to open
   */
  failed(begun: number, now: number): boolean {
    if (begun < this.failedAt) return false;
    this.failedAt = now;
    this.failures += 1;
    if (this.failures < this.openAfter) return false;
    this.trip(now);
    return true;
  }

  /** It is opened, whatever was counted. */
  trip(now: number): void {
    this.pauses.failed(now);
  }

  closed(now: number): void {
    this.pauses.up(now);
    this.failures = 0;
    this.failedAt = -Infinity;
  }
}
