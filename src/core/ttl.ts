/**
 * A TTL with jitter: shortened by a random share of at most `jitter`, so that entries that were filled together do not
 * expire together.
 *
 * @param ttl milliseconds, positive
 * @param jitter share between 0 (none) and 1
 * @param random a number in [0, 1)
 * @returns whole milliseconds, at least 1
 */
export function jitteredTtl(ttl: number, jitter: number, random: number): number {
  return Math.max(1, Math.round(ttl * (1 - jitter * random)));
}
