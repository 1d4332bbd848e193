import { decodeEntry, payloadUnder, type Entry } from "../../core/entry";
import type { Tag } from "../../core/tag";
import type { Token } from "../../core/token";
import { hitOf, staleOf } from "../answers";
import type { CheckRequest, ReadAnswer, ReadRequest } from "../store";
import type { Session } from "./redis-connection";

const NO_TAGS: readonly Tag[] = [];

/** Asks for entries and the tags that they depend on, in one round trip if every row tag was guessed. */
export function readEntries(session: Session, requests: readonly ReadRequest[]): Promise<ReadAnswer[]> {
  return requests.length === 1 ? readOne(session, requests[0]!) : readSeveral(session, requests);
}

/** The way of nearly every hit, and therefore without anything that several requests would need. */
function readOne(session: Session, request: ReadRequest): Promise<ReadAnswer[]> {
  const { client, keys } = session;
  const { group, key, tags, rowTags = NO_TAGS } = request;
  const asked = [keys.entry(group, key)];
  for (const tag of tags) asked.push(keys.tag(tag));
  for (const tag of rowTags) asked.push(keys.tag(tag));
  return client.mget(asked).then((values) => answerOne(session, request, values));
}

function answerOne(
  session: Session,
  request: ReadRequest,
  [value, ...held]: readonly (string | null)[],
): ReadAnswer[] | Promise<ReadAnswer[]> {
  const { rowTags = NO_TAGS } = request;
  if (value !== null && value !== undefined && held.every(isToken)) {
    const payload = payloadUnder(value, request.query, held, rowTags);
    if (payload !== undefined) {
      const hit: ReadAnswer = { outcome: "hit", payload, rowTags };
      return [request.wantsTokens === true ? { ...hit, tokens: held } : hit];
    }
  }
  return answerSlowly(session, request, value, held);
}

/** What is no hit, or not known to be one without another look. */
async function answerSlowly(
  session: Session,
  request: ReadRequest,
  value: string | null | undefined,
  held: readonly (string | null)[],
): Promise<ReadAnswer[]> {
  const { tags, rowTags = NO_TAGS } = request;
  const entry = entryIn(value, request);
  if ("outcome" in entry) return [entry];
  if (!isFresh(entry, 0, tags.length, (at) => held[at])) return [staleOf(entry)];
  const tokens = new Map(rowTags.map((tag, at) => [tag, held[tags.length + at]]));
  await addMissing(session, entry.rowTags, tokens);
  return [verdict(entry, request, (at) => tokens.get(entry.rowTags[at]!))];
}

/** Asks for the tags of copies, each once. */
export async function checkCopies({ client, keys }: Session, copies: readonly CheckRequest[]): Promise<boolean[]> {
  const asked = new Set(copies.flatMap(({ tags }) => tags));
  const values = asked.size === 0 ? [] : await client.mget(Array.from(asked, (tag) => keys.tag(tag)));
  const held = new Map<Tag, string | null | undefined>();
  let at = 0;
  for (const tag of asked) held.set(tag, values[at++]);
  return copies.map(({ tags, tokens }) => tags.every((tag, index) => isHeld(held.get(tag), tokens[index])));
}

async function readSeveral(session: Session, requests: readonly ReadRequest[]): Promise<ReadAnswer[]> {
  const { client, keys } = session;
  const asked = new Set<Tag>();
  for (const { tags, rowTags = NO_TAGS } of requests) {
    for (const tag of tags) asked.add(tag);
    for (const tag of rowTags) asked.add(tag);
  }
  const values = await client.mget([
    ...requests.map(({ group, key }) => keys.entry(group, key)),
    ...Array.from(asked, (tag) => keys.tag(tag)),
  ]);
  const tokens = new Map<Tag, string | null | undefined>();
  let index = requests.length;
  for (const tag of asked) tokens.set(tag, values[index++]);

  const found = requests.map((request, at) => {
    const entry = entryIn(values[at], request);
    if ("outcome" in entry) return entry;
    return isFresh(entry, 0, request.tags.length, (tag) => tokens.get(request.tags[tag]!)) ? entry : staleOf(entry);
  });
  await addMissing(
    session,
    found.flatMap((answer) => ("outcome" in answer ? [] : answer.rowTags)),
    tokens,
  );
  return found.map((answer, at) =>
    "outcome" in answer ? answer : verdict(answer, requests[at]!, (tag) => tokens.get(answer.rowTags[tag]!)),
  );
}

/**
 * Adds the tokens of row tags that nobody guessed. A later look at them is as good: a token never comes back once it is gone,
 * so one that is equal now has been equal since the entry was read.
 */
async function addMissing(
  { client, keys }: Session,
  rowTags: readonly Tag[],
  tokens: Map<Tag, string | null | undefined>,
): Promise<void> {
  const missing = new Set(rowTags.filter((tag) => !tokens.has(tag)));
  if (missing.size === 0) return;
  const values = await client.mget(Array.from(missing, (tag) => keys.tag(tag)));
  let at = 0;
  for (const tag of missing) tokens.set(tag, values[at++]);
}

/** The entry in a value, or why it is none that answers the request. */
function entryIn(value: string | null | undefined, request: ReadRequest): ReadAnswer | Entry {
  if (value === null || value === undefined) return { outcome: "miss", why: "absent" };
  const entry = decodeEntry(value);
  if (entry === undefined) return { outcome: "miss", why: "corrupt" };
  if (entry.query !== request.query) return { outcome: "miss", why: "collision" };
  if (entry.tokens.length !== request.tags.length + entry.rowTags.length) return { outcome: "miss", why: "corrupt" };
  return entry;
}

/** The answer for an entry whose query tags are good, once its row tags are known. */
function verdict(
  entry: Entry,
  { tags, wantsTokens }: ReadRequest,
  rowTokenAt: (index: number) => string | null | undefined,
): ReadAnswer {
  return isFresh(entry, tags.length, entry.rowTags.length, rowTokenAt) ? hitOf(entry, wantsTokens) : staleOf(entry);
}

/** Whether `count` tokens of an entry, from `first` on, are what their tags hold. */
function isFresh(
  { tokens }: Entry,
  first: number,
  count: number,
  heldAt: (index: number) => string | null | undefined,
): boolean {
  for (let at = 0; at < count; at += 1) if (!isHeld(heldAt(at), tokens[first + at])) return false;
  return true;
}

/** A mark of a lock never equals a token of an entry, unless something that is not ours wrote the entry. */
function isHeld(held: string | null | undefined, token: Token | undefined): boolean {
  return held === token && isToken(held);
}

function isToken(held: string | null | undefined): held is Token {
  return typeof held === "string" && held !== "" && !held.startsWith("!");
}
