import { tableGroupOf } from "../core/stripe";
import { groupOf, type Tag } from "../core/tag";
import type { BypassReason } from "../events";
import type { EntitySettings } from "../metadata/entity-settings";
import type { EntryKind, Explanation } from "../options";
import type { History } from "../telemetry/history";

/** One entry that a read would ask for. */
export interface ExplainedEntry {
  readonly kind: EntryKind | "statement";
  readonly key: string;
  readonly tags: readonly Tag[];
  /** Milliseconds. */
  readonly ttl: number;
  readonly present: boolean;
  readonly settings: Pick<EntitySettings, "staleWhileRevalidate">;
}

/** Why a read goes past the cache, in a sentence. */
const REASONS: Readonly<Record<BypassReason, string>> = {
  transaction: "it runs inside a transaction, and must see what that has written",
  "cache-off": "it says cache: false",
  tables: "it reads a table whose writes are not followed: put @Cached() on its entity",
  volatile: "its result depends on the clock, on chance or on the session",
  function: "it calls a function that may read any table",
  lock: "it locks rows",
  "not-understood": "its SQL is not understood for sure",
  value: "no key can be made of one of its values",
  "key-builder": "the key builder failed",
  "store-unavailable": "the store does not answer, or invalidations wait for it",
  closed: "the cache is closed",
};

/** An explanation of a read that goes past the cache. */
export function explainBypass(read: string, reason: BypassReason): Explanation {
  return { cacheable: false, reason, text: `${read} goes to the database: ${REASONS[reason]}.` };
}

/** An explanation of a read that asks for entries. */
export function explainEntries(read: string, entries: readonly ExplainedEntry[], history: History): Explanation {
  const tags = [...new Set(entries.flatMap((entry) => entry.tags))];
  const tables = [...new Set(tags.map((tag) => tableGroupOf(groupOf(tag))))];
  const filledAt = entries.map(({ key }) => history.filledAt(key));
  const invalidated = history.lastOf(tags);
  const [first] = entries;
  const staleFor = first?.settings.staleWhileRevalidate;
  const lines = entries.map(
    ({ key, present }, at) =>
      `  ${present ? "present" : "absent"}${filledAt[at] === undefined ? "" : `, stored ${filledAt[at].toISOString()}`}: ${key}`,
  );
  return {
    cacheable: true,
    kind: first?.kind ?? "statement",
    keys: entries.map(({ key }) => key),
    tags,
    tables,
    ttl: Math.min(...entries.map(({ ttl }) => ttl)),
    present: entries.map(({ present }) => present),
    filledAt,
    ...(staleFor === undefined ? {} : { staleWhileRevalidate: staleFor }),
    ...(invalidated === undefined ? {} : { invalidated }),
    text: [
      `${read} is cached, for ${Math.min(...entries.map(({ ttl }) => ttl))} ms at most.`,
      ...(staleFor === undefined
        ? []
        : [`  may be served although it is stale, up to ${staleFor} ms after it was stored (staleWhileRevalidate)`]),
      ...lines,
      `  depends on ${tags.join(" ")}`,
      invalidated === undefined
        ? "  no invalidation of these is known here"
        : `  last invalidated ${invalidated.at.toISOString()} by: ${invalidated.cause}`,
    ].join("\n"),
  };
}
