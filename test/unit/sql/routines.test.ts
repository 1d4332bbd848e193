import { describe, expect, it } from "@jest/globals";
import { SqlAnalyzer } from "../../../src/sql/statement";
import type { Dialect } from "../../../src/sql/tokenizer";

function analyze(sql: string, dialect: Dialect = "postgres"): string {
  const analyzer = new SqlAnalyzer(dialect);
  analyzer.declare(
    new Map([
      ["close_order", new Set(["order", "stock"])],
      ["touch", new Set<string>()],
      ["odd name", new Set(["stock"])],
    ]),
  );
  const [statement, ...others] = analyzer.analyze(sql).statements;
  expect(others).toEqual([]);
  if (statement?.kind !== "write") return statement?.kind ?? "nothing";
  const names = statement.names === "unknown" ? "unknown" : [...statement.names].sort().join(" ");
  return `${names}${statement.commits ? ", commits" : ""}${statement.target === undefined ? "" : ", target"}`;
}

describe("declared routines", () => {
  it.each([
    ["CALL close_order(1)", "order stock, commits"],
    ["call Shop.Close_Order ( 1 )", "order stock, commits"],
    ["CALL touch()", ", commits"],
    ["CALL other(1)", "unknown, commits"],
    ["CALL close_order(other(1))", "unknown, commits"],
    ["CALL close_order(touch())", "order stock, commits"],
    ["DO $$ BEGIN PERFORM close_order(1); END $$", "unknown, commits"],
    ["SELECT close_order(1)", "order stock"],
    ["select * from shop.close_order(1)", "order stock"],
    ['SELECT "odd name"(1)', "stock"],
    ["SELECT touch()", ""],
    ["SELECT close_order FROM t", "read"],
    ["SELECT 'close_order(1)'", "read"],
    ["SELECT 1 -- close_order(1)", "read"],
    ["WITH a AS (SELECT close_order(1)) SELECT * FROM a", "order stock"],
    ["EXPLAIN ANALYZE SELECT close_order(1)", "order stock"],
    ["VALUES (close_order(1))", "order stock"],
    ["UPDATE t SET a = close_order(1) WHERE id = 2", "a close_order id order set stock t update where"],
    ["EXECUTE prepared(close_order(1))", "unknown, commits"],
    ["COMMIT", "control"],
  ])("%s", (sql, expected) => {
    expect(analyze(sql)).toBe(expected);
  });

  it.each([
    ["CALL close_order", "order stock, commits"],
    ["CALL shop.close_order", "order stock, commits"],
    ["CALL `odd name`", "stock, commits"],
    ["DO close_order(1)", "order stock, commits"],
    ["DO close_order(1), sleep(1)", "unknown, commits"],
    ["DO 1", "unknown, commits"],
    ["SET @a = close_order(1)", "order stock"],
  ])("in MySQL, %s", (sql, expected) => {
    expect(analyze(sql, "mysql")).toBe(expected);
  });

  it("is heard of by texts that were read before", () => {
    const analyzer = new SqlAnalyzer("postgres");
    expect(analyzer.analyze("SELECT f()").harmless).toBe(true);
    analyzer.declare(new Map([["f", new Set(["t"])]]));
    expect(analyzer.analyze("SELECT f()").harmless).toBe(false);
  });
});
