import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import type { RowTarget } from "../../../src/sql/row-target";
import type { Operand } from "../../../src/sql/token-reader";
import { SqlAnalyzer } from "../../../src/sql/statement";

// SQLite itself is the judge: what a statement really changed, and which tables its program opens for writing.

interface Sqlite {
  exec(sql: string): void;
  prepare(sql: string): {
    readonly reader: boolean;
    all(...parameters: unknown[]): unknown[];
    get(...parameters: unknown[]): unknown;
    run(...parameters: unknown[]): unknown;
  };
  close(): void;
}
// eslint-disable-next-line @typescript-eslint/no-require-imports -- it has no types of its own
const Database = require("better-sqlite3") as new (file: string) => Sqlite;

const COLUMNS = ["id", "code", "n"] as const;
type Value = string | number | null;

let database: Sqlite;
beforeAll(() => {
  database = new Database(":memory:");
  for (const table of ["t", "u", "order"]) {
    database.exec(`CREATE TABLE "${table}" (id INTEGER PRIMARY KEY, code TEXT COLLATE NOCASE, n)`);
  }
  const values: Value[] = ["a", "A", "5", "5.0", "05", "", "it's", "5abc", null];
  for (let id = -1; id < 12; id += 1) {
    const row = [id, values[(id + 9) % 9], id % 4 === 0 ? String(id) : id % 3];
    for (const table of ["t", "u"]) database.prepare(`INSERT INTO ${table} VALUES (?, ?, ?)`).run(...row);
  }
});
afterAll(() => database.close());

/** A text with the parameters that its question marks stand for. */
interface Sql {
  readonly text: string;
  readonly parameters: readonly Value[];
}
const sql = (text: string): Sql => ({ text, parameters: [] });
const join = (...parts: readonly (Sql | string)[]): Sql => ({
  text: parts.map((part) => (typeof part === "string" ? part : part.text)).join(""),
  parameters: parts.flatMap((part) => (typeof part === "string" ? [] : part.parameters)),
});

const value = fc.constantFrom<Value>(0, 1, 2, 5, -1, 1.5, "5", "5.0", "05", " 5", "a", "A", "a ", "it's", "", null);
const literal = value.map((one) =>
  sql(one === null ? "NULL" : typeof one === "string" ? `'${one.replace("'", "''")}'` : String(one)),
);
const parameter = value.map((one): Sql => ({ text: "?", parameters: [one] }));
const column = fc
  .constantFrom("id", "code", "n", "Id", '"id"', "[id]", "`id`", "t.id", '"t"."code"', "rowid", '"nothing"')
  .map(sql);
const operand: fc.Arbitrary<Sql> = fc.oneof(
  { weight: 6, arbitrary: literal },
  { weight: 6, arbitrary: parameter },
  { weight: 1, arbitrary: column },
  {
    weight: 1,
    arbitrary: fc.constantFrom("(SELECT 1)", "abs(1)", "CAST('5' AS INTEGER)", "x'35'", "(1)", "1e0").map(sql),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(literal, fc.constantFrom(" + ", " - ", " || ", " COLLATE NOCASE || ", " = ", " * "), literal)
      .map(([left, operator, right]) => join(left, operator, right)),
  },
);
const comparison = fc.oneof(
  { weight: 8, arbitrary: fc.tuple(column, operand).map(([left, right]) => join(left, " = ", right)) },
  {
    weight: 4,
    arbitrary: fc
      .tuple(column, fc.array(operand, { minLength: 1, maxLength: 3 }))
      .map(([left, list]) =>
        join(left, " IN (", ...list.flatMap((one, index) => (index === 0 ? [one] : [", ", one])), ")"),
      ),
  },
  {
    weight: 3,
    arbitrary: fc
      .tuple(
        column,
        fc.constantFrom(
          "IS NULL",
          "IS NOT NULL",
          "ISNULL",
          "NOTNULL",
          "IS 5",
          "LIKE '%5%'",
          "BETWEEN 0 AND 3",
          "NOT IN (1)",
        ),
      )
      .map(([left, test]) => join(left, ` ${test}`)),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(column, fc.constantFrom(" <> ", " > ", " == ", " IS NOT ", " GLOB "), operand)
      .map(([left, operator, right]) => join(left, operator, right)),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom("1", "TRUE", "EXISTS (SELECT 1 FROM u)", "id", "1 = 1", "(id, n) = (1, 1)").map(sql),
  },
);
const condition: fc.Arbitrary<Sql> = fc.letrec<{ any: Sql }>((tie) => ({
  any: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    { weight: 6, arbitrary: comparison },
    {
      weight: 3,
      arbitrary: fc
        .tuple(tie("any"), fc.constantFrom(" AND ", " OR ", " and ", " or "), tie("any"))
        .map(([a, by, b]) => join(a, by, b)),
    },
    tie("any").map((inner) => join("(", inner, ")")),
    tie("any").map((inner) => join("NOT ", inner)),
    tie("any").map((inner) => join("(", inner, ") IS NOT NULL")),
    fc.tuple(tie("any"), literal).map(([a, b]) => join("(", a, ") = ", b)),
    tie("any").map((inner) => join(inner, " -- ) OR 1\n")),
    tie("any").map((inner) => join("/* OR 1 */ ", inner)),
  ),
})).any;

