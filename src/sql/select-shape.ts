import { conditions, type Alternative, type ColumnName } from "./conditions";
import { groupBy } from "../core/group-by";
import { TokenReader } from "./token-reader";
import type { SqlToken } from "./tokenizer";

/** A table in the FROM clause, and how it got there. */
export interface SelectSource {
  /** The name of the table, in lower case, after what it is qualified by. */
  readonly path: readonly string[];
  /** What its columns are qualified by in the text, in lower case. */
  readonly alias: string;
  readonly join: "from" | "inner" | "left";
  /** The condition of the join; undefined if it is not understood. */
  readonly on: readonly Alternative[] | undefined;
}

/** `SELECT … FROM t a LEFT JOIN u b ON … WHERE … ORDER BY … LIMIT …`, as TypeORM writes it. */
export interface SelectShape {
  readonly sources: readonly SelectSource[];
  /** Columns that are selected as they are, and the names that they get in a row of the result. */
  readonly items: ReadonlyMap<ColumnName, string>;
  /** Nothing but such columns is selected, and each combination of rows that meets the conditions is a row of the result. */
  readonly plain: boolean;
  /** The result may be cut out of a longer one. */
  readonly limited: boolean;
  readonly where: Clause & { readonly alternatives: readonly Alternative[] };
  readonly order: Clause;
  /**
   * For `SELECT DISTINCT … FROM (SELECT …)`, as TypeORM sends it to find the ids of a page: the columns of the inner query that the
   * outer one looks at. The rest of this is the inner query's. Undefined for a query that stands alone.
   */
  readonly kept: ReadonlySet<ColumnName> | undefined;
}

/** A part of the text. */
export interface Clause {
  /** Whether a column of the table with this alias may stand in it. */
  mentions(alias: string): boolean;
}

/** The shape of a query, or undefined if it has another one: a union, a subquery that is joined, a list of tables. */
export function selectShape(tokens: readonly SqlToken[]): SelectShape | undefined {
  const reader = new TokenReader(tokens);
  if (!reader.takeWord("select")) return undefined;
  const distinct = reader.takeWord("distinct");
  const items = itemsIn(reader);
  if (items !== undefined && distinct && reader.takeSymbol("(")) return pageShape(tokens, reader, items);
  const sources = items === undefined ? undefined : sourcesIn(reader);
  if (items === undefined || sources === undefined) return undefined;
  const start = reader.mark;
  const alternatives = reader.takeWord("where") ? conditions(reader) : ALWAYS;
  if (alternatives === undefined) return undefined;
  const where = { alternatives, ...clauseOf(tokens.slice(start, reader.mark)) };
  const grouped = reader.atWord("group") || reader.atWord("having");
  if (grouped) skipTo(reader, TAIL);
  const ordering = reader.mark;
  if (reader.takeWord("order")) skipTo(reader, LIMITS);
  const order = clauseOf(tokens.slice(ordering, reader.mark));
  const limited = !reader.atEnd();
  if (limited && !tokens.slice(reader.mark).every(isPartOfLimit)) return undefined;
  return {
    sources,
    items: items.columns,
    plain: items.plain && !distinct && !grouped,
    limited,
    where,
    order,
    kept: undefined,
  };
}

function pageShape(
  tokens: readonly SqlToken[],
  reader: TokenReader,
  { columns, plain }: Items,
): SelectShape | undefined {
  const start = reader.mark;
  if (!skipTo(reader, NOTHING, false, true)) return undefined;
  const inner = selectShape(tokens.slice(start, reader.mark));
  reader.skip();
  const alias = aliasIn(reader);
  if (inner === undefined || inner.kept !== undefined || alias === undefined || !plain) return undefined;
  const ordering = reader.mark;
  if (reader.takeWord("order")) skipTo(reader, LIMITS);
  const used = [
    ...Array.from(columns.keys(), (column) => column.slice(column.indexOf(".") + 1)),
    ...namesIn(tokens.slice(ordering, reader.mark)).filter((name) => name !== alias),
  ];
  const limited = inner.limited || !reader.atEnd();
  if (!tokens.slice(reader.mark).every(isPartOfLimit)) return undefined;
  const byOutput = groupBy(inner.items.keys(), (column) => inner.items.get(column)!.toLowerCase());
  const kept = new Set<ColumnName>();
  for (const name of used) {
    const [column, ...others] = byOutput.get(name) ?? [];
    if (column === undefined || others.length > 0) return undefined;
    kept.add(column);
  }
  return { ...inner, plain: false, limited, kept };
}

/** MySQL joins 61 tables at most, SQLite 64. Each is compared with the others later. */
const MOST_SOURCES = 100;

const ALWAYS: readonly Alternative[] = [{ equals: new Map(), pairs: [], nulls: [], exact: true }];

interface Items {
  readonly columns: ReadonlyMap<ColumnName, string>;
  readonly plain: boolean;
}

function itemsIn(reader: TokenReader): Items | undefined {
  const columns = new Map<ColumnName, string>();
  const names = new Set<string>();
  let plain = true;
  do {
    const item = itemIn(reader);
    if (item === undefined) {
      plain = false;
      if (!skipTo(reader, FROM, true)) return undefined;
    } else {
      // The one that comes last would stand in the row under the name of both.
      if (names.has(item.name) || columns.has(item.column)) plain = false;
      columns.set(item.column, item.name);
      names.add(item.name);
    }
  } while (reader.takeSymbol(","));
  return reader.takeWord("from") ? { columns, plain } : undefined;
}

