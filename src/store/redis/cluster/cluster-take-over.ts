import type { ServerSession } from "../redis-connection";
import { unlessFull } from "../refusals";
import { NOTE_TTL } from "../retire-servers";
import { runScript, scripts } from "../run-script";
import type { Tenures } from "../tenures";

/** Keys that go into one command. */
const MOST_KEYS = 1000;

/** A part of a table whose slot has come to a node. */
export interface ArrivedPart {
  readonly part: string;
  readonly slot: number;
  /** What the client puts in front of every key. */
  readonly keyPrefix: string;
  /** Milliseconds. */
  readonly lockTtl: string;
  /** What this process knows of who has served what. */
  readonly tenures: Tenures;
}

/**
 * Makes a part ready on the node that serves its slot now. Keys move with their slot, and may come back with it: what was valid when the
 * slot left would be valid again, although another node has served it meanwhile, and has heard of all writes. So whoever serves a part first
 * removes all that others have left in its slot, their guards too; then the node gets a guard, whose quarantine lasts as long as locks that
 * were taken elsewhere can be alive. A node that comes back finds that it has none, and has to take the part over again: scripts/guard.lua.
 *
 * A note tells who was there last, so that the slot is looked through only if somebody was. Who removes anything does it before he writes the
 * note, and each note is written before anything is served; so if it names this node, nothing of others is left.
 */
export async function takeOverPart(session: ServerSession, arrived: ArrivedPart): Promise<void> {
  const { client, keys } = session;
  const { part, lockTtl, tenures } = arrived;
  const place = keys.lastServer(part);
  const [found] = await client.mget([place]);
  const { remove, note } = tenures.arrival(part, keys.serverId, found);
  if (remove !== "nothing") {
    await clearSlot(session, arrived, remove === "everything");
    await unlessFull(client.set(place, note, "PX", NOTE_TTL));
  }
  tenures.served(part, keys.serverId, note);
  await unlessFull(runScript(client, scripts().prepare, [keys.guard(part)], [lockTtl, "", "1", "1"]));
}

async function clearSlot(
  { client, keys }: ServerSession,
  { part, slot, keyPrefix }: ArrivedPart,
  ownToo: boolean,
): Promise<void> {
  const count = await client.cluster("COUNTKEYSINSLOT", slot);
  if (count === 0) return;
  const found = await client.cluster("GETKEYSINSLOT", slot, count);
  const own = keys.guard(part).slice(0, -1);
  // Of this namespace and this part, but under the name of whatever server.
  const end = own.slice(own.indexOf("{"));
  const left = found
    .filter((key) => key.startsWith(keyPrefix))
    // The client puts it in front again.
    .map((key) => key.slice(keyPrefix.length))
    .filter((key) => key.startsWith(keys.shared) && (ownToo || !key.startsWith(own)))
    .filter((key) => key.indexOf(end, keys.shared.length) === key.indexOf("{"));
  for (let at = 0; at < left.length; at += MOST_KEYS) await client.unlink(left.slice(at, at + MOST_KEYS));
}
