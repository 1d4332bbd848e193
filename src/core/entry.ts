import type { Tag } from "./tag";
import type { Token } from "./token";

/**
 * What lies under an entry key. `query` says which query this is the result of, so that a key builder that maps two
 * queries onto one key costs misses and never wrong data.
 */
export interface Entry {
  /** The query that was asked, as text; long ones as a digest. */
  readonly query: string;
  /** The tags that only the result reveals (the rows it returns), beyond those that the query itself names. */
  readonly rowTags: readonly Tag[];
  /** One token per tag: first the query's own tags in their order, then `rowTags`. */
  readonly tokens: readonly Token[];
  /** The encoded result. */
  readonly payload: string;
}

const FORMAT = "1";

/**
 * An entry as text: a format version, the query, the tokens and the row tags, one line each, then the payload.
 * Lines, not JSON, so that a hit check never parses the payload.
 */
export function encodeEntry({ query, tokens, rowTags, payload }: Entry): string {
  return headerOf(query, tokens, rowTags) + payload;
}

/**
 * The payload of an entry that has exactly this query, these tokens and these row tags: what {@link decodeEntry} and a
 * comparison of all of them would come to, in one comparison.
 *
 * @returns undefined if it has others, or is no entry at all
 */
export function payloadUnder(
  text: string,
  query: string,
  tokens: readonly Token[],
  rowTags: readonly Tag[],
): string | undefined {
  const header = headerOf(query, tokens, rowTags);
  return text.startsWith(header) ? text.slice(header.length) : undefined;
}

/**
 * The entry in a text that was found under one of our keys.
 *
 * @returns undefined if the text is not an entry of this format: the caller counts it as corrupt and misses
 */
export function decodeEntry(text: string): Entry | undefined {
  if (!text.startsWith(`${FORMAT}\n`)) return undefined;
  const query = text.indexOf("\n", 2);
  const tokens = query < 0 ? -1 : text.indexOf("\n", query + 1);
  const rowTags = tokens < 0 ? -1 : text.indexOf("\n", tokens + 1);
  if (rowTags < 0) return undefined;
  return {
    query: text.slice(2, query),
    tokens: words(text.slice(query + 1, tokens)),
    rowTags: words(text.slice(tokens + 1, rowTags)),
    payload: text.slice(rowTags + 1),
  };
}

function headerOf(query: string, tokens: readonly Token[], rowTags: readonly Tag[]): string {
  return `${FORMAT}\n${query}\n${tokens.join(" ")}\n${rowTags.join(" ")}\n`;
}

function words(line: string): string[] {
  return line === "" ? [] : line.split(" ");
}
