import { describe, expect, it } from "@jest/globals";
import { SelectAnalyzer, selectText, type SelectRefusal } from "../../../src/sql/select-text";
import type { Dialect } from "../../../src/sql/tokenizer";

describe("what the text of a query rules out", () => {
  it.each<[Dialect | "all", SelectRefusal | undefined, string]>([
    ["all", undefined, "SELECT a.x FROM t a WHERE a.y = 1 ORDER BY a.x LIMIT 3"],
    ["all", undefined, "SELECT COUNT(*) FROM t WHERE upper(x) = 'THEN' AND y = 'for update'"],
    ["all", undefined, "WITH c AS (SELECT x FROM t) SELECT x FROM c"],
    ["all", "volatile", "SELECT x FROM t WHERE at < CURRENT_TIMESTAMP"],
    ["all", "volatile", "SELECT x FROM t WHERE at < now()"],
    ["postgres", "volatile", "SELECT x FROM t ORDER BY random()"],
    ["postgres", "volatile", "SELECT x FROM t WHERE at > 'yesterday'"],
    ["postgres", "volatile", "SELECT nextval('s') FROM t"],
    ["postgres", "volatile", "SELECT x FROM t WHERE owner = current_setting('app.user')"],
    ["postgres", "volatile", "SELECT x FROM t TABLESAMPLE system (1)"],
    ["sqlite", "volatile", "SELECT x FROM t WHERE at > datetime('now')"],
    ["mysql", "volatile", "SELECT x FROM t WHERE x > @least"],
    ["mysql", "volatile", "SELECT @@version FROM t"],
    ["mysql", undefined, "SELECT x FROM t WHERE x = 'a@b'"],
    ["mysql", "volatile", "SELECT LAST_INSERT_ID() FROM t"],
    ["postgres", "lock", "SELECT x FROM t FOR UPDATE"],
    ["postgres", "lock", "SELECT x FROM t FOR NO KEY UPDATE SKIP LOCKED"],
    ["mysql", "lock", "SELECT x FROM t LOCK IN SHARE MODE"],
    ["all", "function", "SELECT my_sum(x) FROM t"],
    // What TypeORM itself puts around columns.
    ["sqlite", undefined, 'SELECT json("a"."x") AS "a_x" FROM "t" "a"'],
    ["mysql", undefined, "SELECT ST_AsText(`a`.`x`) AS `a_x`, AsText(`a`.`y`) AS `a_y` FROM `t` `a`"],
    ["postgres", undefined, 'SELECT ST_AsGeoJSON("a"."x", 3)::json AS "a_x" FROM "t" "a"'],
    ["all", "not-understood", "SELECT x FROM t; SELECT y FROM u"],
    ["all", "not-understood", "SELECT x INTO u FROM t"],
    ["all", "not-understood", "SELECT 'open FROM t"],
  ])("%s, %s: %s", (dialect, refusal, sql) => {
    const dialects: Dialect[] = dialect === "all" ? ["sqlite", "postgres", "mysql"] : [dialect];
    for (const one of dialects) expect([one, selectText(sql, one).refusal]).toEqual([one, refusal]);
  });

  it("a parameter may be a clock as well", () => {
    expect(
      ["now", " Yesterday ", "nowhere", 5, null].map((value) => new SelectAnalyzer("postgres").isClock(value)),
    ).toEqual([true, true, false, false, false]);
    expect(new SelectAnalyzer("mysql").isClock("now")).toBe(false);
  });
});
