import type { SqlToken } from "./tokenizer";

/** A value in a statement: a parameter by its place, or what stands in the text; a number is a number there, a text a text. */
export type Operand = { readonly parameter: number } | { readonly literal: string | number };

/** Goes over the tokens of a statement, one after the other. */
export class TokenReader {
  private at = 0;

  constructor(private readonly tokens: readonly SqlToken[]) {}

  /** Where it stands; for {@link back}. */
  get mark(): number {
    return this.at;
  }

  back(mark: number): void {
    this.at = mark;
  }

  /** What comes next; undefined at the end. */
  get token(): SqlToken | undefined {
    return this.tokens[this.at];
  }

  /** What was taken last. */
  get last(): SqlToken | undefined {
    return this.tokens[this.at - 1];
  }

  skip(): void {
    this.at += 1;
  }

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

  operand(): Operand | undefined {
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
