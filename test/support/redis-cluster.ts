import Redis from "ioredis";
import { freePort, type RedisServer, startRedis, until } from "./redis-server";

const SLOTS = 16_384;
// A node that has met no other does not know its own address.
const ENABLED = ["--cluster-enabled", "yes", "--cluster-announce-ip", "127.0.0.1"];

/** A Redis Cluster of one test. */
export interface RedisCluster {
  /** The nodes that began with slots. */
  readonly primaries: readonly RedisServer[];
  readonly nodes: readonly RedisServer[];
  /** Where a client begins. */
  readonly seeds: { readonly host: string; readonly port: number }[];
  /** Moves slots with all their keys while clients go on, as `redis-cli --cluster reshard` does. */
  move(slots: readonly number[], from: RedisServer, to: RedisServer): Promise<void>;
  /** The nodes that have slots now, with the first of them; those that are away tell nothing. */
  owners(): Promise<Map<number, RedisServer>>;
  /** Whether every node finds the cluster well, and every replica has its primary. */
  isWell(): Promise<boolean>;
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
  const start = async () => {
    // The port that nodes talk over would be the other one and ten thousand, and there may be no such port.
    for (let tries = 1; ; tries += 1) {
      const bus = ["--cluster-port", String(await freePort())];
      const args = [...ENABLED, "--cluster-node-timeout", String(options.nodeTimeout ?? 1000), ...bus];
      try {
        return await startRedis({ args });
      } catch (error) {
        // Somebody else was given the same port meanwhile.
        if (tries === 5 || !/in use|bind/i.test(String(error))) throw error;
      }
    }
  };
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
    const first = await portsOf(primaries[0]!);
    for (const node of nodes.slice(1)) {
      await on(node, (client) => client.call("CLUSTER", "MEET", "127.0.0.1", ...first));
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
    await until(async () => (await Promise.all(nodes.map(isInStep))).every(Boolean), 20_000);
  } catch (error) {
    await stop();
    throw error;
  }
  const owners = async () => {
    const told = await Promise.all(nodes.map((node) => on(node, slotsTold).catch(() => [])));
    const byPort = new Map(nodes.map((node) => [node.port, node]));
    return new Map(told.flat().map(([slot, port]) => [slot, byPort.get(port)!]));
  };
  const isWell = async () => {
    const found = await Promise.all(nodes.map(async (node) => (await isOk(node)) && (await isInStep(node)))).catch(
      () => [],
    );
    return found.length === nodes.length && found.every(Boolean);
  };
  return {
    primaries,
    nodes,
    owners,
    isWell,
    seeds: nodes.map(({ port }) => ({ host: "127.0.0.1", port })),
    async move(slots, from, to) {
      const [source, target] = [await idOf(from), await idOf(to)];
      const all = [...new Set((await owners()).values())];
      for (const slot of slots) await moveSlot(slot, { server: from, id: source }, { server: to, id: target }, all);
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

/** Runs something on a connection of its own; once more if that was cut, which tests do on purpose. */
export async function on<Result>(server: RedisServer, work: (client: Redis) => Promise<Result>): Promise<Result> {
  for (let tries = 1; ; tries += 1) {
    const client = new Redis(server.port, "127.0.0.1", {
      lazyConnect: true,
      maxRetriesPerRequest: 0,
      retryStrategy: null,
    });
    client.on("error", () => undefined);
    try {
      await client.connect();
      return await work(client);
    } catch (error) {
      const wasCut = error instanceof Error && /Connection is closed|ECONNRESET/.test(error.message);
      if (!wasCut || tries === 5) throw error;
    } finally {
      client.disconnect();
    }
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
  const info = await on(server, (client) => client.info("replication"));
  return /^role:master/m.test(info) || /^master_link_status:up/m.test(info);
}

async function infoOf(server: RedisServer, name: string): Promise<string | undefined> {
  const info = await on(server, (client) => client.cluster("INFO"));
  return new RegExp(`^${name}:(\\w+)`, "m").exec(String(info))?.[1];
}

/** What a node says of the slots that it has itself: the first of each range, and its own port. */
async function slotsTold(client: Redis): Promise<[number, number][]> {
  const lines = String(await client.cluster("NODES")).split("\n");
  const own = lines.find((line) => line.includes("myself,master"));
  const [, address = "", , , , , , , ...ranges] = own?.split(" ") ?? [];
  const port = Number(/:(\d+)@/.exec(address)?.[1]);
  return ranges.filter((range) => !range.startsWith("[")).map((range) => [Number.parseInt(range, 10), port]);
}

/** Its port, and the one that nodes talk over. */
async function portsOf(server: RedisServer): Promise<[string, string]> {
  const [, bus] = (await on(server, (client) => client.config("GET", "cluster-port"))) as [string, string];
  return [String(server.port), bus];
}

async function commandsOf(server: RedisServer): Promise<number> {
  const info = await on(server, (client) => client.info("stats"));
  return Number(/^total_commands_processed:(\d+)/m.exec(info)?.[1]);
}
