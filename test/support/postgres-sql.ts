import fc from "fast-check";

type Text = fc.Arbitrary<string>;

/** PostgreSQL cuts longer names to this many bytes. */
const LONG = "long_name_".repeat(6) + "end";

/** The tables that the statements use, all with the columns id, code and n. */
export const TABLES = ["t", "u", "select", 'Up"Date', "Ärger", LONG] as const;
/** Tables with children, which are written with them and are not named. */
export const PARENTS: ReadonlyMap<string, string> = new Map([
  ["part_low", "part"],
  ["part_high", "part"],
  ["derived", "base"],
]);

const quote = (name: string) => `"${name.replaceAll('"', '""')}"`;

/** Creates all tables in the current schema. */
export const DDL: readonly string[] = [
  ...[...TABLES, "base"].map((name) => `CREATE TABLE ${quote(name)} (id int PRIMARY KEY, code text, n int)`),
  "CREATE TABLE derived () INHERITS (base)",
  "CREATE TABLE part (id int PRIMARY KEY, code text, n int) PARTITION BY RANGE (id)",
  "CREATE TABLE part_low PARTITION OF part FOR VALUES FROM (MINVALUE) TO (10)",
  "CREATE TABLE part_high PARTITION OF part FOR VALUES FROM (10) TO (MAXVALUE)",
];

const gap = fc.oneof(
  { weight: 20, arbitrary: fc.constant(" ") },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      "\n\t",
      "/**/",
      " /* DELETE FROM u; ' \" $$ */ ",
      " /* a /* UPDATE t */ ' */\r\n",
      " -- ; INSERT INTO t /* '\n",
      " --\r",
    ),
  },
);
const CASES = [
  (text: string) => text,
  (text: string) => text.toLowerCase(),
  (text: string) => text.replace(/./g, (letter, at: number) => (at % 2 === 0 ? letter.toLowerCase() : letter)),
];

/** Parts with space or comments between them. Those given as plain texts are keywords: their case does not matter. */
function text(...parts: readonly (Text | string)[]): Text {
  const cased = parts.map((part) =>
    typeof part === "string" ? fc.constantFrom(...CASES).map((to) => to(part)) : part,
  );
  const gaps = fc.array(gap, { minLength: parts.length, maxLength: parts.length });
  return fc
    .tuple(fc.tuple(...cased), gaps)
    .map(([pieces, between]) =>
      pieces.reduce((all, piece, at) => (piece === "" ? all : all + between[at]! + piece), ""),
    );
}

const list = (item: Text, maxLength: number): Text =>
  fc.array(item, { minLength: 1, maxLength }).map((items) => items.join(" , "));
const maybe = (part: Text | string, empty = 2): Text =>
  fc.oneof({ weight: empty, arbitrary: fc.constant("") }, { weight: 1, arbitrary: text(part) });
const either = (...choices: readonly (Text | string)[]): Text => fc.oneof(...choices.map((choice) => text(choice)));

const aNumber = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom("1", "42", "$1", "+7", "CAST('5' AS int)", "length($$;$$)") },
  { weight: 1, arbitrary: fc.constantFrom("(SELECT max(id) FROM t)", "(SELECT n FROM u LIMIT 1)", "abs(-1)", "NULL") },
);
const aText = fc.constantFrom(
  ...["'a'", "$2", "'it''s; DELETE FROM t'", "E'\\'; UPDATE t SET n = 1 --'", "e'a''b\\\\'", "'a' || '/*'", "'--'"],
  ...["$$; DELETE FROM u $ '$$", "$tag$ $$ INSERT INTO t; $tag$", "$Ä1$'$Ä1$", "'a'\n ' MERGE'", "U&'\\0041'", "'$$'"],
);