/** `"a"."id" AS "a_id"`, or without AS; undefined, and nothing taken, for anything else. */
function itemIn(reader: TokenReader): { readonly column: ColumnName; readonly name: string } | undefined {
  const start = reader.mark;
  const path = reader.path();
  if (path?.length === 2 && !path.some((part) => part.includes("."))) {
    const named = reader.takeWord("as") ? reader.token : reader.last;
    if (named !== reader.last) reader.skip();
    const ends = reader.atWord("from") || (reader.token?.kind === "symbol" && reader.token.text === ",");
    if (ends && (named?.kind === "quoted" || named?.kind === "word")) {
      return { column: path.join("."), name: named.text };
    }
  }
  reader.back(start);
  return undefined;
}

function sourcesIn(reader: TokenReader): readonly SelectSource[] | undefined {
  const sources: SelectSource[] = [];
  let join: SelectSource["join"] | undefined = "from";
  while (join !== undefined) {
    const path = reader.path();
    reader.takeWord("as");
    const alias = path === undefined ? undefined : (aliasIn(reader) ?? path.at(-1));
    if (path === undefined || alias === undefined) return undefined;
    let on: SelectSource["on"] = ALWAYS;
    if (join !== "from") {
      if (!reader.takeWord("on")) return undefined;
      const start = reader.mark;
      on = conditions(reader);
      if (on === undefined) {
        reader.back(start);
        if (!skipTo(reader, AFTER_ON)) return undefined;
      }
    }
    sources.push({ path, alias, join, on });
    if (sources.length > MOST_SOURCES) return undefined;
    join = joinIn(reader);
  }
  const { token } = reader;
  if (token !== undefined && !(token.kind === "word" && AFTER_FROM.has(token.text))) return undefined;
  // Quoted names may differ in nothing but their case.
  return new Set(sources.map(({ alias }) => alias)).size === sources.length ? sources : undefined;
}

function aliasIn(reader: TokenReader): string | undefined {
  const { token } = reader;
  const isName = token?.kind === "quoted" || (token?.kind === "word" && !AFTER_TABLE.has(token.text));
  if (!isName) return undefined;
  reader.skip();
  return token.text.toLowerCase();
}

function joinIn(reader: TokenReader): "inner" | "left" | undefined {
  const start = reader.mark;
  const left = reader.takeWord("left");
  if (left) reader.takeWord("outer");
  else reader.takeWord("inner");
  if (reader.takeWord("join")) return left ? "left" : "inner";
  reader.back(start);
  return undefined;
}

const words = (text: string): ReadonlySet<string> => new Set(text.split(" "));
const NOTHING: ReadonlySet<string> = new Set();
const FROM = words("from");
const LIMITS = words("limit offset fetch");
const TAIL = words("order limit offset fetch");
const AFTER_FROM = words("where group having order limit offset fetch");
const AFTER_ON = words("where group having order limit offset fetch left inner join");
/** What may follow a table that has no alias: these are none. */
const AFTER_TABLE = words(
  "on where group having order limit offset fetch left right full inner cross natural join straight_join using use force " +
    "ignore partition tablesample for union except intersect window as lateral indexed not with",
);

/**
 * Goes to the next of these words outside of parentheses, or to a comma or the end of a parenthesis if wanted, or to the end.
 *
 * @returns false if parentheses do not match
 */
function skipTo(reader: TokenReader, ends: ReadonlySet<string>, comma = false, parenthesis = false): boolean {
  let depth = 0;
  for (; ; reader.skip()) {
    const { token } = reader;
    if (token === undefined) return depth === 0 && !parenthesis;
    if (token.kind === "symbol") {
      if (parenthesis && depth === 0 && token.text === ")") return true;
      if (token.text === "(") depth += 1;
      else if (token.text === ")") depth -= 1;
      else if (comma && depth === 0 && token.text === ",") return true;
      if (depth < 0) return false;
    } else if (depth === 0 && token.kind === "word" && ends.has(token.text)) return true;
  }
}

function isPartOfLimit({ kind, text }: SqlToken): boolean {
  if (kind === "word") return LIMIT_WORDS.has(text);
  return kind === "number" || kind === "parameter" || (kind === "symbol" && text === ",");
}

const LIMIT_WORDS = words("limit offset fetch next first row rows only");

/** A name that is not qualified may be a column of any table, or what a column is selected as. */
function clauseOf(tokens: readonly SqlToken[]): Clause {
  const qualifiers = new Set<string>();
  let bare = false;
  tokens.forEach((token, at) => {
    if (token.kind === "opaque") bare = true;
    if (!isName(token)) return;
    if (isDot(tokens[at + 1])) qualifiers.add(token.text.toLowerCase());
    else if (!isDot(tokens[at - 1])) bare = true;
  });
  return { mentions: (alias) => bare || qualifiers.has(alias) };
}

/** All names, in lower case, and whatever else stands for one. */
function namesIn(tokens: readonly SqlToken[]): string[] {
  return tokens.filter((token) => isName(token) || token.kind === "opaque").map(({ text }) => text.toLowerCase());
}

function isName({ kind, text }: SqlToken): boolean {
  return kind === "quoted" || (kind === "word" && !NO_NAMES.has(text));
}

function isDot(token: SqlToken | undefined): boolean {
  return token?.kind === "symbol" && token.text === ".";
}

const NO_NAMES = words(
  "where and or not in is null like ilike between escape true false order by asc desc nulls first last",
);
