/** How long it takes until the next try; milliseconds. */
export interface PauseSettings {
  /** The first pause, at most; each one after it is twice as long. */
  readonly probeAfter: number;
  readonly probeAtMost: number;
}

/** The pauses between tries of something that is away. */
export class ProbePauses {
  private tries = 0;
  private upAt = -Infinity;

  /** @param random from 0 to 1 */
  constructor(
    private readonly settings: PauseSettings,
    private readonly random: () => number = Math.random,
  ) {}

  /** It is there. */
  up(now: number): void {
    this.upAt = now;
  }

  /** It was there, and is tried as if for the first time. */
  lost(): void {
    this.tries = 0;
  }

  /** It was there, and did not do: what is found well and does not do, time and again, is tried less and less. */
  failed(now: number): void {
    if (now - this.upAt >= this.settings.probeAtMost) this.tries = 0;
  }

  /** Milliseconds until the next try; half of it by chance, so that not all processes come at once. */
  next(): number {
    const { probeAfter, probeAtMost } = this.settings;
    const longest = Math.min(probeAtMost, probeAfter * 2 ** Math.min(this.tries, 30));
    this.tries += 1;
    return Math.round(longest * (0.5 + this.random() / 2));
  }
}
