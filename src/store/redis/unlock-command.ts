import { groupOf, type Tag } from "../../core/tag";
import type { UnlockRequest } from "../store";
import type { RedisKeys } from "./redis-keys";
import { milliseconds } from "./run-script";

/** What scripts/unlock.lua gets for one group of an {@link UnlockRequest}. */
export function unlockCommand(
  keys: RedisKeys,
  group: string,
  tags: readonly Tag[],
  request: UnlockRequest,
): { readonly keys: readonly string[]; readonly args: readonly string[] } {
  const position = new Map(tags.map((tag, at) => [tag, String(at + 2)]));
  const watched = request.watched.filter(({ tag }) => groupOf(tag) === group);
  const entries = request.entries.filter(
    // Without a locked tag nothing would tell that the entry is the newest.
    ({ lockedTags, ...entry }) =>
      entry.group === group && lockedTags.length > 0 && lockedTags.every((tag) => position.has(tag)),
  );
  return {
    keys: [
      keys.guard(group),
      ...[...tags, ...watched.map(({ tag }) => tag)].map((tag) => keys.tag(tag)),
      ...entries.map((entry) => keys.entry(group, entry.key)),
    ],
    args: [
      request.holder,
      request.token,
      milliseconds(request.tagTtl),
      String(tags.length),
      String(watched.length),
      keys.channel,
      request.messages?.get(group) ?? "",
      ...watched.map(({ token }) => token),
      ...entries.flatMap(({ value, ttl, lockedTags }) => [
        value,
        milliseconds(ttl),
        String(lockedTags.length),
        ...lockedTags.map((tag) => position.get(tag)!),
      ]),
    ],
  };
}
