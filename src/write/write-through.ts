import type { QueryRunner } from "typeorm";
import { UnencodableValue } from "../codec/raw-value";
import type { RawRow, RowCodec } from "../codec/row-codec";
import type { PayloadPacking } from "../codec/payload-packing";
import { storedEntry } from "../codec/stored-entry";
import { stripeOf } from "../core/stripe";
import { barrierTag, epochTag, type Tag } from "../core/tag";
import type { Token } from "../core/token";
import { KeyBuilderError } from "../errors";
import type { CacheReporter } from "../events";
import { cachedQuery, entryKey, isKeyValue, keyTag } from "../metadata/cached-query";
import type { EntityModel, Key } from "../metadata/entity-model";
import { lifetimeOf } from "../metadata/entity-settings";
import type { WriteThroughRequest } from "../store/store";
import type { HeldLock } from "./commit-protocol";
import type { WriteThroughRows } from "./lock-planner";
import { readEntityRows } from "./row-reader";

/** Makes entries of rows that were just committed. */
export interface WriteThroughOptions {
  readonly namespace: string;
  readonly codecOf: (model: EntityModel) => RowCodec;
  readonly packing: PayloadPacking;
  readonly reporter: CacheReporter;
  /** Into how many parts the store cuts each table. */
  readonly stripes: number;
}

/** The rows of one entity as the database has them. */
export interface CommittedRows {
  readonly model: EntityModel;
  readonly rows: readonly RawRow[];
}

/**
 * Reads rows after COMMIT and before UNLOCK, outside of any transaction. Only then does a plain read return what is
 * committed whatever the isolation level was, what a deferred trigger made of it included; and every writer that could have
 * changed it since shows in the lock, so that UNLOCK refuses the entry.
 */
export async function readCommitted(runner: QueryRunner, plan: readonly WriteThroughRows[]): Promise<CommittedRows[]> {
  const committed: CommittedRows[] = [];
  // One after the other: a connection has one statement at a time, and pg is about to refuse more.
  for (const { model, rows } of plan) committed.push({ model, rows: await readEntityRows(runner, model, rows) });
  return committed;
}

/** One entry per row and unique key, for those whose tags are all in our hands or were captured at the lock. */
export function writeThroughEntries(
  committed: readonly CommittedRows[],
  held: HeldLock,
  token: Token,
  options: WriteThroughOptions,
): WriteThroughRequest[] {
  return committed.flatMap(({ model, rows }) =>
    rows.flatMap((row) =>
      model.keys.filter(isWritable).flatMap((key) => entryOf(model, key, row, { held, token }, options) ?? []),
    ),
  );
}

/** A transformer makes what a reader compares with differ from what the row holds. */
function isWritable(key: Key): boolean {
  return key.unique && key.columns.every(({ column }) => column.transformer === undefined);
}

function entryOf(
  model: EntityModel,
  key: Key,
  row: RawRow,
  { held, token }: { readonly held: HeldLock; readonly token: Token },
  options: WriteThroughOptions,
): WriteThroughRequest | undefined {
  const codec = options.codecOf(model);
  const values = codec.valuesOf(row, key.columns);
  const own = keyTag(model.group, key, values);
  const primary = keyTag(model.group, model.primaryKey, codec.valuesOf(row, model.primaryKey.columns));
  if (own === undefined || primary === undefined || !values.every(isKeyValue) || !held.tags.has(primary))
    return undefined;
  const rowTags: Tag[] = key === model.primaryKey ? [] : [primary];
  // Without its token nobody would tell whether a search came in between.
  const group = model.group + stripeOf(own, options.stripes);
  if (!held.tokens.has(barrierTag(group))) return undefined;
  const tags = [epochTag(group), own, ...rowTags];
  const tokens = tags.map((tag) => (held.tags.has(tag) ? token : held.tokens.get(tag)));
  if (!tokens.every((one) => one !== undefined)) return undefined;
  const lockedTags = tags.filter((tag) => held.tags.has(tag));
  try {
    const query = cachedQuery(model, "row", key, values, values);
    const entry = { query: query.text, rowTags, tokens, payload: codec.encode([row]) };
    const value = storedEntry(entry, Date.now(), model.settings, options.packing);
    if (value === undefined) return undefined;
    const request = {
      key: entryKey(options.namespace, model, query),
      group,
      value,
      ttl: lifetimeOf(model.settings.ttl, model.settings),
      lockedTags,
    };
    options.reporter.emit("writeThrough", { entity: model.name, key: request.key });
    return request;
  } catch (error) {
    if (error instanceof UnencodableValue || error instanceof KeyBuilderError) return undefined;
    throw error;
  }
}
