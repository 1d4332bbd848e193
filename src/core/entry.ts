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
  /** Before which moment the result was not read, on the wall clock; only if it may be served although it is stale. */
  readonly filledAt?: number;
}

const FORMAT = "1";

/** An entry that knows its age, which stands behind the format. */
const DATED = "2";

/**
 * An entry as text: a format version, the query, the tokens and the row tags, one line each, then the payload.
 * Lines, not JSON, so that a hit check never parses the payload.
 */
export function encodeEntry({ query, tokens, rowTags, payload, filledAt }: Entry): string {
  return headerOf(filledAt === undefined ? FORMAT : `${DATED} ${filledAt}`, query, tokens, rowTags) + payload;
}

/**
 * The payload of an entry that has exactly this query, these tokens and these row tags: what {@link decodeEntry} and a
 * comparison of all of them would come to, in one comparison.
 *
 * @returns undefined if it has others, knows its age, or is no entry at all
 */
export function payloadUnder(
  text: string,
  query: string,
  tokens: readonly Token[],
  rowTags: readonly Tag[],
): string | undefined {
  const header = headerOf(FORMAT, query, tokens, rowTags);
  return text.startsWith(header) ? text.slice(header.length) : undefined;
}

/**
 * The entry in a text that was found under one of our keys.
 *
 * @returns undefined if the text is not an entry of this format: the caller counts it as corrupt and misses
 */
export function decodeEntry(text: string): Entry | undefined {
  const format = text.indexOf("\n");
  const query = format < 0 ? -1 : text.indexOf("\n", format + 1);
  const tokens = query < 0 ? -1 : text.indexOf("\n", query + 1);
  const rowTags = tokens < 0 ? -1 : text.indexOf("\n", tokens + 1);
  if (rowTags < 0) return undefined;
  const entry = {
    query: text.slice(format + 1, query),
    tokens: words(text.slice(query + 1, tokens)),
    rowTags: words(text.slice(tokens + 1, rowTags)),
    payload: text.slice(rowTags + 1),
  };
  const version = text.slice(0, format);
  if (version === FORMAT) return entry;
  const [, filledAt] = DATED_FORMAT.exec(version) ?? [];
  return filledAt === undefined ? undefined : { ...entry, filledAt: Number(filledAt) };
}

const DATED_FORMAT = new RegExp(`^${DATED} (0|[1-9]\\d{0,15})$`);

function headerOf(format: string, query: string, tokens: readonly Token[], rowTags: readonly Tag[]): string {
  return `${format}\n${query}\n${tokens.join(" ")}\n${rowTags.join(" ")}\n`;
}

const NONE: readonly string[] = [];

function words(line: string): readonly string[] {
  return line === "" ? NONE : line.split(" ");
}
