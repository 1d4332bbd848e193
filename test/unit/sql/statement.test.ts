import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { SqlAnalyzer, type SqlStatement } from "../../../src/sql/statement";
import type { Dialect } from "../../../src/sql/tokenizer";

const DIALECTS: readonly Dialect[] = ["sqlite", "postgres", "mysql"];
const analyzers = new Map(DIALECTS.map((dialect) => [dialect, new SqlAnalyzer(dialect)]));

function statementsOf(dialect: Dialect, sql: string): readonly SqlStatement[] {
  return analyzers.get(dialect)!.analyze(sql).statements;
}

/**
 * "read", "begin", "rollback-to x", "commit+chain", "unknown", "write", "write commits". Writes are followed by the names
 * among `names` that they mention.
 */
function read(dialect: Dialect, sql: string): string {
  return statementsOf(dialect, sql).map(short).join("; ");
}

const TABLES = ["t", "u", "product", "order", "2fa", "t a"];

function short(statement: SqlStatement): string {
  if (statement.kind === "read") return "read";
  if (statement.kind === "control") {
    return `${statement.control}${statement.name === "" ? "" : ` ${statement.name}`}${statement.chain ? "+chain" : ""}`;
  }
  const { names } = statement;
  if (names === "unknown") return "unknown";
  return ["write", ...TABLES.filter((name) => names.has(name)), ...(statement.commits ? ["commits"] : [])].join(" ");
}

type Case = readonly [sql: string, expected: string];
const everywhere = (cases: readonly Case[]) =>
  DIALECTS.flatMap((dialect) => cases.map(([sql, expected]) => ({ dialect, sql, expected })));

describe("in every dialect", () => {
  it.each(
    everywhere([
      ["SELECT * FROM t", "read"],
      ["  select 1", "read"],
      ["SELECT * FROM t FOR UPDATE", "read"],
      ["SELECT 'x; DELETE FROM t'", "read"],
      ["SELECT 1 -- ; DELETE FROM t", "read"],
      ["(SELECT 1) UNION (SELECT 2)", "read"],
      ["WITH a AS (SELECT 1) SELECT * FROM a", "read"],
      ["WITH a AS (SELECT 1) SELECT * FROM a FOR UPDATE", "read"],
      ["EXPLAIN SELECT * FROM t", "read"],
      ["", ""],
      [";;", ""],
      ["-- nothing", ""],
      ["INSERT INTO t (a) VALUES (1)", "write t"],
      ["insert into t select * from u", "write t u"],
      ["UPDATE t SET a = (SELECT max(b) FROM u)", "write t u"],
      ["DELETE FROM t WHERE EXISTS (SELECT 1 FROM u)", "write t u"],
      ["REPLACE INTO t VALUES (1)", "write t"],
      ["/* hint */ UPDATE /* t */ u SET a = 1", "write u"],
      ["UPDATE s.T SET a = 1", "write t"],
      ["UPDATE u SET a = 1; SELECT 't'", "write u; read"],
      ["SELECT 1; UPDATE t SET a = 1; ; SELECT 2;", "read; write t; read"],
      ["UPDATE t SET a = 1; DELETE FROM u", "write t; write u"],
      ["WITH a AS (SELECT 1) UPDATE t SET a = 1", "write t"],
      ["WITH a AS (SELECT 1) DELETE FROM t", "write t"],
      ["WITH a AS (SELECT 1) INSERT INTO t SELECT * FROM a", "write t"],
      ["WITH RECURSIVE a AS (SELECT 1 UNION SELECT 2 FROM a) INSERT INTO t SELECT 1", "write t"],
      ["WITH a AS (SELECT 1) SELECT replace(x, 'a', 'b') FROM a", "read"],
      ["MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN DELETE", "write t u"],
      // What nobody foresaw may do anything.
      ["FROBNICATE t", "unknown"],
      ["CALL p()", "unknown"],
      ["EXECUTE p", "unknown"],
      ["DO 1", "unknown"],
      ["1 + 1", "unknown"],
      ["{call p}", "unknown"],
      ["'text'", "unknown"],
      ["UPDATE t SET a = 'open", "unknown"],
      ["CREATE TRIGGER x AFTER INSERT ON t BEGIN UPDATE u SET a = 1; DELETE FROM t; END", "unknown"],
      // Control.
      ["BEGIN", "begin"],
      ["begin;", "begin"],
      ["COMMIT", "commit"],
      ["ROLLBACK", "rollback"],
      ["ROLLBACK TO SAVEPOINT a", "rollback-to a"],
      ["ROLLBACK TO a", "rollback-to a"],
      ["SAVEPOINT Sp1", "savepoint sp1"],
      ['SAVEPOINT "S 1"', "savepoint s 1"],
      ["RELEASE SAVEPOINT a", "release a"],
      ["-- note\nCOMMIT /* now */ ;", "commit"],
      ["SELECT 'COMMIT'", "read"],
      // Not the whole of what these words can begin.
      ["BEGIN NOT ATOMIC UPDATE t SET a = 1", "unknown"],
      ["BEGIN UPDATE t SET a = 1", "unknown"],
      ["COMMIT UPDATE t", "unknown"],
      ["ROLLBACK UPDATE t", "unknown"],
      ["SAVEPOINT a UPDATE t", "unknown"],
      ["BEGIN; UPDATE t SET a = 1; COMMIT", "begin; write t; commit"],
    ]),
  )("$dialect: $sql", ({ dialect, sql, expected }) => {
    expect(read(dialect, sql)).toBe(expected);
  });
});

