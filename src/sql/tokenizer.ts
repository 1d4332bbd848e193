/** The SQL that is read; the three differ in quoting, comments and parameters. */
export type Dialect = "sqlite" | "postgres" | "mysql";

/** A piece of SQL that is neither space nor comment. */
export interface SqlToken {
  /** opaque: a text of which only the server knows the value, or whether it is a value or a name. */
  readonly kind: "word" | "quoted" | "string" | "opaque" | "number" | "parameter" | "symbol";
  /** Words in lower case; quoted names, strings and opaque texts without their quotes. */
  readonly text: string;
  /** For parameters: the place in the list of parameters, from 0; missing where the driver decides it. */
  readonly parameter?: number;
}

/** Not \s: to all three a no-break space is a letter. */
const SPACE = /[ \t\n\r\f\v]+/y;
const LINE_COMMENT: Readonly<Record<Dialect, RegExp>> = {
  sqlite: /--[^\n]*/y,
  postgres: /--[^\n\r]*/y,
  // In MySQL "5--3" is arithmetic: two dashes open a comment only before a space or a control character.
  // eslint-disable-next-line no-control-regex -- they are what the server looks for
  mysql: /(?:--(?=[\x01-\x20\x7f]|$)|#)[^\n]*/y,
};
const DOLLAR = /\$(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$/y;
const NUMBERED = /[$?](\d+)/y;
const NAMED = /[:@$][\w$\u0080-\uffff]+/y;
const NUMBER: Readonly<Record<Dialect, RegExp>> = {
  sqlite: /\d[\w.]*/y,
  postgres: /\d+(?:\.\d*)?(?:e[+-]?\d+)?/iy,
  // In MySQL a name may begin with a digit.
  mysql: /\d+(?:\.\d*)?(?:e[+-]?\d+)?(?![\w$\u0080-\uffff])/iy,
};
const GLUED = /[A-Za-z_\u0080-\uffff]/;
const WORD: Readonly<Record<Dialect, RegExp>> = {
  sqlite: /[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*/y,
  postgres: /[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*/y,
  mysql: /[\w$\u0080-\uffff]+/y,
};

/**
 * The tokens of a text, or undefined if it is not understood for sure: an open quote, a quote whose end depends on a
 * setting of the server, an escaped name, a comment that the server may run. The caller then assumes that the text may write
 * anything.
 */
export function tokenize(sql: string, dialect: Dialect): SqlToken[] | undefined {
  // Drivers that hand over a C string end it there.
  if (sql.includes("\0")) return undefined;
  // Where a backslash stands before a quote, NO_BACKSLASH_ESCAPES decides where the text ends.
  if (dialect === "mysql" && /\\['"]/.test(sql)) return undefined;
  if (dialect === "postgres" && /\bu&["']/i.test(sql)) return undefined;
  const tokens = new Scanner(sql, dialect).scan();
  // With a name among them, it is the driver who says which value the others get.
  if (dialect !== "sqlite" || !tokens?.includes(NAMED_PARAMETER)) return tokens;
  return tokens.map((token) => (token.kind === "parameter" ? { kind: "parameter", text: "?" } : token));
}

const NAMED_PARAMETER: SqlToken = { kind: "symbol", text: ":" };

/** A quote is open, or something else is not understood. */
class GivenUp extends Error {}

class Scanner {
  private readonly tokens: SqlToken[] = [];
  private at = 0;
  private parameters = 0;

  constructor(
    private readonly sql: string,
    private readonly dialect: Dialect,
  ) {}

  scan(): SqlToken[] | undefined {
    try {
      while (this.at < this.sql.length) this.next();
      return this.tokens;
    } catch (error) {
      if (error instanceof GivenUp) return undefined;
      throw error;
    }
  }

  private next(): void {
    const { sql, dialect } = this;
    if ((this.match(SPACE) ?? this.match(LINE_COMMENT[dialect])) !== undefined) return;
    if (sql.startsWith("/*", this.at)) {
      this.at = this.endOfComment();
      return;
    }
    if (this.quoted() || this.parameter()) return;
    if (this.number()) return;
    const word = this.match(WORD[dialect]);
    this.tokens.push(
      word === undefined ? { kind: "symbol", text: sql.charAt(this.at++) } : { kind: "word", text: word.toLowerCase() },
    );
  }

  private number(): boolean {
    const { sql, dialect } = this;
    const text = this.match(NUMBER[dialect]);
    if (text === undefined) return false;
    // PostgreSQL before 15 takes the e of 1e'…' for the beginning of an escaped text.
    if (/e?'/iy.test(sql.slice(this.at, this.at + 2))) throw new GivenUp();
    // There n=5FROM u is a number and a keyword. Later versions refuse that, or read it as one number: 0x1F, 1_000.
    const isGlued = dialect === "postgres" && GLUED.test(sql.charAt(this.at));
    this.tokens.push({ kind: isGlued ? "opaque" : "number", text });
    return true;
  }

  /** Names and texts. */
  private quoted(): boolean {
    const { sql, dialect, at } = this;
    const mark = sql[at];
    if (mark === "'") {
      const text = this.upTo("'");
      // standard_conforming_strings decides where this one ends; what it means to MySQL, NO_BACKSLASH_ESCAPES.
      if (dialect === "postgres" && /\\(?:'|$)/.test(text)) throw new GivenUp();
      this.tokens.push({ kind: dialect === "mysql" && text.includes("\\") ? "opaque" : "string", text });
    } else if (mark === '"') {
      // To MySQL a name or a text: ANSI_QUOTES decides.
      this.tokens.push({ text: this.upTo('"'), kind: dialect === "mysql" ? "opaque" : "quoted" });
    } else if (mark === "`") {
      if (dialect === "postgres") throw new GivenUp();
      this.tokens.push({ kind: "quoted", text: this.upTo("`") });
    } else if (mark === "[" && dialect === "sqlite") {
      this.tokens.push({ kind: "quoted", text: this.between(at + 1, "]") });
    } else if (dialect === "postgres" && (mark === "e" || mark === "E") && sql[at + 1] === "'") {
      const text = this.escaped();
      this.tokens.push({ kind: text.includes("\\") ? "opaque" : "string", text });
    } else if (dialect === "postgres" && mark === "$") {
      const tag = this.match(DOLLAR);
      if (tag === undefined) return false;
      this.tokens.push({ kind: "opaque", text: this.between(this.at, tag) });
    } else return false;
    return true;
  }

  private parameter(): boolean {
    const { sql, dialect, at } = this;
    const mark = dialect === "postgres" ? "$" : "?";
    if (sql[at] === mark) {
      const number = dialect === "mysql" ? undefined : this.match(NUMBERED);
      if (number === undefined && mark === "$") return false;
      // mysql2 puts an escaped name in the place of two.
      if (dialect === "mysql" && sql[at + 1] === "?") throw new GivenUp();
      if (number === undefined) this.at += 1;
      const place = number === undefined ? this.parameters : Number(number.slice(1)) - 1;
      // SQLite counts on from the largest so far.
      this.parameters = Math.max(this.parameters, place + 1);
      this.tokens.push({ kind: "parameter", text: number ?? mark, parameter: place });
      return true;
    }
    if (dialect !== "sqlite" || this.match(NAMED) === undefined) return false;
    // Tcl's array elements, whose index may be a quote.
    if (/^(?:\(|::)/.test(sql.slice(this.at, this.at + 2))) throw new GivenUp();
    this.tokens.push(NAMED_PARAMETER);
    return true;
  }

  /** What stands between quotes, of which a doubled one is a part. */
  private upTo(quote: string): string {
    const begin = this.at + 1;
    let doubled = false;
    for (let at = this.sql.indexOf(quote, begin); at >= 0; at = this.sql.indexOf(quote, at + 2)) {
      if (this.sql[at + 1] === quote) {
        doubled = true;
        continue;
      }
      this.at = at + 1;
      const text = this.sql.slice(begin, at);
      return doubled ? text.replaceAll(quote + quote, quote) : text;
    }
    throw new GivenUp();
  }

  private between(begin: number, end: string): string {
    const at = this.sql.indexOf(end, begin);
    if (at < 0) throw new GivenUp();
    this.at = at + end.length;
    return this.sql.slice(begin, at);
  }

  /** An E'…' of PostgreSQL, its escapes as they stand. */
  private escaped(): string {
    const begin = this.at + 2;
    for (let at = begin; at < this.sql.length; at += 1) {
      const character = this.sql[at];
      if (character === "\\" || (character === "'" && this.sql[at + 1] === "'")) at += 1;
      else if (character === "'") {
        this.at = at + 1;
        return this.sql.slice(begin, at).replaceAll("''", "'");
      }
    }
    throw new GivenUp();
  }

  /** PostgreSQL's comments nest, the others' end at the first mark. */
  private endOfComment(): number {
    const { sql, dialect, at } = this;
    // MySQL and MariaDB run what stands in these, if their version is high enough.
    if (dialect === "mysql" && /\/\*M?!/y.test(sql.slice(at, at + 4))) throw new GivenUp();
    if (dialect === "postgres") return this.endOfNestedComment();
    const end = sql.indexOf("*/", at + 2);
    if (end >= 0) return end + 2;
    // SQLite closes an open comment at the end of the text.
    if (dialect === "sqlite") return sql.length;
    throw new GivenUp();
  }

  private endOfNestedComment(): number {
    let depth = 0;
    const mark = /\/\*|\*\//g;
    mark.lastIndex = this.at;
    for (let found = mark.exec(this.sql); found !== null; found = mark.exec(this.sql)) {
      depth += found[0] === "/*" ? 1 : -1;
      if (depth === 0) return mark.lastIndex;
    }
    throw new GivenUp();
  }

  private match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.sql)?.[0];
    if (found !== undefined) this.at = pattern.lastIndex;
    return found;
  }
}
