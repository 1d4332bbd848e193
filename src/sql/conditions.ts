import type { Operand, TokenReader } from "./token-reader";

/** A column as the text names it, in lower case, after its table or alias if it is qualified: "b.id". */
export type ColumnName = string;

/** One way to meet a condition. */
export interface Alternative {
  /** Columns, and what they equal. */
  readonly equals: ReadonlyMap<ColumnName, Operand>;
  /** Columns that equal each other. */
  readonly pairs: readonly (readonly [ColumnName, ColumnName])[];
  /** Columns that are compared with NULL. */
  readonly nulls: readonly ColumnName[];
  /** There is nothing more to it; else it holds for fewer rows than all of this says. */
  readonly exact: boolean;
}

/** More alternatives than this are not read. */
const MOST = 2000;
/** No text of TypeORM's comes near these; others are not read further, so that none takes long. */
const MOST_COLUMNS = 50;
const DEEPEST = 50;
/** Alternatives that one condition may have put together, over all of its ANDs; 2,000 of them with 100 ANDs behind are within. */
const MOST_STEPS = 200_000;

/** What is left of the work that one condition may take. */
interface Budget {
  steps: number;
}

/**
 * Reads a condition up to where its clause ends: whatever meets it meets one of the alternatives. Equalities, IN lists and
 * comparisons with NULL under AND and OR are understood, and what is not makes its alternative inexact. Undefined if not even the
 * ANDs and ORs are clear.
 */
export function conditions(reader: TokenReader): readonly Alternative[] | undefined {
  return disjunction(reader, 0, { steps: MOST_STEPS });
}

function disjunction(reader: TokenReader, depth: number, budget: Budget): readonly Alternative[] | undefined {
  const found: Alternative[] = [];
  do {
    const some = conjunction(reader, depth, budget);
    if (some === undefined || found.length + some.length > MOST) return undefined;
    found.push(...some);
  } while (reader.takeWord("or"));
  return found;
}

function conjunction(reader: TokenReader, depth: number, budget: Budget): readonly Alternative[] | undefined {
  let found: readonly Alternative[] = [EMPTY];
  do {
    const some = predicate(reader, depth, budget);
    if (some === undefined || found.length * some.length > MOST) return undefined;
    budget.steps -= found.length * some.length;
    if (budget.steps < 0) return undefined;
    found = found.flatMap((left) => some.map((right) => both(left, right)));
    if (found.some(({ equals, pairs, nulls }) => equals.size + pairs.length + nulls.length > MOST_COLUMNS))
      return undefined;
  } while (reader.takeWord("and"));
  return found;
}

/** Where they bind one column, the left one alone is believed, since the rows may lie in either. */
function both(left: Alternative, right: Alternative): Alternative {
  return {
    equals: new Map([...right.equals, ...left.equals]),
    pairs: [...left.pairs, ...right.pairs],
    nulls: [...left.nulls, ...right.nulls],
    exact: left.exact && right.exact && ![...right.equals.keys()].some((column) => left.equals.has(column)),
  };
}

function predicate(reader: TokenReader, depth: number, budget: Budget): readonly Alternative[] | undefined {
  const start = reader.mark;
  const found = understood(reader, depth, budget);
  if (found !== undefined && atBoundary(reader)) return found;
  reader.back(start);
  return skipPredicate(reader) ? [INEXACT] : undefined;
}

function understood(reader: TokenReader, depth: number, budget: Budget): readonly Alternative[] | undefined {
  if (reader.takeSymbol("(")) {
    const inner = depth < DEEPEST ? disjunction(reader, depth + 1, budget) : undefined;
    return inner !== undefined && reader.takeSymbol(")") ? inner : undefined;
  }
  const column = columnIn(reader);
  if (column === undefined) return undefined;
  if (reader.takeWord("is")) {
    reader.takeWord("not");
    return reader.takeWord("null") ? [{ ...EMPTY, nulls: [column] }] : undefined;
  }
  if (reader.takeWord("in")) {
    const operands = reader.takeSymbol("(") ? reader.list(() => reader.operand()) : undefined;
    return operands?.map((operand) => ({ ...EMPTY, equals: new Map([[column, operand]]) }));
  }
  if (!reader.takeSymbol("=")) return undefined;
  const operand = reader.operand();
  if (operand !== undefined) return [{ ...EMPTY, equals: new Map([[column, operand]]) }];
  const other = columnIn(reader);
  // A word alone may be a keyword: TRUE, DEFAULT, CURRENT_DATE.
  return other?.includes(".") === true ? [{ ...EMPTY, pairs: [[column, other]] }] : undefined;
}

function columnIn(reader: TokenReader): ColumnName | undefined {
  const path = reader.path();
  return path === undefined || path.some((part) => part.includes(".")) ? undefined : path.slice(-2).join(".");
}

const EMPTY: Alternative = { equals: new Map(), pairs: [], nulls: [], exact: true };
const INEXACT: Alternative = { ...EMPTY, exact: false };

/** These end a predicate, or the clause that it stands in. */
const BOUNDARIES = new Set(
  "and or returning group having order limit offset fetch union except intersect window left inner join where".split(
    " ",
  ),
);

function atBoundary(reader: TokenReader): boolean {
  const { token } = reader;
  if (token === undefined) return true;
  return token.kind === "word" ? BOUNDARIES.has(token.text) : token.kind === "symbol" && token.text === ")";
}

/** These have an AND or OR of their own, or bind less than AND does. */
const OBSCURE_WORDS = new Set(["case", "when", "then", "else", "end", "xor"]);
/** In MySQL, || and && are OR and AND, and := takes all that follows. */
const OBSCURE_SYMBOLS = new Set(["|", "&", ";"]);
const OPENING = new Set(["(", "["]);
const CLOSING = new Set([")", "]"]);

/** Goes to the end of a predicate. @returns false if where it ends is not clear */
function skipPredicate(reader: TokenReader): boolean {
  let depth = 0;
  let between = false;
  for (let first = true; ; first = false) {
    const { token } = reader;
    if (depth === 0 && !first && atBoundary(reader)) {
      if (!between || token?.text !== "and") return !between;
      between = false;
    } else if (token === undefined || (depth === 0 && first && atBoundary(reader))) return false;
    else if (token.kind === "symbol") {
      if (OPENING.has(token.text)) depth += 1;
      else if (CLOSING.has(token.text)) depth -= 1;
      else if (depth === 0 && OBSCURE_SYMBOLS.has(token.text)) return false;
      if (depth < 0) return false;
    } else if (depth === 0 && token.kind === "word") {
      if (OBSCURE_WORDS.has(token.text)) return false;
      if (token.text === "between") between = true;
    }
    const isColon = token.kind === "symbol" && token.text === ":";
    reader.skip();
    if (isColon && reader.token?.kind === "symbol" && reader.token.text === "=") return false;
  }
}
