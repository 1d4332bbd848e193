import { randomUUID } from "node:crypto";
import { Redis } from "ioredis";
import { stripeOf } from "../../src/core/stripe";
import { epochTag, groupOf, isFine, type Tag } from "../../src/core/tag";
import { ClusterKeys } from "../../src/store/redis/cluster-keys";
import { serverIdOf } from "../../src/store/redis/redis-keys";
import { RedisStore } from "../../src/store/redis/redis-store";
import { slotOf } from "../../src/store/redis/key-slot";
import { Spread } from "../../src/store/redis/spread";
import type { Store, StoreContext } from "../../src/store/store";
import { type RedisCluster, on, startCluster } from "../support/redis-cluster";
import { until } from "../support/redis-server";
import { AGE, runIdOf, timeOf } from "./redis-harness";
import { SKU, type Setup, type StoreHarness } from "./world";

/** The stripe that the suite's entries lie in: where the value is that most are looked up by. */
const STRIPE = stripeOf(SKU, 16);

/** Three primaries for a suite, a namespace of its own for each test. */
export class ClusterHarness implements StoreHarness {
  readonly losesData = true;
  cluster!: RedisCluster;

  async start(): Promise<void> {
    this.cluster = await startCluster();
  }

  stop(): Promise<void> {
    return this.cluster.stop();
  }

  async setUp(context: Omit<StoreContext, "namespace">): Promise<Setup> {
    const { primaries, seeds } = this.cluster;
    const client = new Redis.Cluster(seeds, { slotsRefreshInterval: 1000 });
    const clients = primaries.map(({ port }) => new Redis(port, "127.0.0.1"));
    const ids = await Promise.all(clients.map(async (one) => serverIdOf(await runIdOf(one))));
    const groups = ["shop.product", "shop.order"];
    const namespace = `db-${randomUUID()}`;
    const [store, other, unopened] = [new RedisStore(client), new RedisStore(client), new RedisStore(client)];
    await store.open({ ...context, namespace }, groups);
    await other.open({ ...context, namespace }, groups);
    const spread = Spread.overCluster();
    const nodeOf = (part: string) => Math.floor((slotOf(spread.hashTagOf(part)) * primaries.length) / 16_384);
    const keys = new ClusterKeys(namespace, spread, (part) => ids[nodeOf(part)]);

    const parts = groups.flatMap((group) => spread.partsOf(group));
    // Who has lost one is told so when he needs it, and takes the part over; time goes on from then.
    const makeGuards = () =>
      until(async () => {
        const guards = await Promise.all(parts.map((part) => client.exists(keys.guard(part))));
        const lost = parts.filter((_, at) => guards[at] === 0);
        if (lost.length > 0) await store.prepare(lost.map(epochTag), 1000);
        return lost.length === 0;
      });
    const age = async (milliseconds: number) => {
      await makeGuards();
      await Promise.all(clients.map((one) => one.eval(AGE, 0, milliseconds)));
    };
    await age(context.lockTtl);
    return {
      store: inOneStripe(store),
      other: inOneStripe(other),
      unopened: inOneStripe(unopened),
      age,
      async outlive(milliseconds) {
        const end = (await timeOf(clients[0]!)) + milliseconds + 5;
        await until(async () => (await timeOf(clients[0]!)) > end);
      },
      lose: {
        tag: async (tag) => void (await client.del(keys.tag(depended(tag)))),
        guard: async (group) =>
          void (await Promise.all(spread.partsOf(group).map((part) => client.del(keys.guard(part))))),
        entry: async (group, key) => void (await client.del(keys.entry(group + STRIPE, key))),
        everything: async () => void (await Promise.all(primaries.map((one) => on(one, (node) => node.flushall())))),
      },
      async tearDown() {
        await store.close();
        await other.close();
        await client.quit();
        for (const one of clients) one.disconnect();
      },
    };
  }
}

/** What the suite says about tables that are whole, in one stripe of them. */
function inOneStripe(store: Store): Store {
  const place = <Placed extends { readonly group: string }>(one: Placed): Placed => ({
    ...one,
    group: one.group + STRIPE,
  });
  return {
    name: store.name,
    open: (...args) => store.open(...args),
    read: (requests) => store.read(requests.map((one) => ({ ...place(one), tags: one.tags.map(depended) }))),
    check: (copies) => store.check!(copies.map((one) => ({ ...one, tags: one.tags.map(depended) }))),
    prepare: (tags, ttl) => store.prepare(tags.map(depended), ttl),
    claim: (flight) => store.claim!(place(flight)),
    release: (flight) => store.release!(place(flight)),
    fill: (entries) => store.fill(entries.map(place)),
    lock: (tags, holder, readTags, ...rest) => store.lock(tags, holder, readTags.map(depended), ...rest),
    unlock: (request) =>
      store.unlock({
        ...request,
        watched: request.watched.map((one) => ({ ...one, tag: depended(one.tag) })),
        entries: request.entries.map((one) => ({ ...place(one), lockedTags: one.lockedTags.map(depended) })),
      }),
    invalidate: (...args) => store.invalidate(...args),
    listen: (...args) => store.listen!(...args),
    close: () => store.close(),
  };
}

function depended(tag: Tag): Tag {
  const group = groupOf(tag);
  return isFine(tag) && !tag.endsWith("|~") ? tag : tag.endsWith("*") ? tag : group + STRIPE + tag.slice(group.length);
}
