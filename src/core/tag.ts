import { createHash } from "node:crypto";

/**
 * The name of something that entries depend on: `<table>|` is the epoch of a table, `<table>|*` is touched by every row
 * write of it, `<table>|<columns>=<values>` by every row write in which these columns hold these values, and `<table>|~` is its
 * barrier.
 */
export type Tag = string;

/** Nearly every id. */
const PLAIN = /^[\w.-]*$/;

/** Values longer than this are replaced by a digest: a tag is a name, not a place to keep a document. */
const LONGEST_VALUE = 64;

/** The part of a tag that names its table; all tags of a group live in one slot, under one guard. */
export function groupOf(tag: Tag): string {
  return tag.slice(0, tag.indexOf("|"));
}

/** A table's path as a group: no character that would end the group or open a hash tag survives. */
export function group(tablePath: string): string {
  return escape(tablePath);
}

/** The epoch: every entry of the table depends on it, and a write whose rows are unknown touches it. */
export function epochTag(tableGroup: string): Tag {
  return `${tableGroup}|`;
}

/** Touched by every row write of the table; what cannot be told more precisely depends on it. */
export function anyRowTag(tableGroup: string): Tag {
  return `${tableGroup}|*`;
}

/**
 * Locked while a writer looks for the rows that its statement is about to write: nothing that depends on single rows or values
 * is filled meanwhile. No entry carries it; see docs/consistency.md, "A write that searches for its rows".
 */
export function barrierTag(tableGroup: string): Tag {
  return `${tableGroup}|~`;
}

/** Whether a tag is a barrier. */
export function isBarrier(tag: Tag): boolean {
  return tag.endsWith("|~");
}

/** Whether a tag names single rows or values, and not all rows of a table. */
export function isFine(tag: Tag): boolean {
  return !tag.endsWith("|") && !tag.endsWith("|*");
}

/** How columns stand in the tags of their values: database names, in the order in which the key declares them. */
export function tagName(columns: readonly string[]): string {
  return columns.map(part).join(",");
}

/**
 * Touched by every written row in which some columns hold `values`.
 *
 * @param name the columns, as {@link tagName} makes it
 * @param values canonical texts as {@link KeyColumn} makes them, in the same order
 */
export function valueTag(tableGroup: string, name: string, values: readonly string[]): Tag {
  let tag = `${tableGroup}|${name}=`;
  for (let at = 0; at < values.length; at += 1) tag += at === 0 ? part(values[at]!) : `,${part(values[at]!)}`;
  return tag;
}

function part(text: string): string {
  if (text.length > LONGEST_VALUE) return `#${createHash("sha256").update(text).digest("base64url").slice(0, 22)}`;
  return escape(text);
}

/** One UTF-16 unit at a time, so that a lone surrogate is a text like any other. */
function escape(text: string): string {
  return PLAIN.test(text)
    ? text
    : text.replace(/[^\w.-]/g, (unit) => `%${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
