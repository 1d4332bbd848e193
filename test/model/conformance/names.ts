import { FIRST_MARK, isMark, isToken, MISSING, NOBODYS_MARK, WITHHELD } from "../state";

/** The holder that a writer of the model is for a store. */
export function holderOf(writer: number): string {
  return `w${writer + 1}`;
}

/** What a tag of the model holds, or what was answered of it. */
export function cellName(cell: number): string {
  if (cell === MISSING) return "nothing";
  if (cell === WITHHELD) return "";
  if (cell === NOBODYS_MARK) return "!";
  return isMark(cell) ? `!${holderOf(cell - FIRST_MARK)}` : `token ${cell}`;
}

/**
 * The tokens of a store by the names that they have in the model, tag by tag, since they are only ever compared with others
 * of their tag. Two tokens with one name, or one token with two, are not found equal.
 */
export class TokenNames {
  private readonly names: Map<string, number>[];

  constructor(tagCount: number) {
    this.names = Array.from({ length: tagCount }, () => new Map());
  }

  /**
   * What a tag of the store holds, or what was answered of it, in the words of {@link cellName}.
   *
   * @param cell what the model has there: the name of a token that is seen for the first time
   */
  of(tag: number, text: string | null, cell: number): string {
    if (text === null) return "nothing";
    if (text === "" || text.startsWith("!")) return text;
    const names = this.names[tag]!;
    if (!names.has(text) && isToken(cell) && ![...names.values()].includes(cell)) names.set(text, cell);
    return `token ${names.get(text) ?? `unknown: ${text}`}`;
  }
}
