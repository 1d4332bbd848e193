import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { tokenize, type Dialect, type SqlToken } from "../../../src/sql/tokenizer";

const DIALECTS: readonly Dialect[] = ["sqlite", "postgres", "mysql"];

/** Tokens as short texts: words bare, names in <>, strings in '', parameters as #place, what has no certain value as ~text~. */
function read(dialect: Dialect, sql: string): string {
  const tokens = tokenize(sql, dialect);
  return tokens === undefined ? "unknown" : tokens.map(short).join(" ");
}

function short({ kind, text, parameter }: SqlToken): string {
  switch (kind) {
    case "quoted":
      return `<${text}>`;
    case "string":
      return `'${text}'`;
    case "parameter":
      return `#${parameter ?? "?"}`;
    case "opaque":
      return `~${text}~`;
    default:
      return text;
  }
}

type Case = readonly [sql: string, expected: string];

describe("what is the same in every dialect", () => {
  const cases: readonly Case[] = [
    ["", ""],
    [" \t\r\n\f", ""],
    ["SELECT Id\nFROM\tProduct", "select id from product"],
    ["UPDATE a SET b = 1, c=2.5", "update a set b = 1 , c = 2.5"],
    ["'it''s'", "'it's'"],
    ["''''", "'''"],
    ["''", "''"],
    ["'-- no comment' x", "'-- no comment' x"],
    ["'/* no comment' x", "'/* no comment' x"],
    ["'; DELETE FROM t'", "'; DELETE FROM t'"],
    ["a -- ; DELETE FROM t\nb", "a b"],
    ["a --", "a"],
    ["a /* ' */ b /* \" ; */ c", "a b c"],
    ["a/**/b", "a b"],
    ["a/***/b", "a b"],
    ["a /* x ** y */ b", "a b"],
    ["ärger = 'Übermut'", "ärger = 'Übermut'"],
    ["'open", "unknown"],
    ["a 'closed' 'open", "unknown"],
    ["'closed'''", "'closed''"],
    // A driver that ends the text here would run less than is read.
    ["UPDATE t SET a = 1\0 WHERE id = 5", "unknown"],
  ];
  it.each(DIALECTS.flatMap((dialect) => cases.map(([sql, expected]) => ({ dialect, sql, expected }))))(
    "$dialect: $sql",
    ({ dialect, sql, expected }) => expect(read(dialect, sql)).toBe(expected),
  );

  it("takes for spaces what the databases take for spaces, and nothing else", () => {
    // A no-break space is part of a name for all three.
    for (const dialect of DIALECTS) expect(read(dialect, "a\u00a0b \u2028c")).toBe("a\u00a0b \u2028c");
  });
});

describe("SQLite", () => {
  const cases: readonly Case[] = [
    ['"a b" [c d] `e``f` "g""h"', '<a b> <c d> <e`f> <g"h>'],
    ["[a]b]", "<a> b ]"],
    ["[open", "unknown"],
    ["`open", "unknown"],
    ['"open', "unknown"],
    ["'back\\' x", "'back\\' x"],
    ["/* open at the end", ""],
    ["/* /* */ a", "a"],
    ["# a", "# a"],
    ["-- a\r b\nc", "c"],
    ["? ?", "#0 #1"],
    ["?2 ? ?1 ?", "#1 #2 #0 #3"],
    ["a$b $$", "a$b :"],
    // Names have places too, but which depends on the driver.
    [":a ? @b $c", ": #? : :"],
    ["? :a $1", "#? : :"],
    ["$a(')", "unknown"],
    ["$a::b", "unknown"],
    ["x'41'", "x '41'"],
    ["5e3 0x1F", "5e3 0x1F"],
    ["\ufeffselect", "\ufeffselect"],
  ];
  it.each(cases)("%j", (sql, expected) => expect(read("sqlite", sql)).toBe(expected));
});

describe("PostgreSQL", () => {
  const cases: readonly Case[] = [
    ['"a b" "c""d"', '<a b> <c"d>'],
    ["[1]", "[ 1 ]"],
    ["`", "unknown"],
    ["/* a /* b */ c */ d", "d"],
    ["/* a /* b */ c", "unknown"],
    ["-- a\r b", "b"],
    ["E'a\\'b' c", "~a\\'b~ c"],
    ["e'plain' c", "'plain' c"],
    ["E'a''b\\\\' c", "~a'b\\\\~ c"],
    ["E'open\\'", "unknown"],
    ["like'a' b", "like 'a' b"],
    // Where the text ends depends on standard_conforming_strings.
    ["'a\\' ; DELETE FROM t --'", "unknown"],
    ["'a\\b'", "'a\\b'"],
    ["$$a ' b$$ c", "~a ' b~ c"],
    ["$x$ a $$ b $y$ c $x$ d", "~ a $$ b $y$ c ~ d"],
    ["$ä$ ' $ä$ d", "~ ' ~ d"],
    ["$x$ open $y$", "unknown"],
    ["$1 $2 $10", "#0 #1 #9"],
    ["$1$2", "#0 #1"],
    ["a$b$c", "a$b$c"],
    ["? ?| ?&", "? ? | ? &"],
    ["a::int :b", "a : : int : b"],
    ["U&'d\\0061' x", "unknown"],
    ['u&"d\\0061" x', "unknown"],
    ["menu & 'x'", "menu & 'x'"],
    ["1e'a\\'b'", "unknown"],
    ["5 5. 2.5 1e5 1.5E-3", "5 5. 2.5 1e5 1.5E-3"],
    // Two tokens until PostgreSQL 14, an error since then.
    ["n=5FROM u", "n = ~5~ from u"],
    ["1.5FROM u", "~1.5~ from u"],
    ["5.FROM u", "~5.~ from u"],
    ["1e5FROM u", "~1e5~ from u"],
    ["5eFROM u", "~5~ efrom u"],
    ["5ä", "~5~ ä"],
    ["$1FROM u", "#0 from u"],
    // One number since PostgreSQL 16.
    ["0x1F 1_000", "~0~ x1f ~1~ _000"],
  ];
  it.each(cases)("%j", (sql, expected) => expect(read("postgres", sql)).toBe(expected));
});

