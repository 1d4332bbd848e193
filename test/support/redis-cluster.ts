import Redis from "ioredis";
import { type RedisServer, startRedis, until } from "./redis-server";

const SLOTS = 16_384;

/** A Redis Cluster of one test. */
export interface RedisCluster {
  readonly primaries: readonly RedisServer[];
  readonly replicas: readonly RedisServer[];
  /** Where a client begins. */
  readonly seeds: { readonly host: string; readonly port: number }[];
  /** Moves slots with all their keys while clients go on, as `redis-cli --cluster reshard` does. */
  move(slots: readonly number[], from: RedisServer, to: RedisServer): Promise<void>;
  /** Commands that each primary has carried out since it began. */
  commands(): Promise<number[]>;
  stop(): Promise<void>;
}

/**
 * Starts primaries, each with an equal range of slots, and a replica of each if wanted.
 *
 * @param options.nodeTimeout milliseconds after which a node that is silent counts as dead
 */
export async function startCluster(
  options: { readonly primaries?: number; readonly replicas?: boolean; readonly nodeTimeout?: number } = {},
): Promise<RedisCluster> {
  const count = options.primaries ?? 3;
  const args = ["--cluster-enabled", "yes", "--cluster-node-timeout", String(options.nodeTimeout ?? 1000)];
  const start = () => startRedis({ args });
  const primaries = await Promise.all(Array.from({ length: count }, start));
  const replicas = options.replicas === true ? await Promise.all(Array.from({ length: count }, start)) : [];
  const nodes = [...primaries, ...replicas];
  const stop = async () => void (await Promise.all(nodes.map((node) => node.stop())));
  try {
    await Promise.all(
      primaries.map((node, at) => {
        const [first, last] = [Math.floor((SLOTS * at) / count), Math.floor((SLOTS * (at + 1)) / count) - 1];
        return on(node, (client) => client.call("CLUSTER", "ADDSLOTSRANGE", String(first), String(last)));
      }),
    );
    // Each begins with an epoch of its own, so that there is nothing to settle.
    await Promise.all(
      nodes.map((node, at) => on(node, (client) => client.call("CLUSTER", "SET-CONFIG-EPOCH", String(at + 1)))),
    );
    for (const node of nodes.slice(1)) {
      await on(node, (client) => client.call("CLUSTER", "MEET", "127.0.0.1", String(primaries[0]!.port)));
    }
    await until(
      async () => (await Promise.all(nodes.map(knownNodes))).every((known) => known === nodes.length),
      20_000,
    );
    await Promise.all(
      replicas.map(async (node, at) => {
        const id = await idOf(primaries[at]!);
        await on(node, (client) => client.call("CLUSTER", "REPLICATE", id));
      }),
    );
    await until(async () => (await Promise.all(nodes.map(isOk))).every(Boolean), 20_000);
    await until(async () => (await Promise.all(replicas.map(isInStep))).every(Boolean), 20_000);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    primaries,
    replicas,
    seeds: nodes.map(({ port }) => ({ host: "127.0.0.1", port })),
    async move(slots, from, to) {
      const [source, target] = [await idOf(from), await idOf(to)];
      for (const slot of slots)
        await moveSlot(slot, { server: from, id: source }, { server: to, id: target }, primaries);
    },
    commands: () => Promise.all(primaries.map(commandsOf)),
    stop,
  };
}

async function moveSlot(
  slot: number,
  from: { readonly server: RedisServer; readonly id: string },
  to: { readonly server: RedisServer; readonly id: string },
  primaries: readonly RedisServer[],
): Promise<void> {
  const set = (server: RedisServer, ...how: string[]) =>
    on(server, (client) => client.call("CLUSTER", "SETSLOT", String(slot), ...how));
  await set(to.server, "IMPORTING", from.id);
  await set(from.server, "MIGRATING", to.id);
  await on(from.server, async (client) => {
    for (;;) {
      const keys = await client.cluster("GETKEYSINSLOT", slot, 100);
      if (keys.length === 0) return;
      await client.call("MIGRATE", "127.0.0.1", String(to.server.port), "", "0", "5000", "KEYS", ...keys);
    }
  });
  await set(to.server, "NODE", to.id);
  await set(from.server, "NODE", to.id);
  await Promise.all(
    primaries.filter((one) => one !== from.server && one !== to.server).map((one) => set(one, "NODE", to.id)),
  );
}

/** Runs something on a connection of its own. */
export async function on<Result>(server: RedisServer, work: (client: Redis) => Promise<Result>): Promise<Result> {
  const client = new Redis(server.port, "127.0.0.1", { lazyConnect: true, maxRetriesPerRequest: 1 });
  client.on("error", () => undefined);
  try {
    await client.connect();
    return await work(client);
  } finally {
    client.disconnect();
  }
}

function idOf(server: RedisServer): Promise<string> {
  return on(server, async (client) => String(await client.cluster("MYID")));
}

async function knownNodes(server: RedisServer): Promise<number> {
  return Number(await infoOf(server, "cluster_known_nodes"));
}

async function isOk(server: RedisServer): Promise<boolean> {
  return (
    (await infoOf(server, "cluster_state")) === "ok" && (await infoOf(server, "cluster_slots_ok")) === String(SLOTS)
  );
}

async function isInStep(server: RedisServer): Promise<boolean> {
  return /^master_link_status:up/m.test(await on(server, (client) => client.info("replication")));
}

async function infoOf(server: RedisServer, name: string): Promise<string | undefined> {
  const info = await on(server, (client) => client.cluster("INFO"));
  return new RegExp(`^${name}:(\\w+)`, "m").exec(String(info))?.[1];
}

async function commandsOf(server: RedisServer): Promise<number> {
  const info = await on(server, (client) => client.info("stats"));
  return Number(/^total_commands_processed:(\d+)/m.exec(info)?.[1]);
}
