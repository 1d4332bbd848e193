import { LRUCache } from "lru-cache";
import { selectShape, type SelectShape } from "./select-shape";
import { tokenize, type Dialect, type SqlToken } from "./tokenizer";
import { CLOCK_TEXTS } from "./view-functions";
import { NOT_UNDERSTOOD, viewQuery } from "./view-query";

/**
 * Why the text of a query alone rules out that its result is kept: it asks the clock, chance or the session; it locks rows;
 * it calls a function that may read any table; it is not understood.
 */
export type SelectRefusal = "volatile" | "lock" | "function" | "not-understood";

/** What a query reads, as far as its text says so. */
export interface SelectText {
  readonly refusal: SelectRefusal | undefined;
  /** Every place where a table is named, in lower case, with what it is qualified by before it. */
  readonly relations: readonly (readonly string[])[];
  /** How they are put together; undefined if that is not understood. */
  readonly shape: SelectShape | undefined;
}

/** Reads queries and remembers what it read; applications repeat few texts very often. */
export class SelectAnalyzer {
  private readonly known = new LRUCache<string, SelectText>({ max: 2000 });

  constructor(private readonly dialect: Dialect) {}

  analyze(sql: string): SelectText {
    const known = this.known.get(sql);
    if (known !== undefined) return known;
    const text = selectText(sql, this.dialect);
    if (sql.length <= 20_000) this.known.set(sql, text);
    return text;
  }

  /** Whether a parameter has the database read the clock where it is taken for a date. */
  isClock(parameter: unknown): boolean {
    return this.dialect !== "mysql" && typeof parameter === "string" && CLOCK_TEXTS.has(parameter.trim().toLowerCase());
  }
}

/** Reads one query. */
export function selectText(sql: string, dialect: Dialect): SelectText {
  const tokens = tokenize(sql, dialect);
  const { relations, unclear, changing } = viewQuery(sql, dialect, tokens);
  const refusal = refusalOf(tokens, dialect, changing, unclear);
  return { relations, refusal, shape: tokens === undefined ? undefined : selectShape(tokens) };
}

function refusalOf(
  tokens: readonly SqlToken[] | undefined,
  dialect: Dialect,
  changing: string | undefined,
  unclear: string | undefined,
): SelectRefusal | undefined {
  if (tokens === undefined) return "not-understood";
  if (changing !== undefined || tokens.some((token) => isVariable(token, dialect))) return "volatile";
  if (tokens.some((_, at) => locksAt(tokens, at))) return "lock";
  if (unclear !== undefined) return unclear === NOT_UNDERSTOOD ? "not-understood" : "function";
  // SELECT ... INTO makes a table, a file or a variable.
  return tokens.some((token) => isWord(token, "into")) ? "not-understood" : undefined;
}

const LOCKS = new Set(["update", "share", "no", "key"]);

function locksAt(tokens: readonly SqlToken[], at: number): boolean {
  const next = tokens[at + 1];
  if (isWord(tokens[at], "lock")) return isWord(next, "in");
  return isWord(tokens[at], "for") && next?.kind === "word" && LOCKS.has(next.text);
}

/** MySQL keeps variables per session. */
function isVariable({ kind, text }: SqlToken, dialect: Dialect): boolean {
  return dialect === "mysql" && kind !== "string" && kind !== "quoted" && text.startsWith("@");
}

function isWord(token: SqlToken | undefined, text: string): boolean {
  return token?.kind === "word" && token.text === text;
}
