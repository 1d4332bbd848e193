import { epochTag } from "../../core/tag";
import type { ServerSession } from "./redis-connection";
import type { Tenures } from "./tenures";

/** Milliseconds; longer than the tags live that the note is there to find: a year. */
export const NOTE_TTL = 31_536_000_000;

/**
 * Makes worthless what other servers have left behind on this one.
 *
 * A primary that is demoted and promoted again, without a restart, has the same `run_id` as before, and gets its old keys
 * back with the data of the server that stood in for it, whose writes have touched none of them. So whoever comes to a
 * server first removes the guards and the epochs of the servers before it, on which all their entries depend. The removal
 * is replicated to the old primary before that takes over again; where it was not, {@link Tenures} tells.
 *
 * @param groups the groups that this process knows
 * @param seen ids of servers that this process was connected to: known even if the note in Redis was evicted
 */
export async function retireServers(
  session: ServerSession,
  groups: readonly string[],
  seen: ReadonlySet<string>,
  tenures: Tenures,
): Promise<void> {
  const { client, keys } = session;
  if (groups.length === 0) return;
  const notes = await client.mget(groups.map((group) => keys.lastServer(group)));
  await Promise.all(
    groups.map(async (group, at) => {
      const { remove, note, last } = tenures.arrival(group, keys.serverId, notes[at]);
      const old = new Set(seen);
      if (last !== undefined) old.add(last);
      if (remove !== "everything") old.delete(keys.serverId);
      const left = Array.from(old, (id) => keys.of(id)).flatMap((one) => [one.guard(group), one.tag(epochTag(group))]);
      if (left.length > 0) await client.unlink(left);
      // Only now: whoever reads the note may rely on the removal.
      await client.set(keys.lastServer(group), note, "PX", NOTE_TTL);
      tenures.served(group, keys.serverId, note);
    }),
  );
}
