import type { Clock } from "../core/clock";

/** Who loads what: each entry is one holder's, until he gives it up or his time is over. */
export class MemoryClaims {
  private readonly claims = new Map<string, { readonly holder: string; readonly until: number }>();

  constructor(private readonly clock: Clock) {}

  /** @param ttl milliseconds */
  claim(key: string, holder: string, ttl: number): boolean {
    const now = this.clock.monotonic();
    const claimed = this.claims.get(key);
    if (claimed !== undefined && claimed.until > now) return false;
    this.claims.set(key, { holder, until: now + ttl });
    return true;
  }

  release(key: string, holder: string): void {
    if (this.claims.get(key)?.holder === holder) this.claims.delete(key);
  }

  clear(): void {
    this.claims.clear();
  }
}

/** Keys of two groups never meet, as in Redis; a group has no blank. */
export function entryKey({ group, key }: { readonly group: string; readonly key: string }): string {
  return `${group} ${key}`;
}
