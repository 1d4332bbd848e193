import { createHash } from "node:crypto";
import type { Tag } from "../../core/tag";

/** Changes whenever entries, tags or guards of two versions of this library must not meet. */
const FORMAT = "v1";

/**
 * Every Redis key there is:
 *
 * ```
 * <namespace>:v1:<server id>:{<group>}:g          guard
 * <namespace>:v1:<server id>:{<group>}:t:<rest>   tag, without the group that it begins with
 * <namespace>:v1:<server id>:{<group>}:e:<key>    entry
 * <namespace>:v1:<server id>:{<group>}:f:<key>    the process that loads the entry, if others wait for it
 * <namespace>:v1:<server id>:{}:n                 nothing, ever: what is asked for to see whether the server answers
 * <namespace>:v1:{<group>}:s                      the id of the server that served the group last
 * <namespace>:changes                             the channel of messages; no key, and the namespace as it is
 * ```
 *
 * The scripts count on it that a tag's key is its guard's key with `t:<rest>` in place of the last letter. The braces hold
 * all keys of a group in one cluster slot, so no brace may come before them: the namespace is escaped.
 */
export class RedisKeys {
  private readonly shared: string;
  private readonly prefix: string;

  constructor(
    private readonly namespace: string,
    readonly serverId: string,
  ) {
    this.shared = `${escapeNamespace(namespace)}:${FORMAT}:`;
    this.prefix = `${this.shared}${serverId}:{`;
  }

  /** The keys of another server. */
  of(serverId: string): RedisKeys {
    return new RedisKeys(this.namespace, serverId);
  }

  guard(group: string): string {
    return `${this.prefix}${group}}:g`;
  }

  tag(tag: Tag): string {
    const end = tag.indexOf("|");
    return `${this.prefix}${tag.slice(0, end)}}:t:${tag.slice(end + 1)}`;
  }

  entry(group: string, key: string): string {
    return `${this.prefix}${group}}:e:${key}`;
  }

  flight(group: string, key: string): string {
    return `${this.prefix}${group}}:f:${key}`;
  }

  /** Under no server's id: whoever sends a message from outside knows none. */
  get channel(): string {
    return channelOf(this.namespace);
  }

  get nothing(): string {
    return `${this.prefix}}:n`;
  }

  lastServer(group: string): string {
    return `${this.shared}{${group}}:s`;
  }
}

/** The channel of a namespace. */
export function channelOf(namespace: string): string {
  return `${namespace}:changes`;
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
