import { describe, expect, it } from "@jest/globals";
import { explore } from "./explorer";
import { MUTANTS } from "./mutants";
import { report } from "./report";
import { CALM, twoParts } from "./scenarios";

/** Each rule of the protocol is there for a reason: without it the explorer finds a stale hit. MODEL=trace prints how. */
it.each(["its like", "the row"] as const)(
  "parts of a cluster that do not compare before they write through are broken by %s",
  (meets) => {
    const scenario = twoParts(0, meets, CALM);
    const result = explore({ ...scenario, rules: { ...scenario.rules, compareBeforeWrite: false } }, "names");
    expect(result.violation?.steps.length).toBeGreaterThan(3);
  },
);

describe("the protocol is broken without", () => {
  it.each(MUTANTS)("$leftOut", ({ leftOut, scenario }) => {
    const result = explore(scenario, "named readers");
    if (process.env["MODEL"] === "trace") report(leftOut, result);
    expect(result.violation?.steps.length).toBeGreaterThan(3);
  });
});
