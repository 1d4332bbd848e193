import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { jitteredTtl } from "../../../src/core/ttl";

describe("a TTL with jitter", () => {
  it("is at most the TTL, at least one millisecond, and whole", () => {
    const share = fc.double({ min: 0, max: 1, noNaN: true });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 ** 40 }), share, share, (ttl, jitter, random) => {
        const result = jitteredTtl(ttl, jitter, random);
        expect(Number.isSafeInteger(result)).toBe(true);
        expect(result).toBeGreaterThanOrEqual(Math.max(1, Math.floor(ttl * (1 - jitter))));
        expect(result).toBeLessThanOrEqual(ttl);
      }),
    );
  });

  it("is the TTL itself without jitter", () => {
    expect(jitteredTtl(1000, 0, 0.99)).toBe(1000);
  });

  it("spreads over the share that may be taken", () => {
    expect([0, 0.5, 0.999].map((random) => jitteredTtl(1000, 0.2, random))).toEqual([1000, 900, 800]);
  });
});