const where = fc.oneof(
  { weight: 10, arbitrary: condition.map((one) => join(" WHERE ", one)) },
  { weight: 1, arbitrary: fc.constant(sql("")) },
);
const assignment = fc
  .tuple(fc.constantFrom("n", "code", '"n"'), operand)
  .map(([left, right]) => join(left, " = ", right));
const assignments = fc
  .array(assignment, { minLength: 1, maxLength: 2 })
  .map((list) => join(...list.flatMap((one, index) => (index === 0 ? [one] : [", ", one]))));
const end = fc.constantFrom("", "", "", ";", " RETURNING id", " RETURNING *");
const update = fc
  .tuple(
    fc.constantFrom("t", '"t"', "main.t", "T", "t AS t", "'t'", "OR IGNORE t"),
    assignments,
    fc.constantFrom("", "", "", " FROM u", " FROM u AS x"),
    where,
    end,
  )
  .map(([table, set, from, filter, tail]) => join(`UPDATE ${table} SET `, set, from, filter, tail));
const remove = fc
  .tuple(fc.constantFrom("t", '"t"', "main.t", "[t]", "t AS t"), where, end)
  .map(([table, filter, tail]) => join(`DELETE FROM ${table}`, filter, tail));

const analyzer = new SqlAnalyzer("sqlite");

function rows(): Map<number, string> {
  const all = database.prepare("SELECT * FROM t").all() as { id: number }[];
  return new Map(all.map((row) => [row.id, JSON.stringify(row)]));
}

/** The primary keys of the rows of t that a statement changes; undefined if SQLite refuses it. */
function changedBy({ text, parameters }: Sql): number[] | undefined {
  database.exec("BEGIN");
  try {
    const before = rows();
    const statement = database.prepare(text);
    if (statement.reader) statement.all(...parameters);
    else statement.run(...parameters);
    const after = rows();
    return [...new Set([...before.keys(), ...after.keys()])].filter((id) => before.get(id) !== after.get(id));
  } catch {
    return undefined;
  } finally {
    database.exec("ROLLBACK");
  }
}

/** Whether a row of t, as it is now, is among those that a target claims, SQLite comparing. */
function claims(target: RowTarget, id: number, parameters: readonly Value[]): boolean {
  return target.rows.some((row) => {
    const known = [...row].filter(([name]) => COLUMNS.some((one) => one === name));
    const conditions = known.map(([name]) => `"${name}" = ?`);
    const operands = known.map(([, one]) => valueOf(one, parameters));
    return (
      database.prepare(`SELECT 1 FROM t WHERE ${["id = ?", ...conditions].join(" AND ")}`).get(id, ...operands) !==
      undefined
    );
  });
}

/** better-sqlite3 binds a number as 5.0, which is not equal to the 5 of a text where text is compared. */
function valueOf(one: Operand, parameters: readonly Value[]): Value | bigint {
  if (!("literal" in one)) return parameters[one.parameter] ?? null;
  return typeof one.literal === "number" ? BigInt(one.literal) : one.literal;
}

