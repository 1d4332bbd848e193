import type { SqlToken } from "./tokenizer";

/** The tables, in lower case, that stored routines write, by the name of the routine, in lower case. */
export type Routines = ReadonlyMap<string, ReadonlySet<string>>;

/** The names of declared routines that are called here, in lower case, qualified ones by their last part. */
export function calledRoutines(tokens: readonly SqlToken[], routines: Routines): string[] {
  if (routines.size === 0) return [];
  return tokens.flatMap((token, index) => {
    const name = nameOf(token);
    return name !== undefined && isCall(tokens, index) && routines.has(name) ? [name] : [];
  });
}

/** Whether every routine and function that is called here is declared, so that nothing else can write. */
export function callsOnlyDeclared(tokens: readonly SqlToken[], routines: Routines): boolean {
  const called = tokens.flatMap((token, index) => (isCall(tokens, index) ? [nameOf(token)] : []));
  return called.length > 0 && called.every((name) => name !== undefined && routines.has(name));
}

/** Whether a text may call a declared routine: to be told fast, for texts that need no further look otherwise. */
export function mentions(routines: Routines): (sql: string) => boolean {
  const names = Array.from(routines.keys(), (name) => name.replace(/[^\w]/g, "\\$&"));
  if (names.length === 0) return () => false;
  const pattern = new RegExp(names.join("|"), "i");
  return (sql) => pattern.test(sql);
}

/** A name before a parenthesis, or after CALL; MySQL needs no parentheses there. */
function isCall(tokens: readonly SqlToken[], index: number): boolean {
  const [before, token, next] = [tokens[index - 1], tokens[index], tokens[index + 1]];
  if (token === undefined || nameOf(token) === undefined) return false;
  if (next?.kind === "symbol" && next.text === "(") return true;
  if (next?.kind === "symbol" && next.text === ".") return false;
  let start = index;
  for (let dot = before; dot?.kind === "symbol" && dot.text === "."; dot = tokens[start - 1]) start -= 2;
  const first = tokens[start - 1];
  return first?.kind === "word" && first.text === "call";
}

function nameOf({ kind, text }: SqlToken): string | undefined {
  return kind === "word" || kind === "quoted" ? text.toLowerCase() : undefined;
}
