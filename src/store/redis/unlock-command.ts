import { tableGroupOf } from "../../core/stripe";
import { groupOf, type Tag } from "../../core/tag";
import type { UnlockAnswer, UnlockRequest, WriteThroughRequest } from "../store";
import type { MessageFor } from "./messages";
import type { Session } from "./redis-connection";
import type { Keys } from "./redis-keys";
import { milliseconds, runScript, scripts } from "./run-script";
import type { Spread } from "./spread";

/** Ends a lock in all parts that it is in. */
export async function unlockTags(
  { client, keys }: Session,
  spread: Spread,
  request: UnlockRequest,
  messageFor: MessageFor,
): Promise<UnlockAnswer> {
  const touched = spread.touchedBy(request.tags);
  const entries = writable(request, new Set([...touched.values()].flat()));
  let held = true;
  const refused = new Set<WriteThroughRequest>();
  await Promise.all(
    Array.from(touched, async ([part, tags]) => {
      const command = unlockCommand(keys, spread, { ...request, part, tags, entries, message: messageFor(part) });
      const [ours, verdicts] = (await runScript(client, scripts().unlock, command.keys, command.args)) as [
        number,
        number[],
      ];
      held &&= ours === 1;
      command.asked.forEach((entry, at) => verdicts[at] !== 1 && refused.add(entry));
    }),
  );
  return { held, written: entries.length - refused.size };
}

/** The entries whose locked tags are all among these, and of one table. */
function writable({ entries }: UnlockRequest, tags: ReadonlySet<Tag>): WriteThroughRequest[] {
  return entries.filter(({ group, lockedTags }) => {
    const table = tableGroupOf(group);
    // Without a locked tag nothing would tell that the entry is the newest.
    return lockedTags.length > 0 && lockedTags.every((tag) => tags.has(tag) && tableGroupOf(groupOf(tag)) === table);
  });
}

/**
 * What scripts/unlock.lua gets for one part of a request.
 *
 * An entry may depend on tags of several parts, each of which decides alone whether its tags get the new token, under which the entry is
 * valid. So the one that has the entry may store it, although another refuses: nobody will be served it then.
 */
function unlockCommand(
  keys: Keys,
  spread: Spread,
  request: Omit<UnlockRequest, "messages"> & { readonly part: string; readonly message: string },
): {
  readonly keys: readonly string[];
  readonly args: readonly string[];
  readonly asked: readonly WriteThroughRequest[];
} {
  const { part, tags, message } = request;
  const position = new Map(tags.map((tag, at) => [tag, String(at + 2)]));
  const watched = request.watched.filter(({ tag }) => spread.partOf(tag) === part);
  const entries = request.entries.flatMap((entry) => {
    const under = entry.lockedTags.filter((tag) => position.has(tag));
    return under.length > 0 ? [{ entry, isHere: entry.group === part, under }] : [];
  });
  return {
    keys: [
      keys.guard(part),
      ...[...tags, ...watched.map(({ tag }) => tag)].map((tag) => keys.tag(tag)),
      ...entries.flatMap(({ entry, isHere }) => (isHere ? [keys.entry(part, entry.key)] : [])),
    ],
    args: [
      request.holder,
      request.token,
      milliseconds(request.tagTtl),
      String(tags.length),
      String(watched.length),
      keys.channel,
      message,
      ...watched.map(({ token }) => token),
      ...entries.flatMap(({ entry: { value, ttl }, isHere, under }) => [
        isHere ? value : "",
        milliseconds(ttl),
        String(under.length),
        ...under.map((tag) => position.get(tag)!),
      ]),
    ],
    asked: entries.map(({ entry }) => entry),
  };
}