describe("SQLite", () => {
  const cases: readonly Case[] = [
    ["BEGIN IMMEDIATE TRANSACTION", "begin"],
    ["BEGIN EXCLUSIVE", "begin"],
    ["BEGIN DEFERRED", "begin"],
    ["BEGIN TRANSACTION", "begin"],
    ["END TRANSACTION", "commit"],
    ["END", "commit"],
    ["COMMIT TRANSACTION", "commit"],
    ["ROLLBACK TRANSACTION", "rollback"],
    ["ROLLBACK TRANSACTION TO SAVEPOINT a", "rollback-to a"],
    ["RELEASE a", "release a"],
    ["UPDATE 't' SET a = 1", "write t"],
    ["UPDATE u SET a = 't'", "write t u"],
    ["UPDATE `t a` SET a = 1", "write t a"],
    ["UPDATE [t a] SET a = 1", "write t a"],
    ["INSERT OR REPLACE INTO t VALUES (1)", "write t"],
    ["UPDATE OR IGNORE t SET a = 1", "write t"],
    ["WITH a AS (SELECT 1) REPLACE INTO t SELECT 1", "write t"],
    ["PRAGMA foreign_keys = ON", "read"],
    ["VACUUM", "read"],
    ["ATTACH 'x' AS y", "read"],
    ["DROP TABLE t", "write t"],
    ["ALTER TABLE t RENAME TO u", "write t u"],
    ["CREATE TABLE t (a)", "write t"],
  ];
  it.each(cases)("%s", (sql, expected) => expect(read("sqlite", sql)).toBe(expected));
});

