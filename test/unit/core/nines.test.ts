import { describe, expect, it } from "@jest/globals";
import { ninesOf } from "../../../src/core/nines";

describe("nines", () => {
  it.each([
    [1000, 1, 3, false],
    [1_000_000, 1, 6, false],
    [200, 20, 1, false],
    [7, 7, 0, false],
    [0, 0, 0, true],
    [2, 0, 0, true],
    [3000, 0, 3, true],
    [300_000, 0, 5, true],
  ])("of %i checks with %i mismatches are %d", (checked, mismatches, nines, atLeast) => {
    expect(ninesOf(checked, mismatches)).toEqual({ nines: expect.closeTo(nines, 10), atLeast });
  });
});
