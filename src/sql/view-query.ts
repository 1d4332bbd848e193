import { mayName } from "./statement";
import { tokenize, type Dialect, type SqlToken } from "./tokenizer";
import { CHANGING_CALLS, CHANGING_WORDS, CLOCK_TEXTS, CLOCK_UNLESS_MORE, NO_CALL, PURE } from "./view-functions";

/** What the query of a view reads, as far as its text alone says so. */
export interface ViewQuery {
  /** Every name that stands in it, in lower case. */
  readonly names: ReadonlySet<string>;
  /** Names where a table must stand, in lower case, with what they are qualified by before them. */
  readonly relations: readonly (readonly string[])[];
  /** Why there may be tables that it does not name; ends a sentence that begins with "its expression". */
  readonly unclear: string | undefined;
  /** What makes its rows change without a write. */
  readonly changing: string | undefined;
}

/** {@link ViewQuery.unclear} of a text that makes no sense here. */
export const NOT_UNDERSTOOD = "is not understood";

/** Reads the SQL of a view: rather too many tables, and rather unclear, than one table too few. */
export function viewQuery(
  sql: string,
  dialect: Dialect,
  tokens: readonly SqlToken[] | undefined = tokenize(sql, dialect),
): ViewQuery {
  if (tokens === undefined) return { names: new Set(), relations: [], unclear: NOT_UNDERSTOOD, changing: undefined };
  const scanner = new RelationScanner(tokens, dialect);
  scanner.scan();
  return {
    names: new Set(tokens.filter((token) => mayName(token, dialect)).map(({ text }) => text.toLowerCase())),
    relations: scanner.relations,
    unclear: scanner.unclear,
    changing: changingIn(tokens, dialect),
  };
}

/** What one pair of parentheses holds; the outermost has none around it. */
interface Frame {
  /** SELECT stands in it: a FROM without one belongs to extract(), trim() and their like. */
  select: boolean;
  /** A comma goes on to the next table. */
  from: boolean;
  /** A table comes next. */
  due: boolean;
  /** Names of WITH that stand for a query from here on. */
  readonly named: Set<string>;
  /** The name of WITH that this is the query of. */
  readonly defines: Definition | undefined;
}

interface Definition {
  readonly name: string;
  readonly recursive: boolean;
}

/** These are reserved everywhere, so that they can end a list of tables and be no name in it. */
const ENDS = new Set(["where", "group", "having", "order", "limit", "union", "except", "intersect"]);

/** No query that is meant nests so deep; each name of a table is looked for in every query around it. */
const DEEPEST = 200;

/** Walks over the tokens of a query and notes what stands where a table must. */
class RelationScanner {
  readonly relations: string[][] = [];
  unclear: string | undefined;
  private readonly frames: Frame[] = [];
  private at = 0;

  constructor(
    private readonly tokens: readonly SqlToken[],
    private readonly dialect: Dialect,
  ) {
    this.push(false);
  }

  scan(): void {
    while (this.at < this.tokens.length) this.next(this.tokens[this.at]!, this.frames.at(-1)!);
    if (this.frames.length !== 1 || this.frames[0]?.due === true) this.giveUp();
  }

  private next(token: SqlToken, top: Frame): void {
    if (token.kind === "symbol") this.symbol(token.text, top);
    else if (token.kind === "word" && token.text === "with" && this.with(top)) return;
    else if (token.kind === "word" && this.keyword(token.text, top)) this.at += 1;
    else if (top.due) this.relation(top);
    else {
      if (this.isCall(token)) this.call(token);
      this.at += 1;
    }
  }

  private symbol(text: string, top: Frame): void {
    this.at += 1;
    if (text === "(") {
      if (this.frames.length > DEEPEST) return this.giveUp();
      // Either a query or a list of tables: its first word tells.
      this.push(top.due);
      top.due = false;
    } else if (text === ")") this.close(top);
    else if (text === "," && top.from) top.due = true;
    else if (text === ";" || top.due) this.giveUp();
  }

  private close({ due, defines }: Frame): void {
    this.frames.pop();
    const around = this.frames.at(-1);
    if (due || around === undefined) return this.giveUp();
    if (defines === undefined) return;
    around.named.add(defines.name);
    if (this.symbolAt(this.at) === "," && !this.define(this.at + 1, defines.recursive)) this.giveUp();
  }

  /** @returns false for a word that is none here */
  private keyword(text: string, top: Frame): boolean {
    if (top.due && (text === "lateral" || text === "only")) return this.dialect !== "sqlite";
    if (text === "select") {
      top.select = true;
      top.from = top.due = false;
    } else if (text === "values" && this.symbolAt(this.at + 1) === "(") top.from = top.due = false;
    else if (text === "table") top.due = true;
    else if (text === "join" || text === "straight_join") {
      // The one of the two may also be a hint behind SELECT.
      if (top.due) this.giveUp();
      top.due = top.from || text === "join";
    } else if (text === "from") {
      if (top.select && !this.isDistinctFrom()) top.from = top.due = true;
    } else if (ENDS.has(text)) {
      if (top.due) this.giveUp();
      top.from = top.due = false;
    } else return false;
    return true;
  }

