/** How often what was checked was right. */
export interface Nines {
  /**
   * 3 for 99.9 %: minus the logarithm, to the base of 10, of the share of mismatches. Without any, what can be said with 95 % confidence,
   * by the rule of three: the share is below 3 / checked.
   */
  readonly nines: number;
  /** There was no mismatch, so that there are at least so many. */
  readonly atLeast: boolean;
}

/**
 * @param checked how many comparisons came to an end
 * @see Hanley and Lippman-Hand, If nothing goes wrong, is everything all right?, JAMA 249 (1983)
 */
export function ninesOf(checked: number, mismatches: number): Nines {
  if (mismatches > 0) return { nines: -Math.log10(mismatches / checked) + 0, atLeast: false };
  return { nines: checked > 3 ? Math.log10(checked / 3) : 0, atLeast: true };
}
