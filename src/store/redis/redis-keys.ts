import { createHash } from "node:crypto";
import type { Tag } from "../../core/tag";
import { channelOf, Spread } from "./spread";

/** Changes whenever entries, tags or guards of two versions of this library must not meet. */
const FORMAT = "v1";

/**
 * Every Redis key there is:
 *
 * ```
 * <namespace>:v1:<server id>:{<part>}:g          guard
 * <namespace>:v1:<server id>:{<part>}:t:<rest>   tag, without the group that it begins with
 * <namespace>:v1:<server id>:{<part>}:e:<key>    entry
 * <namespace>:v1:<server id>:{<part>}:f:<key>    the process that loads the entry, if others wait for it
 * <namespace>:v1:<server id>:{<part>}:n          nothing, ever: what is asked for to see whether the server answers
 * <namespace>:v1:{<part>}:s                      the id of the server that served the part last
 * <namespace>:changes                            the channel of messages; no key, and the namespace as it is
 * <namespace>:changes^<number>                   further channels, in a cluster
 * ```
 *
 * A part is a table, or in a cluster a part of it with a text that brings it into its slot: see spread.ts. The scripts count on it that a
 * tag's key is its guard's key with `t:<rest>` in place of the last letter. The braces hold
 * all keys of a part in one cluster slot, so no brace may come before them: the namespace is escaped.
 */
export abstract class Keys {
  /** What all keys of the namespace begin with. */
  readonly shared: string;

  constructor(
    readonly namespace: string,
    protected readonly spread: Spread,
  ) {
    this.shared = `${escapeNamespace(namespace)}:${FORMAT}:`;
  }

  guard(part: string): string {
    return `${this.startOf(part)}g`;
  }

  tag(tag: Tag): string {
    return `${this.startOf(this.spread.partOf(tag))}t:${tag.slice(tag.indexOf("|") + 1)}`;
  }

  entry(part: string, key: string): string {
    return `${this.startOf(part)}e:${key}`;
  }

  flight(part: string, key: string): string {
    return `${this.startOf(part)}f:${key}`;
  }

  nothing(part: string): string {
    return `${this.startOf(part)}n`;
  }

  /** Under no server's id: whoever sends a message from outside knows none. */
  get channel(): string {
    return channelOf(this.namespace);
  }

  /** What the keys of a part begin with, up to the letter that says what they are. */
  protected abstract startOf(part: string): string;
}

/** The keys of one server. */
export class RedisKeys extends Keys {
  private readonly prefix: string;

  constructor(
    namespace: string,
    readonly serverId: string,
    spread = Spread.whole,
  ) {
    super(namespace, spread);
    this.prefix = `${this.shared}${serverId}:{`;
  }

  /** The keys of another server. */
  of(serverId: string): RedisKeys {
    return new RedisKeys(this.namespace, serverId, this.spread);
  }

  lastServer(part: string): string {
    return `${this.shared}{${this.spread.hashTagOf(part)}}:s`;
  }

  protected startOf(part: string): string {
    return `${this.prefix}${this.spread.hashTagOf(part)}}:`;
  }
}

/**
 * Which server minted the tokens, as 16 characters. A restart from disk or a failover can bring back old entries together
 * with the old tokens that make them valid; under another server's id they are never asked for.
 */
export function serverIdOf(runId: string): string {
  return createHash("sha256").update(runId).digest("base64url").slice(0, 16);
}

/** A namespace as it stands in keys: one UTF-16 unit at a time, so that no two namespaces meet. */
export function escapeNamespace(namespace: string): string {
  return namespace.replace(/[^\w.:-]/g, (unit) => `%${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** The other way round. */
export function unescapeNamespace(text: string): string {
  return text.replace(/%([0-9a-f]{4})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)));
}
