import type { Redis } from "ioredis";
import { messageOf } from "../../core/message-of";
import { StoreError } from "../../errors";
import { withoutValues } from "../../store/redis/without-values";

/** What a server says of itself, by the names that it has for it. */
export type RedisInfo = Readonly<Record<string, string>>;

/**
 * INFO, all sections.
 *
 * @throws StoreError STORE_UNAVAILABLE if it is refused
 */
export async function infoOf(client: Redis): Promise<RedisInfo> {
  try {
    return Object.fromEntries(
      (await client.info()).split("\r\n").flatMap((line) => {
        const at = line.indexOf(":");
        return line.startsWith("#") || at < 0 ? [] : [[line.slice(0, at), line.slice(at + 1)] as const];
      }),
    );
  } catch (error) {
    const cause = withoutValues(error);
    throw new StoreError("STORE_UNAVAILABLE", `Redis does not answer INFO: ${messageOf(cause)}`, { cause });
  }
}

/** What the server is and in which version: servers that stand in for Redis have a version of their own. */
export function serverOf(info: RedisInfo): { readonly name: string; readonly version: string } {
  for (const [name, field] of [
    ["Valkey", "valkey_version"],
    ["Dragonfly", "dragonfly_version"],
  ] as const) {
    const version = info[field];
    if (version !== undefined) return { name, version };
  }
  return { name: info["server_name"] === "keydb" ? "KeyDB" : "Redis", version: info["redis_version"] ?? "unknown" };
}
