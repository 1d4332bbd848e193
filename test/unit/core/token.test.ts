import { describe, expect, it } from "@jest/globals";
import { createTokenSource } from "../../../src/core/token";

describe("a token source", () => {
  it("draws 96 bits as 16 characters that no separator and no mark of a lock contains", () => {
    const mint = createTokenSource();
    for (let draws = 0; draws < 2000; draws++) expect(mint()).toMatch(/^[A-Za-z0-9_-]{16}$/);
  });

  it("never draws one twice, also beyond one filling of its pool and beside another source", () => {
    const [mint, another] = [createTokenSource(), createTokenSource()];
    const drawn = new Set<string>();
    for (let draws = 0; draws < 10_000; draws++) drawn.add(mint()).add(another());
    expect(drawn.size).toBe(20_000);
  });

  it("uses every bit", () => {
    const mint = createTokenSource();
    const ones = new Array<number>(96).fill(0);
    for (let draws = 0; draws < 2000; draws++) {
      Buffer.from(mint(), "base64url").forEach((byte, at) => {
        for (let bit = 0; bit < 8; bit++) ones[at * 8 + bit]! += (byte >> bit) & 1;
      });
    }
    for (const count of ones) {
      expect(count).toBeGreaterThan(800);
      expect(count).toBeLessThan(1200);
    }
  });
});
