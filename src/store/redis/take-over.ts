import type { ServerSession } from "./redis-connection";
import { unlessFull } from "./refusals";
import { retireServers } from "./retire-servers";
import { runScript, scripts } from "./run-script";
import type { Tenures } from "./tenures";

/**
 * Makes a server ready that has been connected to: what others have left on it is worth nothing, and it has guards, so that its
 * quarantine passes at once. One that is full keeps what should be stored from being stored, and is none the worse for it: what must go
 * is gone by then.
 *
 * @param groups the groups that this process knows
 * @param seen ids of the servers that this process was connected to; this one is added
 * @param tenures what this process knows of who has served what
 * @param lockTtl milliseconds
 */
export async function takeOver(
  session: ServerSession,
  groups: readonly string[],
  seen: Set<string>,
  tenures: Tenures,
  lockTtl: string,
): Promise<void> {
  const { client, keys } = session;
  await unlessFull(retireServers(session, groups, seen, tenures));
  seen.add(keys.serverId);
  const { prepare } = scripts();
  await unlessFull(
    Promise.all(groups.map((group) => runScript(client, prepare, [keys.guard(group)], [lockTtl, "", "1", "1"]))),
  );
}
