import { channel, type Channel } from "node:diagnostics_channel";
import { groupOf, type Tag } from "../core/tag";
import type { CacheEventName, CacheEvents } from "../events";
import { tellable } from "./tellable";

/**
 * What the channels tell of each event. Whoever listens there may be a tracer that the application knows nothing of, and sends all of it
 * elsewhere: so no keys, tags or primary keys, which name what rows are looked up by; those who want them listen to the cache.
 */
const MESSAGES = {
  hit: ({ entity }) => ({ entity }),
  staleHit: ({ entity, age }) => ({ entity, age }),
  nearHit: ({ mode }) => ({ mode }),
  miss: ({ entity, why }) => ({ entity, why }),
  fill: ({ entity, ttl }) => ({ entity, ttl }),
  unfilled: ({ entity, why }) => ({ entity, why }),
  bypass: ({ entity, method, reason }) => ({ entity, method, reason }),
  lock: ({ tags, cause, path }) => ({ ...aboutTags(tags), cause, path }),
  invalidate: ({ tags, cause, path }) => ({ ...aboutTags(tags), cause, path }),
  writeThrough: ({ entity }) => ({ entity }),
  storeError: ({ operation, error }) => ({ operation, error: tellable(error) }),
  storeState: ({ state, cause }) => ({ state, cause: cause === undefined ? undefined : tellable(cause) }),
  checked: (event) => ({
    entity: event.entity,
    outcome: event.outcome,
    why: event.outcome === "undecided" ? event.why : undefined,
  }),
  invalidated: ({ table, operation, rows, own }) => ({ table, operation, rows: rows?.length ?? null, own }),
  gap: ({ reason }) => ({ reason }),
  rejected: ({ why }) => ({ why }),
  closed: () => ({}),
} satisfies { readonly [Name in CacheEventName]: (event: CacheEvents[Name]) => object };

/** What is told of each event, by the end of its name: `channel("typeorm-coherent:hit")`. */
export type EventMessages = {
  readonly [Name in CacheEventName]: ReturnType<(typeof MESSAGES)[Name]> & {
    /** The namespace of the cache. */
    readonly cache: string;
  };
};

const CHANNELS = Object.fromEntries(
  Object.keys(MESSAGES).map((name) => [name, channel(`typeorm-coherent:${name}`)]),
) as Record<CacheEventName, Channel>;

/** Tells an event to whoever listens in this process; nothing is made of it for nobody. */
export function publish<Name extends CacheEventName>(cache: string, name: Name, event: CacheEvents[Name]): void {
  const to = CHANNELS[name];
  if (!to.hasSubscribers) return;
  const messageOf = MESSAGES[name] as (event: CacheEvents[Name]) => object;
  to.publish({ cache, ...messageOf(event) });
}

/** The tables of tags, and how many tags there are. */
export function aboutTags(tags: readonly Tag[]): { readonly tables: readonly string[]; readonly tags: number } {
  return { tables: [...new Set(tags.map(groupOf))], tags: tags.length };
}
