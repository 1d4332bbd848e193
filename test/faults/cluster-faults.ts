import { on, type RedisCluster } from "../support/redis-cluster";
import { type RedisServer, until } from "../support/redis-server";
import { pick } from "./random";
import { noFaults } from "./redis-faults";
import type { Troubles } from "./torture";

/** Milliseconds within which a replica takes the place of its primary, on a machine that has other things to do. */
const MOST_PATIENCE = 30_000;

/** What happens to a Redis Cluster, on purpose; counts what was done. */
export class ClusterFaults {
  readonly done = noFaults();
  readonly troubles: Troubles = {
    evict: () => this.evict(),
    flush: () => this.once("flushes", (client) => client.flushall()),
    flushScripts: () => this.once("scriptFlushes", (client) => client.script("FLUSH")),
    cut: () => this.cutConnections(),
    move: () => this.alone(() => this.move()),
    failOver: () => this.alone(() => this.failOver()),
  };
  private last: Promise<unknown> = Promise.resolve();

  constructor(private readonly cluster: RedisCluster) {}

  /** See RedisFaults. */
  private async evict(): Promise<void> {
    await this.onOne(async (client) => {
      const key = await client.randomkey();
      if (key === null || (key.endsWith(":g") && Math.random() < 0.9)) return;
      this.done.evictions += await client.unlink(key);
    });
  }

  private async cutConnections(): Promise<void> {
    await this.onOne(async (client) => {
      this.done.cutConnections += Number(await client.client("KILL", "TYPE", "normal", "SKIPME", "yes"));
    });
  }

  /** A slot with something in it goes to another node, with all of it; it may come back later. */
  private async move(): Promise<void> {
    const from = await this.primary();
    const others = [...new Set((await this.cluster.owners()).values())].filter((node) => node !== from);
    const key = await on(from, (client) => client.randomkey());
    if (key === null || others.length === 0) return;
    const slot = await on(from, (client) => client.cluster("KEYSLOT", key));
    await this.cluster.move([slot], from, pick(others));
    this.done.moves += 1;
  }

  /** A primary is killed. Its replica lacks what was written last, and takes its place; it comes back as the replica's replica. */
  private async failOver(): Promise<void> {
    const dead = await this.primary();
    const slots = (await this.cluster.owners()).size;
    await dead.kill("SIGKILL");
    await until(async () => (await this.cluster.owners()).size >= slots, MOST_PATIENCE);
    await dead.restart();
    await until(() => this.cluster.isWell(), MOST_PATIENCE);
    this.done.failovers += 1;
  }

  private async once(name: keyof typeof this.done, work: Parameters<typeof on>[1]): Promise<void> {
    await this.onOne(work);
    this.done[name] += 1;
  }

  private async primary(): Promise<RedisServer> {
    return pick([...new Set((await this.cluster.owners()).values())]);
  }

  /** On some primary, unless it is gone by then. */
  private async onOne(work: Parameters<typeof on>[1]): Promise<void> {
    await on(await this.primary(), work).catch(() => undefined);
  }

  /** One after the other: nobody moves slots to a node that is about to be killed. */
  private alone(work: () => Promise<void>): Promise<void> {
    const done = this.last.then(work);
    this.last = done.catch(() => undefined);
    return done;
  }
}