describe("UPDATE and DELETE on a real SQLite", () => {
  it("change no row that the target does not claim", () => {
    let precise = 0;
    fc.assert(
      fc.property(fc.oneof(update, remove), (statement) => {
        const changed = changedBy(statement);
        if (changed === undefined) return;
        const [analyzed] = analyzer.analyze(statement.text).statements;
        expect(analyzed?.kind).toBe("write");
        const target = analyzed?.kind === "write" ? analyzed.target : undefined;
        if (target === undefined) return;
        expect(target.table).toBe("t");
        for (const id of changed)
          expect({ statement, id, claimed: claims(target, id, statement.parameters) }).toMatchObject({ claimed: true });
        if (changed.length > 0) precise += 1;
      }),
      { numRuns: 6000 },
    );
    // Were nearly everything unknown, this would prove nothing.
    expect(precise).toBeGreaterThan(300);
  });
});

describe("any statement on a real SQLite", () => {
  const select = fc.constantFrom(
    "SELECT 1, 'a', 2",
    "SELECT id + 100, code, n FROM u",
    "VALUES (70, 'x', 1)",
    'SELECT * FROM "order"',
  );
  const statement = fc.oneof(
    update.map(({ text }) => text),
    remove.map(({ text }) => text),
    fc
      .tuple(
        fc.constantFrom("INSERT", "INSERT OR REPLACE", "REPLACE", "INSERT OR IGNORE"),
        fc.constantFrom("t", "u", '"order"', "[order]", "`order`", "'order'"),
        select,
      )
      .map(([verb, table, source]) => `${verb} INTO ${table} ${source}`),
    fc
      .tuple(
        fc.constantFrom("WITH x AS (SELECT 1 AS id) ", "WITH RECURSIVE x(id) AS (SELECT 1) ", "/* ; */ ", "-- x\n", ""),
        fc.oneof(update, remove),
      )
      .map(([before, { text }]) => before + text),
    fc
      .tuple(select, fc.constantFrom("t", "u"))
      .map(([source, table]) => `WITH x AS (${source}) INSERT INTO ${table} SELECT 77, 'a', 1 FROM x`),
    select.map((source) => `WITH x AS (${source}) REPLACE INTO t SELECT 78, 'a', 1 FROM x`),
    select,
    fc.constantFrom(
      "CREATE TABLE w (a)",
      "CREATE INDEX i ON t (n)",
      "EXPLAIN DELETE FROM t",
      "SELECT * FROM t WHERE code = 'DELETE FROM u'",
    ),
    fc.constantFrom(
      "INSERT INTO t (id, n) VALUES (90, 1) ON CONFLICT (id) DO UPDATE SET n = 2",
      "INSERT INTO u DEFAULT VALUES",
    ),
  );

  it("opens no table for writing that is not among the names", () => {
    const tableAt = new Map(
      (
        database.prepare("SELECT rootpage, tbl_name FROM sqlite_master").all() as {
          rootpage: number;
          tbl_name: string;
        }[]
      ).map(({ rootpage, tbl_name }) => [rootpage, tbl_name]),
    );
    let written = 0;
    fc.assert(
      fc.property(statement, (text) => {
        let program: { opcode: string; p1: number; p2: number }[];
        try {
          program = database
            .prepare(`EXPLAIN ${text}`)
            .all(...Array.from(text.match(/\?/g) ?? [], () => 1)) as typeof program;
        } catch {
          return;
        }
        const pages = program.flatMap(({ opcode, p1, p2 }) =>
          opcode === "OpenWrite" ? [p2] : opcode === "Clear" ? [p1] : [],
        );
        const tables = new Set(pages.flatMap((page) => tableAt.get(page) ?? []));
        const names = analyzer
          .analyze(text)
          .statements.map((one) => (one.kind === "write" ? one.names : new Set<string>()));
        for (const table of tables) {
          expect({ text, table, named: names.some((set) => set === "unknown" || set.has(table)) }).toMatchObject({
            named: true,
          });
        }
        written += tables.size;
      }),
      { numRuns: 3000 },
    );
    expect(written).toBeGreaterThan(500);
  });
});
