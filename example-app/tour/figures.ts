/** Collects what the summary says of all reads. */
export class Figures {
  private readonly micros: Record<"hit" | "miss" | "bypass" | "plain", number[]> = {
    hit: [],
    miss: [],
    bypass: [],
    plain: [],
  };
  private spared = 0;

  /**
   * @param plainMicros how long the same read took past the cache
   * @param statements how many statements it needed there
   */
  add(outcome: "hit" | "miss" | "bypass", micros: number, plainMicros: number, statements: number): void {
    this.micros[outcome].push(micros);
    this.micros.plain.push(plainMicros);
    if (outcome === "hit") this.spared += statements;
  }

  count(outcome: "hit" | "miss" | "bypass"): number {
    return this.micros[outcome].length;
  }

  get reads(): number {
    return this.micros.plain.length;
  }

  /** Statements that the reads would have needed without the cache, and were spared. */
  get statementsSpared(): number {
    return this.spared;
  }

  /** Hits among the reads that the cache takes part in. */
  get hitRatio(): number {
    return this.count("hit") / (this.count("hit") + this.count("miss"));
  }

  /** Microseconds. */
  median(of: "hit" | "miss" | "bypass" | "plain"): number {
    const sorted = [...this.micros[of]].sort((left, right) => left - right);
    return sorted[Math.floor(sorted.length / 2)] ?? NaN;
  }
}
