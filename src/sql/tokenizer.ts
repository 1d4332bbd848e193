/** The SQL that is read; the three differ in quoting, comments and parameters. */
export type Dialect = "sqlite" | "postgres" | "mysql";

/** A piece of SQL that is neither space nor comment. */
export interface SqlToken {
  readonly kind: "word" | "quoted" | "string" | "number" | "parameter" | "symbol";
  /** Words in lower case, quoted names and strings without their quotes. */
  readonly text: string;
  /** For parameters: the place in the list of parameters, from 0. */
  readonly parameter?: number;
}

const SPACE = /\s+/y;
const LINE_COMMENT: Readonly<Record<Dialect, RegExp>> = {
  sqlite: /--[^\n]*/y,
  postgres: /--[^\n]*/y,
  // In MySQL "5--3" is arithmetic: two dashes open a comment only before a space.
  mysql: /(?:--(?=[\s]|$)|#)[^\n]*/y,
};
const SINGLE = /'((?:[^']|'')*)'/y;
const DOUBLE = /"((?:[^"]|"")*)"/y;
const BACKTICK = /`((?:[^`]|``)*)`/y;
const BRACKET = /\[([^\]]*)\]/y;
const ESCAPED = /[eE]'((?:[^'\\]|''|\\[\s\S])*)'/y;
const DOLLAR = /\$([A-Za-z_]\w*)?\$[\s\S]*?\$\1\$/y;
const NUMBERED: Readonly<Record<Dialect, RegExp>> = { sqlite: /\?(\d+)/y, postgres: /\$(\d+)/y, mysql: /(?!)/y };
const NAMED = /[:@$][A-Za-z_]\w*/y;
const NUMBER = /\d[\w.]*/y;
const WORD = /[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*/y;

/**
 * The tokens of a text, or undefined if it is not understood for sure: an open quote, a quote whose end depends on a
 * setting of the server, an escaped name. The caller then assumes that the text may write anything.
 */
export function tokenize(sql: string, dialect: Dialect): SqlToken[] | undefined {
  // Where a backslash stands before a quote, NO_BACKSLASH_ESCAPES decides where the text ends.
  if (dialect === "mysql" && /\\['"]/.test(sql)) return undefined;
  if (dialect === "postgres" && /\bu&["']/i.test(sql)) return undefined;
  const tokens: SqlToken[] = [];
  let at = 0;
  let parameters = 0;
  const match = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    const found = pattern.exec(sql);
    if (found !== null) at = pattern.lastIndex;
    return found;
  };
  const quoted = (pattern: RegExp, kind: "quoted" | "string", quote: string): boolean => {
    const found = match(pattern);
    if (found !== null) tokens.push({ kind, text: (found[1] ?? "").replaceAll(quote + quote, quote) });
    return found !== null;
  };

  while (at < sql.length) {
    if (match(SPACE) ?? match(LINE_COMMENT[dialect])) continue;
    if (sql.startsWith("/*", at)) {
      const executable = dialect === "mysql" && /\/\*M?!\d*/y;
      if (executable && match(executable)) continue; // MySQL runs what stands in it.
      const end = endOfComment(sql, at, dialect);
      if (end === undefined) return undefined;
      at = end;
      continue;
    }
    if (dialect === "mysql" && sql.startsWith("*/", at)) {
      at += 2;
      continue;
    }
    if (dialect === "postgres" && quoted(ESCAPED, "string", "'")) continue;
    if (quoted(SINGLE, "string", "'") || quoted(DOUBLE, "quoted", '"')) continue;
    if (dialect !== "postgres" && quoted(BACKTICK, "quoted", "`")) continue;
    if (dialect === "sqlite" && quoted(BRACKET, "quoted", "\0")) continue;
    if (dialect === "postgres" && match(DOLLAR)) {
      tokens.push({ kind: "string", text: "" });
      continue;
    }
    const numbered = match(NUMBERED[dialect]);
    if (numbered !== null) {
      parameters = Number(numbered[1]);
      tokens.push({ kind: "parameter", text: numbered[0], parameter: parameters - 1 });
      continue;
    }
    if (dialect !== "postgres" && sql[at] === "?") {
      tokens.push({ kind: "parameter", text: "?", parameter: parameters++ });
      at += 1;
      continue;
    }
    if (dialect === "sqlite" && match(NAMED)) {
      tokens.push({ kind: "symbol", text: ":" });
      continue;
    }
    const number = match(NUMBER);
    if (number !== null) {
      tokens.push({ kind: "number", text: number[0] });
      continue;
    }
    const word = match(WORD);
    if (word !== null) {
      tokens.push({ kind: "word", text: word[0].toLowerCase() });
      continue;
    }
    const symbol = sql.charAt(at);
    if (symbol === "'" || symbol === '"' || symbol === "`") return undefined;
    tokens.push({ kind: "symbol", text: symbol });
    at += 1;
  }
  return tokens;
}

/** PostgreSQL's comments nest, the others' end at the first mark. */
function endOfComment(sql: string, start: number, dialect: Dialect): number | undefined {
  let depth = 0;
  for (let at = start; at < sql.length - 1; at += 1) {
    const pair = sql.slice(at, at + 2);
    if (pair === "/*" && (depth === 0 || dialect === "postgres")) {
      depth += 1;
      at += 1;
    } else if (pair === "*/") {
      depth -= 1;
      at += 1;
      if (depth === 0) return at + 1;
    }
  }
  // SQLite closes an open comment at the end of the text.
  return dialect === "sqlite" ? sql.length : undefined;
}