/** All statements of one schema. `aNumber` may be $1, `aText` $2. */
export function postgresStatements(schema: string): Text {
  const named = (name: string): string[] => [quote(name), `${schema}.${quote(name)}`];
  const table: Text = fc.oneof(
    {
      weight: 4,
      arbitrary: fc.constantFrom("t", "T", ...named("t"), `${schema} . /* u */ t`, "u", "U", ...named("u")),
    },
    { weight: 2, arbitrary: fc.constantFrom(...named("select"), ...named('Up"Date'), "Ärger", ...named("Ärger")) },
    { weight: 1, arbitrary: fc.constantFrom("part", "base", "ONLY base", "base *", "PART_LOW", "derived") },
    { weight: 1, arbitrary: fc.constantFrom(LONG, `${LONG}_cut`, ...named(`${LONG} and so on`)) },
  );
  /** Its columns have names of their own, so that those of the target are not ambiguous. */
  const other = text(table, either("AS y", "y"), "(yid, ycode, yn)");
  const comparison = fc.oneof(
    { weight: 4, arbitrary: text(either("id", fc.constant('"id"')), "=", aNumber) },
    { weight: 2, arbitrary: text("code =", aText) },
    { weight: 1, arbitrary: text("id IN (", list(aNumber, 3), ")") },
    { weight: 1, arbitrary: text("EXISTS (SELECT 1 FROM", table, ")") },
    { weight: 1, arbitrary: fc.constantFrom("code IS NOT NULL", "n > 1", "NOT id = 1", "(id, n) = (1, 2)", "false") },
  );
  const filter = text("WHERE", comparison, maybe(text(either("AND", "OR"), comparison)));
  const values = list(text("(", aNumber, ",", aText, ",", aNumber, ")"), 2);
  const select = either(
    text("SELECT", aNumber, ",", aText, ",", aNumber),
    text("SELECT id + 100, code, n FROM", table, maybe(filter)),
    text("TABLE", table),
    text("SELECT * FROM", table, "FOR", either("UPDATE", "NO KEY UPDATE", "KEY SHARE")),
    text("(", "SELECT * FROM", table, "UNION ALL VALUES", values, ")"),
  );
  const assignment = either(text("n =", aNumber), text("code =", aText), text('"n"=', aNumber, "+ n"));
  const set = either(list(assignment, 1), text("n =", aNumber, ", code =", aText), "(n, code) = (SELECT 1, 'a')");
  const conflict = either("DO NOTHING", "(id) DO NOTHING", text("(id) DO UPDATE SET", set, maybe(filter)));
  const returning = (always: boolean): Text =>
    always ? text("RETURNING id") : maybe(either("RETURNING *", "RETURNING id"));

  const insert = (always: boolean): Text => {
    const target = text("INSERT INTO", table, maybe("AS x", 6));
    return either(
      text(target, "(id, code, n) VALUES", values, returning(always)),
      text(
        target,
        maybe("(id, code, n)"),
        either(text("VALUES", values), select),
        maybe(text("ON CONFLICT", conflict)),
        returning(always),
      ),
      text("INSERT INTO", table, "DEFAULT VALUES", returning(always)),
    );
  };
  const update = (always: boolean): Text =>
    text(
      "UPDATE",
      table,
      maybe(either("AS x", "x")),
      "SET",
      set,
      maybe(text("FROM", other)),
      filter,
      returning(always),
    );
  const remove = (always: boolean): Text =>
    text("DELETE FROM", table, maybe(either("AS x", "x")), maybe(text("USING", other)), filter, returning(always));
  const merge = text(
    ...["MERGE INTO", table, "AS x USING", other, "ON x.id = yid"],
    maybe(text("WHEN MATCHED AND x.n > 1 THEN", either("DELETE", "DO NOTHING", "UPDATE SET n = yn"))),
    ...["WHEN", either("MATCHED THEN DELETE", "NOT MATCHED THEN INSERT (id, code, n) VALUES (yid, ycode, yn)")],
  );
  const write = (always: boolean): Text => either(insert(always), update(always), remove(always));

  const counting = text(
    "(a) AS (SELECT 1 UNION ALL SELECT a + 1 FROM",
    fc.constant("z WHERE a < 3)"),
    maybe(either("SEARCH DEPTH FIRST BY a SET key", "CYCLE a SET cyc USING key", "CYCLE a SET key USING path"), 1),
  );
  const inner = either(write(true), select, text("WITH w AS (", select, ")", write(true)));
  const cte = (name: string): Text =>
    text(fc.constant(name), "AS", maybe(either("MATERIALIZED", "NOT MATERIALIZED")), "(", inner, ")");
  const ctes = either(
    ...["x1", "t", '"delete"', "key", '"a "" ; update"'].map(cte),
    text(cte("x1"), ",", cte('"insert into"')),
    text("RECURSIVE", cte("x1"), ",", cte("x2"), ",", fc.constant("z"), counting),
    text("RECURSIVE", fc.constant("z"), counting),
  );
  const main = either(
    write(false),
    merge,
    select,
    text("INSERT INTO", table, "WITH v AS (", inner, ") SELECT 1, 'a', 2"),
  );
  const within = text("WITH", ctes, main);
  return text(
    fc.oneof(
      { weight: 5, arbitrary: write(false) },
      { weight: 1, arbitrary: merge },
      { weight: 1, arbitrary: select },
      { weight: 4, arbitrary: within },
      { weight: 1, arbitrary: text("(", text("WITH", cte("x1"), "SELECT * FROM x1"), ")") },
      { weight: 1, arbitrary: text("CREATE TABLE made AS", either(select, text("WITH", cte("x1"), select))) },
    ),
    maybe(";", 6),
  );
}
