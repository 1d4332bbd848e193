import { wrong } from "./checker";
import type { Committed, Row } from "./committed";
import { POISON } from "./entities";
import { byCategory, byId, bySku, countOf, topOf } from "./lookups";

const row = (id: number, more: Partial<Row> = {}): Row => ({
  id,
  sku: `h${id}`,
  category: 1,
  mark: "m",
  amount: 0,
  version: 1,
  gone: false,
  ...more,
});
const table = (...rows: Row[]): Committed => new Map(rows.map((one) => [one.id, one]));

describe("the judge of the torture test", () => {
  it("accepts what was committed before the read, or later", () => {
    const before = table(row(1), row(2));
    const after = table(row(1), row(2, { version: 3, category: 2 }));
    expect(wrong(byId(1), [row(1)], before, after)).toBeUndefined();
    expect(wrong(byId(2), [row(2)], before, after)).toBeUndefined();
    expect(wrong(byId(2), [row(2, { version: 2, mark: "n" })], before, after)).toBeUndefined();
    expect(wrong(byCategory(1), [row(1)], before, after)).toBeUndefined();
    expect(wrong(byCategory(1), [row(1), row(2)], before, after)).toBeUndefined();
    expect(wrong(countOf(1), 1, before, after)).toBeUndefined();
    expect(wrong(topOf(1), [row(1)], before, after)).toBeUndefined();
    expect(wrong(byId(3), [], before, after)).toBeUndefined();
  });

  const before = table(row(1, { version: 2 }), row(2), row(3, { gone: true }), row(8, { sku: "w1.0-5" }));
  it.each([
    ["an older version", byId(1), [row(1)]],
    ["the right version with another content", byId(1), [row(1, { version: 2, amount: 1 })]],
    ["what was rolled back", byId(1), [row(1, { version: 3, mark: POISON })]],
    ["a row that does not match", byCategory(2), [row(2)]],
    ["a soft-deleted row", byId(3), [row(3, { version: 2, gone: true })]],
    ["a soft-deleted row as it was", byId(3), [row(3)]],
    ["a row twice", byId(2), [row(2), row(2)]],
    ["nothing, where a row is", bySku("h2"), []],
    ["a list that lacks a row", byCategory(1), [row(1, { version: 2 }), row(8, { sku: "w1.0-5" })]],
    ["a deleted row", byId(7), [row(7, { sku: "w1.0-4" })]],
    ["a wrong order", topOf(1), [row(2), row(1, { version: 2 })]],
    ["too few", countOf(1), 2],
    ["too many", countOf(1), 4],
  ])("finds %s", (_, lookup, result) => {
    expect(wrong(lookup, result, before, before)).toBeDefined();
  });
});
