import { describe, expect, it } from "@jest/globals";
import { rowTarget, type Binding, type RowTarget } from "../../../src/sql/row-target";
import { tokenize, type Dialect } from "../../../src/sql/tokenizer";

/** "update post {id=#0} {id=5}", the columns that are set behind it; "unknown" if the text does not say which rows. */
function read(dialect: Dialect, sql: string): string {
  const tokens = tokenize(sql, dialect);
  const target = tokens === undefined ? undefined : rowTarget(tokens);
  return target === undefined ? "unknown" : short(target);
}

function short({ operation, table, rows, sets, returning }: RowTarget): string {
  return [
    operation,
    table,
    ...rows.map(shortRow),
    ...(sets.size === 0 ? [] : [`sets ${[...sets].join(",")}`]),
    ...(returning ? ["returning"] : []),
  ].join(" ");
}

function shortRow(row: Binding): string {
  const columns = [...row].map(([column, operand]) => {
    return `${column}=${"parameter" in operand ? `#${operand.parameter}` : JSON.stringify(operand.literal)}`;
  });
  return `{${columns.sort().join(",")}}`;
}

type Case = readonly [sql: string, expected: string];

// As TypeORM 1.1 and 0.3.31 sent them.
describe("what TypeORM writes", () => {
  const sqlite: readonly Case[] = [
    [
      `INSERT INTO "post"("id", "slug", "n", "deletedAt", "version", "updatedAt") VALUES (NULL, ?, 1, NULL, 1, datetime('now'))`,
      `insert post {n=1,slug=#0,version=1}`,
    ],
    [
      `INSERT INTO "post"("id", "slug", "n") VALUES (50, ?, 1), (NULL, ?, 2)`,
      `insert post {id=50,n=1,slug=#0} {n=2,slug=#1}`,
    ],
    [`INSERT INTO "comment"("id", "text", "postId") VALUES (?, ?, 1)`, `insert comment {id=#0,postid=1,text=#1}`],
    [
      `INSERT INTO "post"("id", "slug") VALUES (NULL, ?) ON CONFLICT ( "slug" ) DO UPDATE SET "slug" = EXCLUDED."slug"`,
      "unknown",
    ],
    [`INSERT INTO "post"("id", "slug") VALUES (NULL, ?) ON CONFLICT DO NOTHING`, "unknown"],
    [`INSERT INTO "tag"("id") VALUES (NULL)`, "insert tag {}"],
    [`INSERT INTO "tag" DEFAULT VALUES`, "unknown"],
    [
      `UPDATE "post" SET "n" = 5, "version" = "version" + 1, "updatedAt" = CURRENT_TIMESTAMP WHERE "id" = 1`,
      "update post {id=1} sets n,version,updatedat",
    ],
    [`UPDATE "post" SET "n" = "n" + 2 WHERE "id" IN (1, 2)`, "update post {id=1} {id=2} sets n"],
    [`UPDATE "post" SET "n" = 9 WHERE "slug" = ?`, "update post {slug=#0} sets n"],
    [`UPDATE "post" SET "n" = 3 WHERE "id" = 2 OR "slug" = ?`, "update post {id=2} {slug=#0} sets n"],
    [
      `UPDATE "post" SET "deletedAt" = CURRENT_TIMESTAMP WHERE "id" = 1 AND "deletedAt" IS NULL`,
      "update post {id=1} sets deletedat",
    ],
    [
      `UPDATE "post" SET "deletedAt" = NULL WHERE "id" = 1 AND "deletedAt" IS NOT NULL`,
      "update post {id=1} sets deletedat",
    ],
    [`UPDATE "pair" SET "v" = 2 WHERE ((("a" = 1 AND "b" = ?)))`, "update pair {a=1,b=#0} sets v"],
    [`DELETE FROM "pair" WHERE (("a" = 1 AND "b" = ?) OR ("a" = 2 AND "b" = ?))`, "delete pair {a=1,b=#0} {a=2,b=#1}"],
    [`UPDATE "comment" SET "postId" = ? WHERE "id" IN (?)`, "update comment {id=#1} sets postid"],
    [`DELETE FROM "pair"`, "unknown"],
    [
      `INSERT INTO "closure"("ancestor", "descendant") SELECT "ancestor", 5 FROM "closure" WHERE "descendant" = 1`,
      "unknown",
    ],
    [
      `UPDATE "nested" SET "nsleft" = CASE WHEN "nsleft" > 3 THEN "nsleft" + 2 ELSE "nsleft" END, "nsright" = "nsright" + 2 WHERE "nsright" >= 3`,
      "unknown",
    ],
    [`UPDATE "mp" SET "mpath" = REPLACE("mpath", '1.', '2.') WHERE "mpath" LIKE '1.%'`, "unknown"],
  ];
  it.each(sqlite)("on SQLite: %s", (sql, expected) => expect(read("sqlite", sql)).toBe(expected));

  const postgres: readonly Case[] = [
    [
      `INSERT INTO "s"."post"("slug", "n", "version") VALUES ($1, DEFAULT, 1), ($2, DEFAULT, 1) RETURNING "id", "n"`,
      "insert post {slug=#0,version=1} {slug=#1,version=1} returning",
    ],
    [`INSERT INTO "s"."post" AS "Post"("slug") VALUES ($1) ON CONFLICT DO NOTHING RETURNING "id"`, "unknown"],
    [
      `UPDATE "s"."post" SET "n" = $1, "updatedAt" = CURRENT_TIMESTAMP WHERE "id" = $2 RETURNING "updatedAt"`,
      "update post {id=#1} sets n,updatedat returning",
    ],
    [`UPDATE "s"."post" SET "n" = $1 WHERE "id" IN ($2, $3)`, "update post {id=#1} {id=#2} sets n"],
    [`DELETE FROM "s"."post" WHERE "id" = $1`, "delete post {id=#0}"],
    [`TRUNCATE TABLE "pair"`, "unknown"],
  ];
  it.each(postgres)("on PostgreSQL: %s", (sql, expected) => expect(read("postgres", sql)).toBe(expected));

  const mysql: readonly Case[] = [
    [
      "INSERT INTO `post`(`id`, `slug`) VALUES (DEFAULT, ?), (?, ?) RETURNING `id`",
      "insert post {slug=#0} {id=#1,slug=#2} returning",
    ],
    ["INSERT  IGNORE INTO `post`(`id`, `slug`) VALUES (DEFAULT, ?)", "unknown"],
    ["INSERT INTO `post`(`id`, `slug`) VALUES (DEFAULT, ?) ON DUPLICATE KEY UPDATE `slug` = VALUES(`slug`)", "unknown"],
    ["INSERT INTO `post`() VALUES ()", "unknown"],
    [
      "UPDATE `post` SET `n` = ?, `updatedAt` = CURRENT_TIMESTAMP WHERE `id` IN (?)",
      "update post {id=#1} sets n,updatedat",
    ],
    ["DELETE FROM `db`.`post` WHERE `id` = ?", "delete post {id=#0}"],
  ];
  it.each(mysql)("on MySQL: %s", (sql, expected) => expect(read("mysql", sql)).toBe(expected));
});

