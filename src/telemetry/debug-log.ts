import { debuglog } from "node:util";
import { messageOf } from "../core/message-of";
import type { CacheEventName, CacheEvents } from "../events";
import type { CacheReporter } from "./cache-reporter";

const LINES: { readonly [Name in CacheEventName]: (event: CacheEvents[Name]) => string } = {
  hit: ({ entity, key }) => `read ${entity}: hit ${key}`,
  staleHit: ({ entity, key, age }) => `read ${entity}: stale hit, ${age} ms old ${key}`,
  miss: ({ entity, key, why }) => `read ${entity}: miss (${why}) ${key}`,
  fill: ({ entity, key, ttl, tags }) => `fill ${entity}: ${key} for ${Math.round(ttl)} ms under ${tags.join(" ")}`,
  unfilled: ({ entity, key, why }) => `fill ${entity}: not stored (${why}) ${key}`,
  bypass: ({ entity, method, reason }) => `read ${entity}: ${method} past the cache (${reason})`,
  lock: ({ tags, cause }) => `write ${cause}: locks ${tags.join(" ")}`,
  invalidate: ({ tags, cause }) => `write ${cause}: invalidates ${tags.join(" ")}`,
  writeThrough: ({ entity, key }) => `write ${entity}: stored ${key}`,
  nearHit: ({ mode }) => `read: from a copy in this process (${mode})`,
  invalidated: ({ table, operation, tags, origin }) =>
    `heard ${operation} ${table}: invalidated ${tags.join(" ")}, by ${origin}`,
  closed: () => "closed",
  gap: ({ reason, origin }) =>
    `heard: something may be missing (${reason})${origin === undefined ? "" : ` of ${origin}`}`,
  checked: ({ entity, key, ...check }) =>
    `check ${entity}: ${check.outcome}${check.outcome === "undecided" ? ` (${check.why})` : ""} ${key}`,
  rejected: ({ why }) => `heard: a message was ignored (${why})`,
  storeState: ({ state, cause }) => (cause === undefined ? `store: ${state}` : `store: ${state}: ${messageOf(cause)}`),
  storeError: ({ operation, error }) => `store: ${operation} failed: ${messageOf(error)}`,
};

/** Environment variable NODE_DEBUG, the name under which Node switches the log on. */
const CHANNEL = "typeorm-coherent";

/**
 * Says in one line each what reads and writes do: to `log`, or with NODE_DEBUG=typeorm-coherent to standard error.
 */
export function logEvents(reporter: CacheReporter, log?: (line: string) => void): void {
  const channel = debuglog(CHANNEL);
  // Without a listener an event costs nothing.
  const write = log ?? (channel.enabled ? (line: string) => channel("%s", line) : undefined);
  if (write === undefined) return;
  const follow = <Name extends CacheEventName>(name: Name) =>
    reporter.on(name, (event) => write((LINES[name] as (event: CacheEvents[Name]) => string)(event)));
  for (const name of Object.keys(LINES) as CacheEventName[]) follow(name);
}
