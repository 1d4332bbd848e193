import { createHash } from "node:crypto";
import { anyRowTag, epochTag, valueTag, type Tag } from "../core/tag";
import { KeyBuilderError } from "../errors";
import type { EntryKind } from "../options";
import { isExact } from "./column-equality";
import type { EntityModel, Key, KeyColumn } from "./entity-model";

/** A query that an entry can answer: what readers look up and what writers write through are built alike, here. */
export interface CachedQuery {
  readonly kind: EntryKind;
  readonly key: Key;
  /** What the key's columns are compared with, as the caller gave it. */
  readonly values: readonly unknown[];
  /** The same as the database gets it, after transformers. */
  readonly stored: readonly unknown[];
  /** See {@link QueryShape.wide}. */
  readonly wide: boolean;
  /** Tells it from every other query; see core/entry.ts. */
  readonly text: string;
  /** The tags that are known before the result is. */
  readonly tags: readonly Tag[];
}

/** What besides the key's values changes a result. */
export interface QueryShape {
  /** Canonical text of order, skip, take, withDeleted; "" for none of them. */
  readonly modifiers?: string;
  /** The result depends on rows that it does not return: it is cut out of an order, or counts. */
  readonly wide?: boolean;
  /** Tags of further tables that the query joins. */
  readonly joined?: readonly Tag[];
}

const LONGEST_TEXT = 160;

/**
 * @param values what the caller compares with; each must have passed {@link isKeyValue}
 * @param stored the same as the database gets them, after transformers
 */
export function cachedQuery(
  model: EntityModel,
  kind: EntryKind,
  key: Key,
  values: readonly unknown[],
  stored: readonly unknown[],
  shape: QueryShape = {},
): CachedQuery {
  const { modifiers = "", joined } = shape;
  let text = `${model.name}@${model.fingerprint} ${kind} ${key.id}=`;
  for (let at = 0; at < key.columns.length; at += 1) {
    const value = valueText(key.columns[at]!, values[at], stored[at]);
    text += at === 0 ? value : `,${value}`;
  }
  // A lookup through a relation also asks for the row at its other end, so it is another query than one by the column.
  text += joined === undefined ? modifiers : `${modifiers} joins ${joined.join(" ")}`;
  const epoch = epochTag(model.group);
  // Nothing but its sources says when a row of a view changes.
  const tags =
    model.sources === undefined
      ? [epoch, keyTag(model.group, key, stored) ?? anyRowTag(model.group)]
      : [epoch, ...model.sources];
  return {
    kind,
    key,
    values,
    stored,
    wide: shape.wide === true,
    text: text.length > LONGEST_TEXT ? digest(text) : text,
    tags: joined === undefined ? tags : [...tags, ...joined],
  };
}

/** The tag of a key's values, or undefined where the database's equality is not known exactly. */
export function keyTag(group: string, key: Key, stored: readonly unknown[]): Tag | undefined {
  const texts: string[] = [];
  for (let at = 0; at < key.columns.length; at += 1) {
    const text = key.columns[at]!.canonical(stored[at]);
    if (text === undefined) return undefined;
    texts.push(text);
  }
  return valueTag(group, key.tagName, texts);
}

/** Whether an entry key can be made of a value: primitives, valid dates and bytes. */
export function isKeyValue(value: unknown): boolean {
  switch (typeof value) {
    case "string":
    case "bigint":
    case "boolean":
      return true;
    case "number":
      return Number.isFinite(value);
    default:
      return value instanceof Uint8Array || (value instanceof Date && !Number.isNaN(value.getTime()));
  }
}

/**
 * The key of the entry.
 *
 * @throws KeyBuilderError `KEY_BUILDER_FAILED` if a custom builder throws or returns no text
 */
export function entryKey(namespace: string, model: EntityModel, query: CachedQuery): string {
  const builder = model.settings.keyBuilder;
  if (builder === undefined) return query.text;
  let text: unknown;
  try {
    text = builder({
      namespace,
      entity: model.name,
      kind: query.kind,
      fields: query.key.columns.map(({ column }) => column.propertyPath),
      values: query.values,
      digest: query.text,
    });
  } catch (cause) {
    throw new KeyBuilderError(
      "KEY_BUILDER_FAILED",
      `The key builder of ${model.name} threw. The read went to the database.`,
      {
        entity: model.name,
        cause,
      },
    );
  }
  if (typeof text === "string" && text !== "") return text.length > 4 * LONGEST_TEXT ? digest(text) : text;
  throw new KeyBuilderError(
    "KEY_BUILDER_FAILED",
    `The key builder of ${model.name} returned ${text === "" ? "an empty text" : typeof text}, but must return a text. The read went to the database.`,
    { entity: model.name },
  );
}

/** Types are told apart: the number 1 and the text "1" may find different rows, except where the column says otherwise. */
function valueText(column: KeyColumn, value: unknown, stored: unknown): string {
  const exact = isExact(column.canonical, stored) ? column.canonical(stored) : undefined;
  if (exact !== undefined) return exact;
  if (typeof value === "string") return JSON.stringify(value);
  if (value instanceof Date) return `date:${value.toISOString()}`;
  if (value instanceof Uint8Array) return `bytes:${Buffer.from(value).toString("base64")}`;
  return `${typeof value}:${Object.is(value, -0) ? "-0" : String(value)}`;
}

function digest(text: string): string {
  return `#${createHash("sha256").update(text).digest("base64url")}`;
}
