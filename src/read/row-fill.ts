import { payloadOf, type RowImage } from "../codec/row-codec";
import { anyRowTag, type Tag } from "../core/tag";
import type { UnfilledReason } from "../events";
import { keyTag, type CachedQuery } from "../metadata/cached-query";
import type { EntityModel } from "../metadata/entity-model";
import type { Fill, Lookup } from "./filler";
import type { KeyMembers } from "./key-members";

/** The lookup of a query by a key. */
export interface KeyedQuery extends Lookup {
  readonly model: EntityModel;
  readonly query: CachedQuery;
}

/** A query and the rows that the database answered it with. */
export type AnsweredQuery = KeyedQuery & {
  readonly rows: readonly RowImage[];
  /** The tags of all rows that have the values of the key; of a query that shows them all, of none. */
  readonly memberTags: readonly Tag[];
};

/** More returned rows than this, and an entry depends on every row write of the table instead. */
const MOST_ROW_TAGS = 100;

/**
 * The entry that rows amount to, or why there is none.
 *
 * @param ttl milliseconds, if the call named its own
 */
export function fillOf(answered: AnsweredQuery, ttl: number | undefined): Fill | UnfilledReason {
  const { model, query, rows } = answered;
  const { settings } = model;
  if (query.kind === "row" && rows.length > 1) return "ambiguous";
  const negative = query.kind === "row" && rows.length === 0;
  if (negative && settings.negativeTtl === 0) return "negative-off";
  const texts = textsOf(rows);
  if (texts === undefined) return "unencodable";
  const longest = ttl ?? settings.ttl;
  return {
    payload: payloadOf(texts),
    rowTags: rowTagsOf(answered),
    ttl: negative ? Math.min(longest, settings.negativeTtl) : longest,
  };
}

/** Rows as they are stored; undefined if one of them cannot be. */
export function textsOf(rows: readonly RowImage[]): string[] | undefined {
  const texts = rows.flatMap(({ text }) => text ?? []);
  return texts.length === rows.length ? texts : undefined;
}

/** Whether an entry depends on the rows it returns, beyond the tags that its query names. */
export function needsRowTags(model: EntityModel, query: CachedQuery): boolean {
  if (!query.wide && (query.kind === "count" || query.key === model.primaryKey)) return false;
  return model.sources === undefined && !query.tags.includes(anyRowTag(model.group));
}

/** The rows whose tags must be read before a query is sent, because it may look at rows that it does not show. */
export function membersOf({ model, query, revealing }: KeyedQuery): readonly KeyMembers[] {
  return query.wide && revealing.length > 0 ? [{ table: model, key: query.key, values: [query.stored] }] : [];
}

function rowTagsOf({ model, query, revealing, rows, memberTags }: AnsweredQuery): readonly Tag[] {
  if (revealing.length === 0) return [];
  if (query.wide) return memberTags;
  const { group, primaryKey } = model;
  if (rows.length > MOST_ROW_TAGS) return [anyRowTag(group)];
  return [...new Set(rows.map((row) => keyTag(group, primaryKey, row.primaryKey) ?? anyRowTag(group)))];
}
