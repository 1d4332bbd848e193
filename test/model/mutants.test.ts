import { describe, expect, it } from "@jest/globals";
import { explore } from "./explorer";
import { MUTANTS } from "./mutants";
import { report } from "./report";

/** Each rule of the protocol is there for a reason: without it the explorer finds a stale hit. MODEL=trace prints how. */
describe("the protocol is broken without", () => {
  it.each(MUTANTS)("$leftOut", ({ leftOut, scenario }) => {
    const result = explore(scenario, "named readers");
    if (process.env["MODEL"] === "trace") report(leftOut, result);
    expect(result.violation?.steps.length).toBeGreaterThan(3);
  });
});