describe("MySQL and MariaDB", () => {
  const cases: readonly Case[] = [
    ["`a b` `c``d`", "<a b> <c`d>"],
    // A name or a text: ANSI_QUOTES decides.
    ["\"a\" 'b'", "~a~ 'b'"],
    ["`back\\` x", "<back\\> x"],
    ["'a\\'b'", "unknown"],
    ['"a\\"b"', "unknown"],
    ["'a\\nb'", "~a\\nb~"],
    ["a # ; DELETE FROM t\nb", "a b"],
    ["5--3", "5 - - 3"],
    ["5-- 3\n4", "5 4"],
    ["5--\u00013\n4", "5 4"],
    ["5--\u00a03", "5 - - \u00a03"],
    ["a -- x\r y\nb", "a b"],
    ["/* /* */ a", "a"],
    ["2*/*'*/3", "2 * 3"],
    // The server runs what is in it, or does not: that depends on its version.
    ["/*!50000 UPDATE a SET b = 1 */", "unknown"],
    ["/*! UPDATE a SET b = 1 */", "unknown"],
    ["/*M!100100 UPDATE a SET b = 1 */", "unknown"],
    ["/*+ MAX_EXECUTION_TIME(5) */ a", "a"],
    ["'/*!' a", "'/*!' a"],
    ["/* open", "unknown"],
    ["? ?", "#0 #1"],
    // The driver puts a name there.
    ["UPDATE ?? SET a = 1", "unknown"],
    ["$1 @a :b", "$1 @ a : b"],
    // Names may begin with a digit or a dollar.
    ["2fa.3rd $t 1e5 0x1F 12 1.5", "2fa . 3rd $t 1e5 0x1f 12 1.5"],
  ];
  it.each(cases)("%j", (sql, expected) => expect(read("mysql", sql)).toBe(expected));
});

describe("any text", () => {
  const piece = fc.oneof(
    fc.constantFrom(..."'\"`[]$?:@;()\\#-/*! \n\r,.=".split("")),
    fc.constantFrom(
      "--",
      "/*",
      "*/",
      "$$",
      "$a$",
      "E'",
      "U&'",
      "??",
      "UPDATE t SET a = 1",
      "WHERE id = 1",
      " OR ",
      "\0",
      "/*!50000",
    ),
    fc.string({ unit: "binary", maxLength: 5 }),
  );
  const text = fc.array(piece, { maxLength: 40 }).map((pieces) => pieces.join(""));

  it("is tokenized or given up, never an error", () => {
    fc.assert(
      fc.property(text, fc.constantFrom(...DIALECTS), (sql, dialect) => {
        const tokens = tokenize(sql, dialect) ?? [];
        for (const { kind, text: found } of tokens) expect(kind !== "word" || found === found.toLowerCase()).toBe(true);
      }),
      { numRuns: 5000 },
    );
  });

  const length = 400_000;
  const long: readonly (readonly [string, string])[] = [
    ["a string", `'${"x".repeat(length)}'`],
    ["doubled quotes", `'${"''".repeat(length / 2)}'`],
    ["an open string", `'${"x".repeat(length)}`],
    ["open doubled quotes", `'${"''".repeat(length / 2)}`],
    ["a name", `"${"x".repeat(length)}"`],
    ["a comment", `/*${"x".repeat(length)}*/`],
    ["nested comments", "/*".repeat(length / 2)],
    ["open dollar quotes", Array.from({ length: length / 10 }, (_, index) => `$t${index}$ `).join("")],
    ["dollars", "$".repeat(length + 1)],
    ["an escaped string", `E'${"\\'".repeat(length / 2)}'`],
    ["spaces", " ".repeat(length)],
    ["symbols", "(".repeat(length / 4)],
    ["digits", "1".repeat(length)],
    ["a word", "w".repeat(length)],
  ];
  it.each(long)("takes time in proportion to its length: %s", (_, sql) => {
    for (const dialect of DIALECTS) {
      const begin = performance.now();
      tokenize(sql, dialect);
      // A tenth of a second is usual; what grows with the square of the length takes minutes.
      expect(performance.now() - begin).toBeLessThan(4000);
    }
  });
});