describe("PostgreSQL", () => {
  const cases: readonly Case[] = [
    ["START TRANSACTION", "begin"],
    ["START TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY, NOT DEFERRABLE", "begin"],
    ["BEGIN WORK ISOLATION LEVEL READ COMMITTED READ WRITE", "begin"],
    ["START REPLICATION", "unknown"],
    ["COMMIT WORK AND CHAIN", "commit+chain"],
    ["COMMIT AND NO CHAIN", "commit"],
    ["ROLLBACK AND CHAIN", "rollback+chain"],
    ["END", "commit"],
    ["ABORT", "rollback"],
    ["ROLLBACK WORK TO SAVEPOINT a", "rollback-to a"],
    // Two-phase commit: the rows are committed by whoever sends the second phase.
    ["PREPARE TRANSACTION 'x'", "commit"],
    ["COMMIT PREPARED 'x'", "unknown"],
    ["ROLLBACK PREPARED 'x'", "read"],
    ["PREPARE p AS UPDATE t SET a = 1", "read"],
    ["EXECUTE p(1)", "unknown"],
    ["SET CONSTRAINTS ALL IMMEDIATE", "read"],
    ["SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", "read"],
    ["WITH a AS (DELETE FROM t RETURNING *) SELECT * FROM a", "write t"],
    ["WITH a AS (UPDATE t SET b = 1 RETURNING *), c AS (SELECT 1) SELECT * FROM a, c FOR UPDATE", "write t"],
    ["WITH a AS (MERGE INTO t USING u ON true WHEN MATCHED THEN DELETE) SELECT 1", "write t u"],
    ["WITH a AS (SELECT 1) SELECT * FROM a FOR NO KEY UPDATE", "read"],
    ["WITH RECURSIVE a (b) AS (SELECT 1) CYCLE b SET c USING key UPDATE t SET a = 1", "write t"],
    [`UPDATE ${"n".repeat(63)} SET t = 1`, "write t"],
    [`UPDATE ${"n".repeat(64)} SET t = 1`, "unknown"], // Cut to some other name.
    [`DELETE FROM "${"ä".repeat(32)}"`, "unknown"], // Bytes count.
    ["EXPLAIN ANALYZE UPDATE t SET a = 1", "write t"],
    ["EXPLAIN (ANALYZE, BUFFERS) DELETE FROM t", "write t"],
    ["EXPLAIN ANALYZE EXECUTE p", "unknown"],
    ["COPY t FROM STDIN", "write t"],
    ["TRUNCATE t", "write t"],
    ["TRUNCATE t CASCADE", "unknown"],
    ["DROP TABLE t CASCADE", "unknown"],
    ["ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES u ON DELETE CASCADE ON UPDATE CASCADE", "write t u"],
    ["DROP SCHEMA public", "unknown"],
    ["REFRESH MATERIALIZED VIEW t", "write t"],
    ["REFRESH MATERIALIZED VIEW CONCURRENTLY t", "write t"],
    ["DO $$ BEGIN DELETE FROM t; END $$", "unknown"],
    ["CREATE FUNCTION f() RETURNS void LANGUAGE sql BEGIN ATOMIC UPDATE t SET a = 1; END", "unknown"],
    ["CREATE RULE r AS ON INSERT TO t DO ALSO UPDATE u SET a = 1", "unknown"],
    ["VACUUM t", "read"],
    ["LOCK TABLE t", "read"],
    ["LISTEN t", "read"],
    ["DECLARE c CURSOR FOR SELECT 1", "read"],
    ["FETCH 1 FROM c", "read"],
    ['UPDATE U&"t" SET a = 1', "unknown"],
    ["SELECT 1; $x$ open", "unknown"],
    ["UPDATE ONLY t SET a = 1", "write t"],
    ["INSERT INTO u VALUES ($$ DELETE FROM t; $$)", "write u"],
    ["TABLE t", "read"],
    ["VALUES (1)", "read"],
  ];
  it.each(cases)("%s", (sql, expected) => expect(read("postgres", sql)).toBe(expected));
});

