import { createHmac, timingSafeEqual } from "node:crypto";
import type { Change, Operation, OutsideChange, RowKey } from "../core/change";
import type { Tag } from "../core/tag";

/**
 * The texts on the change channel: JSON, one table each. docs/events.md describes them for those who write them in other languages.
 *
 * ```
 * {"v":1,"table":"product","operation":"update","rows":[{"id":1}],"tags":["product|*","product|id=1"],"origin":"k3…","sequence":17}
 * {"table":"product","id":1}      from another program
 * ```
 *
 * With a secret, the HMAC-SHA256 of the JSON goes before it, in hex, and a blank.
 */
export type Heard =
  /** From a cache like this one, which has invalidated already. */
  | {
      readonly kind: "told";
      readonly change: Omit<Change, "group">;
      readonly origin: string;
      readonly sequence: number;
    }
  /** From a cache that is about to commit: nothing that depends on these tags is served until it says so. */
  | { readonly kind: "locked"; readonly tags: readonly Tag[]; readonly origin: string; readonly sequence: number }
  /** From a program that has written, and wants the cache to know. */
  | ({ readonly kind: "asked" } & OutsideChange)
  | { readonly kind: "rejected"; readonly why: Rejection };

/**
 * Why a message is ignored: not such a JSON, longer than {@link LONGEST}, without the HMAC of the secret, or of a version or a table
 * that is not known here.
 */
export type Rejection = "malformed" | "oversized" | "unsigned" | "unknown";

/** Characters; what is longer is not looked at. */
export const LONGEST = 65_536;
/** Characters. Who names himself longer is no cache: his name would be remembered. */
const LONGEST_ORIGIN = 64;
/** More rows than this in a message from outside stand for the whole table. */
const MOST_ROWS = 1000;

/** A change of ours as a message. One that would be too long says that the whole table has changed. */
export function encodeChange(
  { table, operation, rows, tags }: Change,
  epoch: Tag,
  origin: string,
  sequence: number,
  secret?: string,
): string {
  const text = (of: readonly RowKey[] | null, all: readonly Tag[]) =>
    JSON.stringify({ v: 1, table, operation, rows: of, tags: all, origin, sequence });
  const whole = text(rows, tags);
  return signed(whole.length > LONGEST - 100 ? text(null, [epoch]) : whole, secret);
}

/** Tags that are locked, as a message. One that would be too long names the epoch. */
export function encodeLock(
  tags: readonly Tag[],
  epoch: Tag,
  origin: string,
  sequence: number,
  secret?: string,
): string {
  const text = (locked: readonly Tag[]) => JSON.stringify({ v: 1, locked, origin, sequence });
  const whole = text(tags);
  return signed(whole.length > LONGEST - 100 ? text([epoch]) : whole, secret);
}

/** Reads whatever came in over the channel. Never throws. */
export function decodeMessage(message: string, secret?: string): Heard {
  if (message.length > LONGEST) return rejected("oversized");
  const json = secret === undefined ? message : verified(message, secret);
  if (json === undefined) return rejected("unsigned");
  let body: unknown;
  try {
    body = JSON.parse(json);
  } catch {
    return rejected("malformed");
  }
  if (!isRecord(body)) return rejected("malformed");
  const { v, table, origin } = body;
  if (v !== undefined && v !== 1) return rejected("unknown");
  if (body["locked"] !== undefined) return locked(body);
  if (typeof table !== "string" || table === "") return rejected("malformed");
  return origin === undefined ? asked(table, body) : told(table, origin, body);
}

function locked({ locked: tags, origin, sequence }: Record<string, unknown>): Heard {
  if (!areTags(tags) || !isOrigin(origin) || !Number.isSafeInteger(sequence)) return rejected("malformed");
  return { kind: "locked", tags, origin, sequence: sequence as number };
}

function areTags(tags: unknown): tags is readonly Tag[] {
  return Array.isArray(tags) && tags.every((tag) => typeof tag === "string");
}

function isOrigin(origin: unknown): origin is string {
  return typeof origin === "string" && origin.length <= LONGEST_ORIGIN;
}

function told(table: string, origin: unknown, { operation, rows, tags, sequence }: Record<string, unknown>): Heard {
  const keys = rows === null ? null : rowsIn(rows);
  if (
    keys === undefined ||
    !isOrigin(origin) ||
    !isOperation(operation) ||
    !areTags(tags) ||
    typeof sequence !== "number" ||
    !Number.isSafeInteger(sequence)
  ) {
    return rejected("malformed");
  }
  return { kind: "told", change: { table, operation, rows: keys, tags }, origin, sequence };
}

function asked(table: string, { id, ids, rows, operation = "unknown" }: Record<string, unknown>): Heard {
  if (!isOperation(operation)) return rejected("malformed");
  const given = [id, ids, rows].filter((one) => one !== undefined);
  if (given.length === 0) return { kind: "asked", table, operation, rows: null };
  if (given.length > 1) return rejected("malformed");
  const list = id === undefined ? (ids ?? rows) : [id];
  if (!Array.isArray(list)) return rejected("malformed");
  if (list.length > MOST_ROWS) return { kind: "asked", table, operation, rows: null };
  // One value alone: a primary key of one column, whose name the sender need not know.
  const keys = rowsIn(list.map((one: unknown) => (isKeyValue(one) ? { "": one } : one)));
  return keys === undefined ? rejected("malformed") : { kind: "asked", table, operation, rows: keys };
}

/** Undefined if it is no list of objects with plain values; null if a number in it is not the one that was sent. */
function rowsIn(rows: unknown): readonly RowKey[] | null | undefined {
  if (!Array.isArray(rows)) return undefined;
  const keys: RowKey[] = [];
  for (const row of rows as readonly unknown[]) {
    if (!isRecord(row)) return undefined;
    const entries = Object.entries(row);
    if (entries.length === 0 || !entries.every(([, value]) => isKeyValue(value))) return undefined;
    keys.push(row as RowKey);
  }
  const isRounded = (value: unknown) => typeof value === "number" && Math.abs(value) > Number.MAX_SAFE_INTEGER;
  return keys.some((key) => Object.values(key).some(isRounded)) ? null : keys;
}

function signed(json: string, secret: string | undefined): string {
  return secret === undefined ? json : `${macOf(json, secret)} ${json}`;
}

function verified(message: string, secret: string): string | undefined {
  const at = message.indexOf(" ");
  const json = message.slice(at + 1);
  const [given, own] = [Buffer.from(message.slice(0, Math.max(0, at))), Buffer.from(macOf(json, secret))];
  return given.length === own.length && timingSafeEqual(given, own) ? json : undefined;
}

function macOf(json: string, secret: string): string {
  return createHmac("sha256", secret).update(json).digest("hex");
}

function rejected(why: Rejection): Heard {
  return { kind: "rejected", why };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isKeyValue(value: unknown): value is string | number | boolean {
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean";
}

const OPERATIONS: ReadonlySet<unknown> = new Set<Operation>(["insert", "update", "delete", "mixed", "unknown"]);

function isOperation(value: unknown): value is Operation {
  return OPERATIONS.has(value);
}
