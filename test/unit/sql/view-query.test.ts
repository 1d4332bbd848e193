import { describe, expect, it } from "@jest/globals";
import type { Dialect } from "../../../src/sql/tokenizer";
import { viewQuery } from "../../../src/sql/view-query";

const relations = (sql: string, dialect: Dialect = "postgres") => {
  const { relations: found, unclear } = viewQuery(sql, dialect);
  return unclear ?? found.map((path) => path.join(".")).join(" ");
};

describe("the tables that a view reads", () => {
  it.each([
    ["SELECT 1", ""],
    ["SELECT a.x, b.y FROM a, b AS c, d e WHERE f IN (1, g)", "a b d"],
    ["SELECT * FROM a LEFT JOIN b ON a.x = b.x INNER JOIN c USING (x), d", "a b c d"],
    ["SELECT * FROM (a JOIN (b CROSS JOIN c)), ((SELECT * FROM d)) AS s, e", "a b c d e"],
    [
      "SELECT (SELECT max(x) FROM a), b FROM c WHERE EXISTS (SELECT 1 FROM d) AND x = ANY (SELECT x FROM e, f)",
      "a c d e f",
    ],
    ["SELECT x FROM a UNION ALL (SELECT x FROM b) EXCEPT SELECT x FROM c, d ORDER BY x, y", "a b c d"],
    ['SELECT * FROM "Some Table" t, s.a, "x"."y"."Z"', "some table s.a x.y.z"],
    ["SELECT extract(year FROM a.t), trim(both ' ' from u), substring(v from 1 for 2) FROM a", "a"],
    ["SELECT * FROM a WHERE x IS NOT DISTINCT FROM y AND z IS DISTINCT FROM w", "a"],
    ["SELECT * FROM a, LATERAL (SELECT * FROM b WHERE b.x = a.x) c, ONLY d", "a b d"],
    ["SELECT * FROM a, generate_series(1, 2) AS s(x), unnest(a.y) WITH ORDINALITY AS t(x, y)", "a"],
    ["TABLE a UNION TABLE b", "a b"],
    ["SELECT 5FROM a", "a"],
    ["SELECT * FROM (VALUES (1, 2), (3, 4)) AS v(x, y), a", "a"],
    ["SELECT cast(x AS numeric(10, 2)), y::varchar(10), z::timestamp with time zone FROM a", "a"],
    ["WITH p AS (SELECT * FROM a), q (x) AS NOT MATERIALIZED (SELECT * FROM p, b) SELECT * FROM p, q, c", "a b c"],
    ["WITH RECURSIVE t AS (SELECT * FROM a UNION SELECT * FROM t, b) SELECT * FROM t", "a b"],
    // A name of WITH means the table of that name in its own query, and behind the query that it belongs to.
    ["WITH a AS (SELECT * FROM a) SELECT * FROM a", "a"],
    ["SELECT * FROM (WITH a AS (SELECT 1) SELECT * FROM a) s, a", "a"],
    ["WITH a AS (SELECT 1) SELECT * FROM s.a", "s.a"],
    ["SELECT rank() OVER (PARTITION BY x ORDER BY y, z), count(*) FILTER (WHERE x) FROM a", "a"],
  ])("%s", (sql, expected) => {
    expect(relations(sql)).toBe(expected);
  });

  it.each<[string, Dialect, string]>([
    ["SELECT * FROM [a b], 'c', `d`", "sqlite", "a b c d"],
    ["SELECT * FROM a offset, b window JOIN c", "sqlite", "a b c"],
    ['SELECT STRAIGHT_JOIN x, y FROM `a` STRAIGHT_JOIN b USE INDEX (i), "c"', "mysql", "a b c"],
    ["SELECT * FROM db.a, 1b", "mysql", "db.a 1b"],
  ])("%s (%s)", (sql, dialect, expected) => {
    expect(relations(sql, dialect)).toBe(expected);
  });

  it.each<[string, Dialect, string]>([
    ["SELECT stock(id) FROM a", "postgres", "calls stock(), which may read any table"],
    ["SELECT * FROM report(1)", "postgres", "calls report(), which may read any table"],
    ["SELECT shop.count(id) FROM a", "postgres", "calls count(), which may read any table"],
    ['SELECT "stock" (id) FROM a', "postgres", "calls stock(), which may read any table"],
    ["SELECT * FROM a WHERE x = 'open", "postgres", "is not understood"],
    ["SELECT * FROM a WHERE (x = 1", "postgres", "is not understood"],
    ["SELECT * FROM a)", "postgres", "is not understood"],
    ["SELECT * FROM", "postgres", "is not understood"],
    ["SELECT * FROM { OJ a LEFT JOIN b ON 1 }", "mysql", "is not understood"],
    ["SELECT * FROM $1", "postgres", "is not understood"],
    ["SELECT * FROM a, WHERE x", "postgres", "is not understood"],
    ["SELECT 1; SELECT * FROM a", "postgres", "is not understood"],
  ])("cannot be told from %s (%s)", (sql, dialect, expected) => {
    expect(relations(sql, dialect)).toBe(expected);
  });

  it("has every name that stands in it", () => {
    expect([...viewQuery('SELECT a.X FROM a, "B c"', "postgres").names].sort()).toEqual([
      "a",
      "b c",
      "from",
      "select",
      "x",
    ]);
  });
});

describe("what changes without a write", () => {
  it.each<[string, Dialect, string | undefined]>([
    ["SELECT now() FROM a", "postgres", "now"],
    ["SELECT pg_catalog.now() FROM a", "postgres", "now"],
    ['SELECT "random"() FROM a', "postgres", "random"],
    ["SELECT * FROM a WHERE d < CURRENT_TIMESTAMP(3)", "mysql", "current_timestamp"],
    ["SELECT * FROM a WHERE owner = user", "postgres", "user"],
    ["SELECT user.x FROM user", "sqlite", undefined],
    ["SELECT a.localtime, now FROM a", "sqlite", undefined],
    ["SELECT user() FROM a", "mysql", "user"],
    ["SELECT date(d), strftime('%Y', d), unixepoch(d) FROM a", "sqlite", undefined],
    ["SELECT date() FROM a", "sqlite", "date"],
    ["SELECT strftime('%Y') FROM a", "sqlite", "strftime"],
    ["SELECT * FROM a WHERE d > date('NOW', '-1 day')", "sqlite", "'NOW'"],
    ["SELECT age(d) FROM a", "postgres", "age"],
    ["SELECT age(d, coalesce(e, f)) FROM a", "postgres", undefined],
    ["SELECT UNIX_TIMESTAMP() FROM a", "mysql", "unix_timestamp"],
    ["SELECT * FROM a TABLESAMPLE bernoulli (10)", "postgres", "tablesample"],
    ["SELECT 'now' FROM a", "mysql", undefined],
  ])("%s (%s)", (sql, dialect, expected) => {
    expect(viewQuery(sql, dialect).changing).toBe(expected);
  });
});