describe("MySQL and MariaDB", () => {
  const cases: readonly Case[] = [
    ["START TRANSACTION", "begin"],
    ["START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY", "begin"],
    ["BEGIN WORK", "begin"],
    ["COMMIT AND CHAIN NO RELEASE", "commit+chain"],
    ["ROLLBACK WORK", "rollback"],
    ["UPDATE 2fa SET a = 1", "write 2fa"],
    ['UPDATE "t" SET a = 1', "write t"],
    ["UPDATE `t a` SET a = 1", "write t a"],
    ["UPDATE t, u SET t.a = u.a", "write t u"],
    ["DELETE t, u FROM t JOIN u", "write t u"],
    ["INSERT INTO t SET a = 1", "write t"],
    ["INSERT INTO t (a) VALUES (1) ON DUPLICATE KEY UPDATE a = 2", "write t"],
    ["LOAD DATA INFILE 'x' INTO TABLE t", "write t"],
    // These commit what is open before they begin.
    ["TRUNCATE TABLE t", "write t commits"],
    ["ALTER TABLE t ADD x int", "write t commits"],
    ["CREATE TABLE t (a int)", "write t commits"],
    ["DROP TABLE t", "write t commits"],
    ["RENAME TABLE t TO u", "write t u commits"],
    ["LOCK TABLES t WRITE", "write commits"],
    ["UNLOCK TABLES", "write commits"],
    ["GRANT ALL ON t TO x", "write commits"],
    ["FLUSH TABLES", "write commits"],
    ["ANALYZE TABLE t", "write commits"],
    ["OPTIMIZE TABLE t", "write commits"],
    ["CREATE PROCEDURE p() BEGIN UPDATE t SET a = 1; END", "unknown"],
    // MariaDB runs these.
    ["ANALYZE UPDATE t SET a = 1", "write t commits"],
    ["ANALYZE FORMAT=JSON DELETE FROM t", "write t commits"],
    ["SET STATEMENT max_statement_time = 1 FOR UPDATE t SET a = 1", "unknown"],
    ["BEGIN NOT ATOMIC DELETE FROM t; DELETE FROM u; END", "unknown; write u; unknown"],
    ["IF 1 THEN DELETE FROM t; END IF", "unknown; unknown"],
    ["EXECUTE IMMEDIATE 'DELETE FROM t'", "unknown"],
    ["PREPARE s FROM 'DELETE FROM t'", "read"],
    ["SET @a = 1", "read"],
    ["SET NAMES utf8mb4", "read"],
    ["SET autocommit = 0", "unknown"],
    ["SET @@SESSION.autocommit = 1", "unknown"],
    ["XA COMMIT 'x'", "unknown"],
    ["HANDLER t OPEN", "unknown"],
    ["/*!50000 UPDATE t SET a = 1 */", "unknown"],
    ["DESCRIBE t", "read"],
    ["UPDATE ?? SET a = 1", "unknown"],
    ["INSERT INTO u VALUES ('\\'; DELETE FROM t')", "unknown"],
  ];
  it.each(cases)("%s", (sql, expected) => expect(read("mysql", sql)).toBe(expected));
});

describe("any text", () => {
  const word = fc.constantFrom(
    ..."select with update delete insert into t set a = 1 ( ) ; , begin commit rollback to savepoint release where id for explain analyze create trigger end 'x' \"y\" `z` $1 ? -- /* */ \n".split(
      " ",
    ),
  );
  const text = fc.array(word, { maxLength: 30 }).map((words) => words.join(" "));

  it("is analyzed without an error, and twice alike", () => {
    fc.assert(
      fc.property(text, fc.constantFrom(...DIALECTS), (sql, dialect) => {
        const analyzer = new SqlAnalyzer(dialect);
        const first = analyzer.analyze(sql);
        expect(analyzer.analyze(sql)).toEqual(first);
        expect(first.harmless).toBe(first.statements.every(({ kind }) => kind === "read"));
      }),
      { numRuns: 3000 },
    );
  });

  it("is never harmless if a statement of it, alone, is not", () => {
    const statement = fc.constantFrom(
      "UPDATE t SET a = 1",
      "DELETE FROM u",
      "SELECT 1",
      "COMMIT",
      "FROBNICATE",
      "SELECT 'a;b'",
      "/* ; */ SELECT 2 -- x\n",
    );
    fc.assert(
      fc.property(
        fc.array(statement, { minLength: 1, maxLength: 4 }),
        fc.constantFrom(...DIALECTS),
        (parts, dialect) => {
          const joined = parts.join(";");
          expect(read(dialect, joined)).toBe(parts.map((part) => read(dialect, part)).join("; "));
        },
      ),
    );
  });

  it("of great depth or length is read", () => {
    const texts = [
      `UPDATE t SET a = 1 WHERE ${"(".repeat(200_000)}id = 1${")".repeat(200_000)}`,
      `UPDATE t SET a = 1 WHERE ${Array.from({ length: 50_000 }, (_, index) => `c${index} = ${index}`).join(" AND ")}`,
      `UPDATE t SET a = 1 WHERE ${Array.from({ length: 50_000 }, (_, index) => `id = ${index}`).join(" OR ")}`,
      `UPDATE t SET a = 1 WHERE ${Array.from({ length: 500 }, () => `(${"a = 1 OR ".repeat(20)}b = 2)`).join(" AND ")}`,
      `INSERT INTO t (id, a) VALUES ${"(1, 2), ".repeat(100_000)}(1, 2)`,
      "SAVEPOINT a;".repeat(50_000),
    ];
    for (const dialect of DIALECTS) {
      for (const sql of texts) {
        expect(statementsOf(dialect, sql).length).toBeGreaterThan(0);
      }
    }
  });
});
