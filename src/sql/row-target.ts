import type { SqlToken } from "./tokenizer";

/** A value in a statement: a parameter by its place, or what stands in the text; a number is a number there, a text a text. */
export type Operand = { readonly parameter: number } | { readonly literal: string | number };

/** Columns, in lower case, and what they are compared with or set to. */
export type Binding = ReadonlyMap<string, Operand>;

/** The one table that a statement writes, and the rows of it, where its text says so without a doubt. */
export interface RowTarget {
  readonly operation: "insert" | "update" | "delete";
  /** Without schema, in lower case. */
  readonly table: string;
  /** The columns that an update sets, in lower case; with a qualified one all parts of its name. */
  readonly sets: ReadonlySet<string>;
  /**
   * For insert: one per row, with the columns that get a plain value. For update and delete: the rows that can be hit are
   * among those that match at least one of these.
   */
  readonly rows: readonly Binding[];
  /** The statement gives back what it wrote. */
  readonly returning: boolean;
}

/**
 * Reads `INSERT INTO t (…) VALUES (…)`, `UPDATE t SET … WHERE …` and `DELETE FROM t WHERE …` as TypeORM writes them, with a
 * WHERE of equalities and IN lists under AND and OR. Anything else is undefined: its table is all that is known of it.
 */
export function rowTarget(tokens: readonly SqlToken[]): RowTarget | undefined {
  const reader = new Reader(tokens);
  if (reader.takeWord("insert")) return insertTarget(reader);
  if (reader.takeWord("update")) return updateTarget(reader);
  return reader.takeWord("delete") && reader.takeWord("from") ? deleteTarget(reader) : undefined;
}

function insertTarget(reader: Reader): RowTarget | undefined {
  if (!reader.takeWord("into")) return undefined;
  const table = reader.name();
  const columns = reader.takeSymbol("(") ? reader.list(() => reader.name()) : undefined;
  if (table === undefined || columns === undefined || !reader.takeWord("values")) return undefined;
  const rows: Binding[] = [];
  do {
    if (!reader.takeSymbol("(")) return undefined;
    const values = reader.list(() => ({ operand: reader.expression() }));
    if (values?.length !== columns.length) return undefined;
    rows.push(
      new Map(
        values.flatMap(({ operand }, index) => {
          const column = columns[index];
          return operand === undefined || column === undefined ? [] : [[column, operand] as const];
        }),
      ),
    );
  } while (reader.takeSymbol(","));
  const returning = reader.atWord("returning");
  // ON CONFLICT, ON DUPLICATE KEY: other rows than these may be written.
  return returning || reader.atEnd() ? { operation: "insert", table, sets: new Set(), rows, returning } : undefined;
}

function updateTarget(reader: Reader): RowTarget | undefined {
  const table = reader.name();
  if (table === undefined || !reader.takeWord("set")) return undefined;
  const sets = new Set<string>();
  do {
    const path = reader.path();
    if (path === undefined || !reader.takeSymbol("=")) return undefined;
    for (const part of path) sets.add(part);
    reader.skipExpression();
  } while (reader.takeSymbol(","));
  return whereTarget(reader, "update", table, sets);
}

function deleteTarget(reader: Reader): RowTarget | undefined {
  const table = reader.name();
  return table === undefined ? undefined : whereTarget(reader, "delete", table, new Set());
}

function whereTarget(
  reader: Reader,
  operation: "update" | "delete",
  table: string,
  sets: ReadonlySet<string>,
): RowTarget | undefined {
  if (!reader.takeWord("where")) return undefined;
  const rows = reader.disjunction(0);
  const returning = reader.atWord("returning");
  return rows !== undefined && (returning || reader.atEnd()) ? { operation, table, sets, rows, returning } : undefined;
}

/** More rows than this in one WHERE, and the table is touched as a whole anyway. */
const MOST_ROWS = 2000;
/** No text of TypeORM's comes near these; others are not read further, so that none takes long. */
const MOST_COLUMNS = 50;
const DEEPEST = 50;

class Reader {
  private at = 0;

  constructor(private readonly tokens: readonly SqlToken[]) {}

  atEnd(): boolean {
    return this.at >= this.tokens.length;
  }

  atWord(text: string): boolean {
    const token = this.tokens[this.at];
    return token?.kind === "word" && token.text === text;
  }

  takeWord(text: string): boolean {
    return this.take(this.atWord(text));
  }

