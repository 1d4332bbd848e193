import { describe, expect, it } from "@jest/globals";
import { explore } from "./explorer";
import { MUTANTS } from "./mutants";
import { report } from "./report";
import type { Scenario } from "./scenario";
import { byKey, FEW, invalidated, keyByKey, shared, statements, uniqueKey, writtenThrough } from "./scenarios";

// Every interleaving of the steps of two writers and one or two readers, with crashes, rollbacks, evictions and flushes.
// `MODEL=full npx jest --selectProjects unit --testPathPatterns model/explore` takes more readers and faults, and hours.

const full = process.env["MODEL"] === "full";
const [one, two] = full ? [2, 3] : [1, 2];
const faults = full ? undefined : FEW;

const WORLDS: readonly Scenario[] = [
  invalidated(two),
  writtenThrough(one),
  statements(one),
  byKey(one, "any-row", faults),
  byKey(one, "hints", faults),
  uniqueKey(one, faults),
  keyByKey(one, faults),
  shared(two, "any-row", faults),
];

const LIMIT = full ? 24 * 3_600_000 : 240_000;

describe("the protocol", () => {
  it.each(WORLDS.map((scenario) => [scenario.name, scenario] as const))(
    "%s: no way to a stale hit",
    (_, scenario) => {
      const { states, seconds, violation } = explore(scenario);
      expect(violation).toBeUndefined();
      // A world in which nothing can happen proves nothing.
      expect(states.length).toBeGreaterThan(10_000);
      report(scenario.name, { states, seconds });
    },
    LIMIT,
  );
});

describe("the protocol without", () => {
  it.each(MUTANTS.map((mutant) => [mutant.leftOut, mutant] as const))(
    "%s: a way to a stale hit is found",
    (_, { scenario }) => {
      expect(explore(scenario).violation?.what).toMatch(/^stale/);
    },
    LIMIT,
  );
});