// Each of these hits more rows than a careless reader of its first condition would think.
describe("what says no row for sure", () => {
  const update = "UPDATE t SET a = 1";
  const everywhere: readonly string[] = [
    update,
    ...[
      "id = 1 + x",
      "id = 1 - 1",
      "id = -1",
      "id = x",
      "id = (1)",
      "id = (SELECT 1)",
      "id = abs(1)",
      "id = 1.5",
      "id = 99999999999999999999",
      "id = 1 = 1",
      "id = 1 IS NULL",
      "id = NULL",
      "id <> 1",
      "id > 1",
      "id >= 1",
      "id != 1",
      "id == 1",
      "id LIKE 'x'",
      "NOT id = 1",
      "NOT (id = 1)",
      "id NOT IN (1)",
      "id IN (1, 2 + 3)",
      "id IN (1, x)",
      "id IN ()",
      "id IN (SELECT 1)",
      "id IN (1) = 0",
      "id IN (1) OR TRUE",
      "id BETWEEN 1 AND id = 5",
      "id BETWEEN 1 AND 5",
      "id = 1 OR x",
      "id = 1 AND x OR y > 2",
      "id = 1 AND CASE WHEN x THEN y OR id = 2 END",
      '"t.id" = 1',
      "id = 1 OR 1",
      "id = 1 OR x > 2",
      "id = 1 OR NOT x = 2",
      "id = 1 OR EXISTS (SELECT 1)",
      "(id = 1) = (x = 2)",
      "(id = 1) IS NULL",
      "(id = 1 OR x > 2)",
      "(id = 1) OR (x > 2)",
      "(id, x) = (1, 2)",
      "(id) = 1",
      "1 = 1",
      "'id' = 1",
      "id = 1 COLLATE nocase",
      "CASE WHEN id = 1 THEN 0 ELSE 1 END",
      "id = 1 LIMIT 5",
      "id = 1 ORDER BY x",
      "id IS NOT DISTINCT FROM 1",
      "id IS 1",
      "coalesce(id, 1) = 1",
      "x.* = 1",
    ].map((where) => `${update} WHERE ${where}`),
    "UPDATE t AS x SET a = 1 WHERE id = 1",
    "UPDATE t x SET a = 1 WHERE id = 1",
    "UPDATE t, u SET a = 1 WHERE id = 1",
    "UPDATE t JOIN u ON t.id = u.id SET a = 1 WHERE id = 1",
    "UPDATE t SET a = 1 FROM u WHERE id = 1",
    "UPDATE t SET a = u.a FROM u WHERE u.id = 1",
    "UPDATE ONLY t SET a = 1 WHERE id = 1",
    "UPDATE t SET (a, b) = (1, 2) WHERE id = 1",
    "UPDATE OR REPLACE t SET a = 1 WHERE id = 1",
    "UPDATE LOW_PRIORITY t SET a = 1 WHERE id = 1",
    "DELETE FROM t AS x WHERE id = 1",
    "DELETE FROM t x WHERE id = 1",
    "DELETE FROM t USING u WHERE id = 1",
    "DELETE t FROM t JOIN u WHERE id = 1",
    "DELETE FROM t, u USING t JOIN u WHERE id = 1",
    "INSERT INTO t VALUES (1)",
    "INSERT INTO t SET id = 1",
    "INSERT INTO t (id) SELECT 1",
    "INSERT INTO t (id) VALUES (1, 2)",
    "INSERT INTO t (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET a = 1",
    "INSERT OR REPLACE INTO t (id) VALUES (1)",
    "INSERT INTO t AS x (id) VALUES (1)",
    "INSERT INTO t (id) OVERRIDING SYSTEM VALUE VALUES (1)",
    "REPLACE INTO t (id) VALUES (1)",
    "MERGE INTO t USING u ON t.id = 1 WHEN MATCHED THEN DELETE",
    "WITH x AS (SELECT 1) UPDATE t SET a = 1 WHERE id = 1",
    "TRUNCATE t",
  ];
  const dialects: readonly Dialect[] = ["sqlite", "postgres", "mysql"];
  it.each(everywhere)("%s", (sql) => {
    for (const dialect of dialects) expect(read(dialect, sql)).toBe("unknown");
  });

  const postgres: readonly string[] = [
    "id = '5'::text",
    "id = $1::int",
    "id = ANY($1)",
    "id = $$5$$",
    "id = E'\\x41'",
    "(t).id = 1",
    "CURRENT OF c",
    "id = '1' '2'",
  ];
  it.each(postgres)("PostgreSQL: WHERE %s", (where) =>
    expect(read("postgres", `${update} WHERE ${where}`)).toBe("unknown"),
  );

  // Up to version 14 a keyword may follow a number without a space.
  it.each([
    `${update} WHERE id = 5OR true`,
    `${update} WHERE id IN (1, 5OR true)`,
    "UPDATE t SET a = 5FROM u WHERE u.id = 1",
    "UPDATE t SET a = 1.5FROM u WHERE u.id = 1",
    "UPDATE t SET a = $1FROM u WHERE u.id = 1",
  ])("PostgreSQL: %s", (sql) => expect(read("postgres", sql)).toBe("unknown"));

  const mysql: readonly string[] = [
    // With ANSI_QUOTES a column, without it a text, which is 0 as a number.
    '"id" = 0',
    'id = "5"',
    "id = 1 || x",
    "id = 1 && x",
    "id = 1 XOR x",
    "id = 1 DIV 2",
    "id = 0x10",
    "id = '\\b'",
    "id = BINARY '5'",
    "BINARY id = '5'",
    "id = _utf8'5'",
    "id = 1 /*!99999 AND x = 2 */",
  ];
  it.each(mysql)("MySQL: WHERE %s", (where) => expect(read("mysql", `${update} WHERE ${where}`)).toBe("unknown"));

  it.each(["id = ? AND :x = 1", "id = x'41'", "id ISNULL", "(id = 1) NOTNULL", "x MATCH 'y' OR id = 1"])(
    "SQLite: WHERE %s",
    (where) => expect(read("sqlite", `${update} WHERE ${where}`)).toBe("unknown"),
  );
  it("SQLite: the place of a parameter beside a named one", () => {
    expect(read("sqlite", "UPDATE t SET a = :a WHERE id = ?")).toBe("unknown");
  });
});