  takeSymbol(text: string): boolean {
    const token = this.tokens[this.at];
    return this.take(token?.kind === "symbol" && token.text === text);
  }

  /** A column or table name; of a qualified one the last part. */
  name(): string | undefined {
    return this.path()?.at(-1);
  }

  /** All parts of a name. */
  path(): string[] | undefined {
    const parts: string[] = [];
    do {
      const token = this.tokens[this.at];
      if (token === undefined || (token.kind !== "word" && token.kind !== "quoted")) return undefined;
      parts.push(token.text.toLowerCase());
      this.at += 1;
    } while (this.takeSymbol("."));
    return parts;
  }

  /** What stands between parentheses, whose first is taken already; undefined if an item is. */
  list<Item>(item: () => Item | undefined): Item[] | undefined {
    const items: Item[] = [];
    do {
      const found = item();
      if (found === undefined) return undefined;
      items.push(found);
    } while (this.takeSymbol(","));
    return this.takeSymbol(")") ? items : undefined;
  }

  /** A plain value, or undefined after skipping whatever else stands up to the next comma or parenthesis. */
  expression(): Operand | undefined {
    const start = this.at;
    const operand = this.operand();
    const next = this.tokens[this.at];
    if (operand !== undefined && next?.kind === "symbol" && (next.text === "," || next.text === ")")) return operand;
    this.at = start;
    this.skipExpression();
    return undefined;
  }

  skipExpression(): void {
    let depth = 0;
    for (; this.at < this.tokens.length; this.at += 1) {
      const { kind, text } = this.tokens[this.at] ?? { kind: "symbol", text: "" };
      if (kind === "symbol" && text === "(") depth += 1;
      else if (kind === "symbol" && text === ")") {
        if (depth === 0) return;
        depth -= 1;
      } else if (depth === 0 && ((kind === "symbol" && text === ",") || (kind === "word" && ENDS.has(text)))) return;
    }
  }

  disjunction(depth: number): Binding[] | undefined {
    const rows: Binding[] = [];
    do {
      const conjunction = this.conjunction(depth);
      if (conjunction === undefined || rows.length + conjunction.length > MOST_ROWS) return undefined;
      rows.push(...conjunction);
    } while (this.takeWord("or"));
    return rows;
  }

  /** What both sides allow; where they bind one column, the left one alone is believed, since the rows may lie in either. */
  private conjunction(depth: number): Binding[] | undefined {
    let rows: Binding[] = [new Map()];
    do {
      const atom = this.atom(depth);
      if (atom === undefined || rows.length * atom.length > MOST_ROWS) return undefined;
      rows = rows.flatMap((left) => atom.map((right) => new Map([...right, ...left])));
      if (rows.some(({ size }) => size > MOST_COLUMNS)) return undefined;
    } while (this.takeWord("and"));
    return rows;
  }

  private atom(depth: number): Binding[] | undefined {
    if (this.takeSymbol("(")) {
      const inner = depth < DEEPEST ? this.disjunction(depth + 1) : undefined;
      return inner !== undefined && this.takeSymbol(")") ? inner : undefined;
    }
    const column = this.name();
    if (column === undefined) return undefined;
    if (this.takeWord("is")) {
      this.takeWord("not");
      return this.takeWord("null") ? [new Map()] : undefined; // Narrows, so it may be left out.
    }
    if (this.takeWord("in")) {
      const operands = this.takeSymbol("(") ? this.list(() => this.operand()) : undefined;
      return operands?.map((operand) => new Map([[column, operand]]));
    }
    const operand = this.takeSymbol("=") ? this.operand() : undefined;
    return operand === undefined ? undefined : [new Map([[column, operand]])];
  }

  private operand(): Operand | undefined {
    const operand = operandOf(this.tokens[this.at]);
    this.take(operand !== undefined);
    return operand;
  }

  private take(matches: boolean): boolean {
    if (matches) this.at += 1;
    return matches;
  }
}

/** Fractions and powers are not keys, and what is larger than a safe integer would be another number here. */
function operandOf(token: SqlToken | undefined): Operand | undefined {
  if (token?.kind === "parameter") return token.parameter === undefined ? undefined : { parameter: token.parameter };
  if (token?.kind === "string") return { literal: token.text };
  const number = token?.kind === "number" && /^\d+$/.test(token.text) ? Number(token.text) : NaN;
  return Number.isSafeInteger(number) ? { literal: number } : undefined;
}

const ENDS = new Set(["where", "returning", "from", "order", "limit"]);
