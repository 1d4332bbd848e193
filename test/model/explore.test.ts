import { describe, expect, it } from "@jest/globals";
import { explore } from "./explorer";
import { report } from "./report";
import type { Scenario } from "./scenario";
import {
  ALL,
  byKey,
  FEW,
  invalidated,
  keyByKey,
  shared,
  statements,
  twoGroups,
  uniqueKey,
  writtenThrough,
} from "./scenarios";

// Every interleaving of the steps of two writers and one or two readers, with crashes, rollbacks, evictions and flushes.
// `MODEL=full npx jest --selectProjects unit --testPathPatterns model/explore` takes more readers and faults, and far longer.

const full = process.env["MODEL"] === "full";
const [one, two] = full ? [2, 3] : [1, 2];
const faults = full ? ALL : FEW;

const WORLDS: readonly Scenario[] = [
  invalidated(two),
  writtenThrough(one),
  statements(one),
  byKey(one, "any-row", faults),
  byKey(one, "hints", faults),
  uniqueKey(one, faults),
  keyByKey(one, faults),
  shared(two, "any-row", faults),
  twoGroups(one, "at once", faults),
];

describe("the protocol", () => {
  it.each(WORLDS.map((scenario) => [scenario.name, scenario] as const))(
    "%s: no way to a stale hit",
    (_, scenario) => {
      const exploration = explore(scenario);
      report(scenario.name, exploration);
      expect(exploration.violation).toBeUndefined();
      // A world in which nothing can happen proves nothing.
      expect(exploration.states.length).toBeGreaterThan(1_000);
    },
    full ? 24 * 3_600_000 : 240_000,
  );
});
