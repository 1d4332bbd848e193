import Redis from "ioredis";
import { RedisStore } from "typeorm-coherent";
import { on, startCluster } from "../../test/support/redis-cluster";
import type { RedisServer } from "../../test/support/redis-server";
import { warm } from "../cases/full-cache";
import { median } from "../measure";
import { MIDDLING, Product } from "../product";
import type { Places } from "../places";
import { inPlaces, type Section } from "./section";

const IN_FLIGHT = 64;
const HITS = 4000;

/**
 * One hot table on clusters of 1, 2 and 3 primaries. On a machine with as few cores as this one may have, more nodes serve no more reads
 * together; that they could is told by what each has to do.
 */
export const cluster: Section = {
  name: "cluster",
  run: (context) =>
    inPlaces(context, async (places) => {
      const rows: string[][] = [];
      for (const primaries of [1, 2, 3]) rows.push(await rowOf(places, primaries, context.rounds));
      return {
        title: `hits of one table on a Redis Cluster, ${IN_FLIGHT} in flight`,
        columns: ["primaries", "hits/s", "commands per hit", "busiest node", "least busy", "its CPU time per hit"],
        rows,
        note: "Shares of all commands, and CPU time of the busiest node divided by all hits: what limits how many hits the cluster can serve.",
      };
    }),
};

async function rowOf(places: Places, primaries: number, rounds: number): Promise<string[]> {
  const cluster = await startCluster({ primaries });
  try {
    const dataSource = await places.open("sqlite", MIDDLING);
    const client = new Redis.Cluster(cluster.seeds, { lazyConnect: true });
    const cache = await places.attach(dataSource, { store: new RedisStore(client), namespace: `cluster-${primaries}` });
    const products = cache.repository(Product);
    const read = (turn: number) => products.findOneByOrFail({ id: 1 + (turn % MIDDLING.rows) });
    await warm(() => cache.stats().hits, read, MIDDLING.rows);
    const before = { commands: await cluster.commands(), time: await Promise.all(cluster.primaries.map(cpuTime)) };
    const speeds: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      const begun = performance.now();
      let turn = 0;
      await Promise.all(
        Array.from({ length: IN_FLIGHT }, async () => {
          while (turn < HITS) await read(turn++);
        }),
      );
      speeds.push((1000 * HITS) / (performance.now() - begun));
    }
    const commands = (await cluster.commands()).map((count, at) => count - before.commands[at]!);
    const times = await Promise.all(
      cluster.primaries.map(async (node, at) => (await cpuTime(node)) - before.time[at]!),
    );
    await cache.close();
    const [all, hits] = [commands.reduce((sum, one) => sum + one, 0), rounds * HITS];
    const percent = (count: number) => `${((100 * count) / all).toFixed(0)} %`;
    const busiest = `${(Math.max(...times) / hits).toFixed(1)} µs`;
    return [
      String(primaries),
      Math.round(median(speeds)).toLocaleString("en"),
      (all / hits).toFixed(2),
      percent(Math.max(...commands)),
      percent(Math.min(...commands)),
      busiest,
    ];
  } finally {
    await cluster.stop();
  }
}

/** Microseconds that the server has used for commands and connections. */
function cpuTime(server: RedisServer): Promise<number> {
  return on(server, async (client) => {
    const info = await client.info("cpu");
    const of = (name: string) => Number(new RegExp(`^${name}:([\\d.]+)`, "m").exec(info)?.[1]);
    return 1e6 * (of("used_cpu_user_main_thread") + of("used_cpu_sys_main_thread"));
  });
}
