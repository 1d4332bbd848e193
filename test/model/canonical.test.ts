import { describe, expect, it } from "@jest/globals";
import { Canonical } from "./canonical";
import { explore, textOf } from "./explorer";
import { Layout } from "./state";
import { anyOrder, byKey, invalidated, join, searched, searchedThrough, shared, statements } from "./scenarios";

/** Small enough to be explored with nothing left out. */
const CALM = { crashes: 1, rollbacks: false, evictions: 0, flushes: 0 };
const ONE_LOSS = { ...CALM, crashes: 0, evictions: 1 };

describe("what the explorer drops from states", () => {
  it.each([
    invalidated(2, CALM),
    statements(1, ONE_LOSS),
    byKey(1, "any-row", CALM),
    byKey(1, "hints", CALM),
    searched(1, "any-row", "statement", CALM),
    searched(1, "hints", "transaction", CALM),
    searchedThrough(1, "statement", CALM),
    shared(2, "any-row", CALM),
    anyOrder(1, CALM),
    join(1, "at once", "row by row", ONE_LOSS),
  ])("makes no difference: $name", (scenario) => {
    const reduced = explore(scenario, "named readers");
    const plain = explore(scenario, "names");
    expect([plain.violation, reduced.violation]).toEqual([undefined, undefined]);

    const at = new Layout(scenario);
    const canonical = new Canonical(scenario, at, "named readers");
    const state = Buffer.alloc(at.size);
    const remain = new Set(
      plain.states.map((text) => {
        state.write(text, "latin1");
        canonical.apply(state);
        return textOf(state);
      }),
    );
    const seen = new Set(reduced.states);
    expect([...remain].filter((text) => !seen.has(text))).toHaveLength(0);
    expect(remain.size).toBe(seen.size);
    expect(plain.states.length).toBeGreaterThan(reduced.states.length);
  });
});
