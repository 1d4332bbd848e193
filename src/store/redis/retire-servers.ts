import { epochTag } from "../../core/tag";
import type { ServerSession } from "./redis-connection";

/** Milliseconds; longer than the tags live that the note is there to find: a year. */
const NOTE_TTL = 31_536_000_000;

/**
 * Makes worthless what other servers have left behind on this one.
 *
 * A primary that is demoted and promoted again, without a restart, has the same `run_id` as before, and gets its old keys
 * back with the data of the server that stood in for it, whose writes have touched none of them. So whoever comes to a
 * server first removes the guards and the epochs of the servers before it, on which all their entries depend. The removal
 * is replicated to the old primary before that can take over again.
 *
 * @param groups the groups that this process knows
 * @param seen ids of servers that this process was connected to: known even if the note in Redis was evicted
 */
export async function retireServers(
  session: ServerSession,
  groups: readonly string[],
  seen: ReadonlySet<string>,
): Promise<void> {
  const { client, keys } = session;
  if (groups.length === 0) return;
  const notes = await client.mget(groups.map((group) => keys.lastServer(group)));
  await Promise.all(
    groups.map(async (group, at) => {
      const others = new Set(seen);
      const last = notes[at];
      if (last) others.add(last);
      others.delete(keys.serverId);
      const left = Array.from(others, (id) => keys.of(id)).flatMap((old) => [
        old.guard(group),
        old.tag(epochTag(group)),
      ]);
      if (left.length > 0) await client.unlink(left);
      // Only now: whoever reads the note may rely on the removal.
      await client.set(keys.lastServer(group), keys.serverId, "PX", NOTE_TTL);
    }),
  );
}
