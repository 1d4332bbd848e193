import { describe, expect, it } from "@jest/globals";
import { explore } from "./explorer";
import { report } from "./report";
import type { Scenario } from "./scenario";
import * as world from "./scenarios";
import { CALM, FEW } from "./scenarios";

const LOSSES = { ...CALM, crashes: 1, evictions: 1 };

const SMALL: readonly Scenario[] = [
  world.invalidated(2),
  world.writtenThrough(2),
  world.statements(2),
  world.slow(world.writtenThrough(2)),
  world.slow(world.statements(2)),
  world.uniqueKey(2, FEW),
  world.byKey(2, "any-row"),
  world.byKey(2, "hints", FEW),
  world.searched(1, "any-row", "statement"),
  world.searched(1, "any-row", "transaction", FEW),
  world.searched(1, "hints", "transaction", FEW),
  world.searchedTwice(1, CALM),
  world.searchedThrough(1, "statement", FEW),
  world.searchedThrough(1, "transaction", FEW),
  world.shared(2, "any-row", FEW),
  world.shared(2, "hints", FEW),
  world.anyOrder(1),
  world.join(2, "at once", "row by row"),
  world.join(2, "entry first", "row by row", FEW),
  world.join(1, "any order", "at once", FEW),
];

const LARGE: readonly Scenario[] = [
  world.invalidated(3),
  world.writtenThrough(3),
  world.statements(3),
  world.slow(world.writtenThrough(3)),
  world.slow(world.statements(3)),
  world.threeWriters(2, FEW),
  world.uniqueKey(3),
  world.byKey(3, "any-row"),
  world.byKey(3, "hints", FEW),
  world.byKey(2, "hints"),
  world.slow(world.byKey(3, "any-row")),
  world.searched(2, "any-row", "statement", FEW),
  world.searched(2, "any-row", "transaction", FEW),
  world.searched(2, "hints", "statement", FEW),
  world.searched(2, "hints", "transaction", FEW),
  world.searchedTwice(1, FEW),
  world.searchedThrough(2, "statement"),
  world.searchedThrough(2, "transaction"),
  world.shared(3, "any-row"),
  world.shared(3, "hints", FEW),
  world.shared(2, "hints"),
  world.anyOrder(2, FEW),
  world.join(3, "at once", "row by row"),
  world.join(2, "entry first", "row by row"),
  world.join(2, "any order", "at once", FEW),
];

/** Tokens that are known before their tags have them: nothing but their names is dropped from states. */
const SPREAD: readonly Scenario[] = [
  world.twoParts(0, "its like", CALM),
  world.twoParts(0, "the row", LOSSES),
  world.twoParts(1, "the row", CALM),
  world.twoParts(0, "all rows", LOSSES),
];

const LARGE_SPREAD: readonly Scenario[] = [
  world.twoParts(0, "its like", LOSSES),
  world.twoParts(1, "its like", CALM),
  world.twoParts(1, "the row", LOSSES),
  world.twoParts(1, "all rows", LOSSES),
];

const isFull = process.env["MODEL"] === "full";

describe("no interleaving breaks the promise", () => {
  let total = 0;
  it.each(isFull ? LARGE : SMALL)(
    "$name",
    (scenario) => {
      const result = explore(scenario);
      report(`${scenario.name}, readers: ${scenario.readers}`, result);
      total += result.states.length;
      expect(result.violation).toBeUndefined();
    },
    isFull ? 3_600_000 : 120_000,
  );
  it.each(isFull ? LARGE_SPREAD : SPREAD)(
    "$name, with another write",
    (scenario) => {
      const result = explore(scenario, "names");
      report(`${scenario.name}, readers: ${scenario.readers}`, result);
      total += result.states.length;
      expect(result.violation).toBeUndefined();
    },
    isFull ? 3_600_000 : 120_000,
  );
  it("in any of these states", () => {
    process.stdout.write(`  together ${total.toLocaleString("en")} states\n`);
    expect(total).toBeGreaterThan(500_000);
  });
});