  private with(top: Frame): boolean {
    const recursive = this.wordAt(this.at + 1) === "recursive";
    const defines = this.define(this.at + (recursive ? 2 : 1), recursive);
    if (defines) top.from = top.due = false;
    return defines;
  }

  /** Takes a name of WITH and the parenthesis that opens its query, if that is what stands here. */
  private define(begin: number, recursive: boolean): boolean {
    const token = this.tokens[begin];
    if (token === undefined || !mayName(token, this.dialect)) return false;
    let at = begin + 1;
    if (this.symbolAt(at) === "(") {
      // Names and commas: what else stands here is no list of columns.
      for (at += 1; this.symbolAt(at) === "," || this.isNameAt(at); at += 1);
      if (this.symbolAt(at++) !== ")") return false;
    }
    if (this.wordAt(at++) !== "as") return false;
    while (["not", "materialized"].includes(this.wordAt(at))) at += 1;
    if (this.symbolAt(at) !== "(" || this.frames.length > DEEPEST) return false;
    const defines = { name: token.text.toLowerCase(), recursive };
    this.push(false, defines);
    // Without RECURSIVE the name still means a table in its own query.
    if (recursive) this.frames.at(-1)?.named.add(defines.name);
    this.at = at + 1;
    return true;
  }

  private relation(top: Frame): void {
    const path: string[] = [];
    for (;;) {
      const token = this.tokens[this.at];
      if (token === undefined || !mayName(token, this.dialect)) return this.giveUp();
      path.push(token.text.toLowerCase());
      if (this.symbolAt(this.at + 1) !== ".") break;
      this.at += 2;
    }
    top.due = false;
    if (this.symbolAt(this.at + 1) === "(") this.call(this.tokens[this.at]!);
    else if (path.length > 1 || !this.frames.some(({ named }) => named.has(path[0]!))) this.relations.push(path);
    this.at += 1;
  }

  /** A parenthesis also follows a type, or an alias that names its columns. */
  private isCall(token: SqlToken): boolean {
    if (this.symbolAt(this.at + 1) !== "(" || !mayName(token, this.dialect)) return false;
    const isType = this.symbolAt(this.at - 1) === ":" && this.symbolAt(this.at - 2) === ":";
    return this.wordAt(this.at - 1) !== "as" && !isType;
  }

  private call({ kind, text }: SqlToken): void {
    const name = text.toLowerCase();
    if (kind === "word" && NO_CALL.has(name)) return;
    if (PURE.has(name) && this.symbolAt(this.at - 1) !== ".") return;
    this.unclear ??= `calls ${text}(), which may read any table`;
  }

  private isDistinctFrom(): boolean {
    return this.wordAt(this.at - 1) === "distinct" && ["is", "not"].includes(this.wordAt(this.at - 2));
  }

  private push(due: boolean, defines?: Definition): void {
    this.frames.push({ select: false, from: due, due, named: new Set(), defines });
  }

  private giveUp(): void {
    this.unclear = NOT_UNDERSTOOD;
    this.at = this.tokens.length;
  }

  private isNameAt(at: number): boolean {
    const token = this.tokens[at];
    return token !== undefined && mayName(token, this.dialect);
  }

  private wordAt(at: number): string {
    const token = this.tokens[at];
    return token?.kind === "word" ? token.text : "";
  }

  private symbolAt(at: number): string {
    const token = this.tokens[at];
    return token?.kind === "symbol" ? token.text : "";
  }
}

function changingIn(tokens: readonly SqlToken[], dialect: Dialect): string | undefined {
  const given = argumentsOf(tokens);
  const found = tokens.find((_, at) => isChanging(tokens, at, dialect, given.get(at + 1)));
  return found === undefined ? undefined : found.kind === "string" ? `'${found.text}'` : found.text;
}

/** @param given the number of arguments, if it is called */
function isChanging(tokens: readonly SqlToken[], at: number, dialect: Dialect, given: number | undefined): boolean {
  const { kind, text } = tokens[at]!;
  const name = text.toLowerCase();
  if (kind === "string") return dialect !== "mysql" && CLOCK_TEXTS.has(name.trim());
  if (!mayName(tokens[at]!, dialect)) return false;
  if (kind === "word" && tokens[at - 1]?.text !== ".") {
    // In PostgreSQL a table or column of this name has quotes.
    if (CHANGING_WORDS.has(name) || (dialect === "postgres" && name === "user")) return true;
  }
  return given !== undefined && (CHANGING_CALLS.has(name) || given <= (CLOCK_UNLESS_MORE.get(name) ?? -1));
}

/** The number of arguments in each parenthesis, by where it opens; one that stays open has those that are there. */
function argumentsOf(tokens: readonly SqlToken[]): ReadonlyMap<number, number> {
  const found = new Map<number, number>();
  const open: number[] = [];
  tokens.forEach(({ kind, text }, at) => {
    const around = open.at(-1);
    if (kind !== "symbol") return;
    if (text === "(") {
      const next = tokens[at + 1];
      found.set(at, next?.kind === "symbol" && next.text === ")" ? 0 : 1);
      open.push(at);
    } else if (text === ")") open.pop();
    else if (text === "," && around !== undefined) found.set(around, found.get(around)! + 1);
  });
  return found;
}