describe("what says more than it needs to", () => {
  const cases: readonly Case[] = [
    // The rows lie in either: the first is believed.
    ["DELETE FROM t WHERE id = 1 AND id = 2", "delete t {id=1}"],
    ["DELETE FROM t WHERE (id = 1 OR x = 2) AND (id = 3 OR y = 4)", "delete t {id=1} {id=1,y=4} {id=3,x=2} {x=2,y=4}"],
    ["DELETE FROM t WHERE x IS NULL OR id = 1", "delete t {} {id=1}"],
    // What is not understood hits fewer rows, not more.
    ["DELETE FROM t WHERE id = 1 AND x > 2", "delete t {id=1}"],
    ["DELETE FROM t WHERE x > 2 AND (id = 1 OR id = 2 AND y LIKE 'a')", "delete t {id=1} {id=2}"],
    ["DELETE FROM t WHERE id = 1 AND x BETWEEN 1 AND 3 OR y = 2", "delete t {id=1} {y=2}"],
    ["DELETE FROM t WHERE x BETWEEN y AND id = 3 AND id = 1", "delete t {id=1}"],
    ["DELETE FROM t WHERE id = 1 AND NOT x = 2 AND EXISTS (SELECT 1 FROM u WHERE u.id = 5 OR TRUE)", "delete t {id=1}"],
    ["DELETE FROM t WHERE id = 1 AND x IN (SELECT x FROM u) AND (CASE WHEN x = 1 THEN 1 END) = 1", "delete t {id=1}"],
    ["DELETE FROM t WHERE id = 1 AND x = id", "delete t {id=1}"],
    ["DELETE FROM t WHERE id = 1 AND t.x = t.y", "delete t {id=1}"],
    ["DELETE FROM t WHERE id = 'it''s'", `delete t {id="it's"}`],
    ["DELETE FROM t WHERE id = '5'", `delete t {id="5"}`],
    ["DELETE FROM t WHERE id = 5", "delete t {id=5}"],
    ["DELETE FROM a.b.t WHERE a.b.t.Id = 5", "delete t {id=5}"],
    // A field of a composite column: the column changes.
    ["UPDATE t SET a.b = 1 WHERE id = 5", "update t {id=5} sets a,b"],
    ["UPDATE t SET id = 2 WHERE id = 5", "update t {id=5} sets id"],
    ["UPDATE t SET a = (SELECT x FROM u WHERE y = 1) WHERE id = 5", "update t {id=5} sets a"],
    ["UPDATE t SET a = 'WHERE id = 1' WHERE id = 5", "update t {id=5} sets a"],
    ["INSERT INTO t (id, a) VALUES ((SELECT 1), f(2, 3)), (4, 5)", "insert t {} {a=5,id=4}"],
    ["INSERT INTO t (id) VALUES (1 + 1)", "insert t {}"],
  ];
  it.each(cases)("%s", (sql, expected) => expect(read("sqlite", sql)).toBe(expected));
});
