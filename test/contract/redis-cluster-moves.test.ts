import { randomUUID } from "node:crypto";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "@jest/globals";
import { Redis } from "ioredis";
import { keyspaceOf } from "../../src/cli/redis/keyspace";
import { encodeEntry } from "../../src/core/entry";
import { placed } from "../../src/core/stripe";
import { RedisStore } from "../../src/store/redis/redis-store";
import { slotOf } from "../../src/store/redis/key-slot";
import { Spread } from "../../src/store/redis/spread";
import type { Store, StoreContext } from "../../src/store/store";
import { runIdOf } from "./redis-harness";
import { on, type RedisCluster, startCluster } from "../support/redis-cluster";
import { type RedisServer, startRedis, until } from "../support/redis-server";

const TABLE = "shop.product";
const SKU = `${TABLE}|sku=A`;
const EPOCH = `${TABLE}|`;
const TTL = 600_000;
const spread = Spread.overCluster();

/** The lookup of a product by its sku, as a reader places it. */
const { group, tags } = placed(TABLE, "k", [EPOCH, SKU], spread.stripes);
const slot = slotOf(spread.hashTagOf(group));

describe("a cluster whose slots move", () => {
  let cluster: RedisCluster;
  const closing: (() => unknown)[] = [];

  beforeAll(async () => {
    cluster = await startCluster();
  });
  afterAll(() => cluster.stop());
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
    // Where it was.
    const [home, away] = await ends();
    if (home !== homeOf(slot)) await cluster.move([slot], home, away);
  });

  const homeOf = (one: number) => cluster.primaries[Math.floor((one * 3) / 16_384)]!;

  /** The node that has the slot of the lookup, and one that has not. */
  async function ends(): Promise<[RedisServer, RedisServer]> {
    const home = homeOf(slot);
    const away = cluster.primaries.find((node) => node !== home)!;
    return (await countOf(home, slot)) === undefined ? [away, home] : [home, away];
  }

  /** Keys in a slot; undefined if it is another node's. */
  const countOf = (node: RedisServer, one: number) =>
    on(node, async (client) => {
      const lines = String(await client.cluster("NODES")).split("\n");
      const [, , , , , , , , ...ranges] = lines.find((line) => line.includes("myself"))!.split(" ");
      const isOwn = ranges.some((range) => {
        const [first, last] = range.split("-").map(Number);
        return first! <= one && one <= (last ?? first!);
      });
      return isOwn ? client.cluster("COUNTKEYSINSLOT", one) : undefined;
    });

  async function open(namespace: string, more: Partial<StoreContext> = {}): Promise<RedisStore> {
    // It does not look at the map by itself while a test runs.
    const client = new Redis.Cluster(cluster.seeds, { slotsRefreshInterval: 60_000 });
    const store = new RedisStore(client);
    closing.push(
      () => client.disconnect(),
      () => store.close(),
    );
    await store.open({ namespace, lockTtl: 100, timeout: 5000, ...more }, [TABLE]);
    return store;
  }

  const outcome = async (store: Store) => {
    const [answer] = await store.read([{ key: "k", group, query: "q", tags }]);
    return answer!.outcome === "hit" ? answer!.payload : answer!.outcome;
  };

  /** Fills as soon as there is no quarantine. */
  const fill = async (store: Store, payload: string) => {
    let tokens: string[] = [];
    await until(async () => !(tokens = await store.prepare(tags, TTL)).includes(""));
    await store.fill([{ key: "k", group, value: encodeEntry({ query: "q", rowTags: [], tokens, payload }), ttl: TTL }]);
    expect(await outcome(store)).toBe(payload);
  };

  it("follows a slot that has moved: what was there is a miss, and what is written next is locked there", async () => {
    const [home, away] = await ends();
    const store = await open(randomUUID());
    await fill(store, "old");
    await cluster.move([slot], home, away);
    expect(await outcome(store)).toBe("miss");
    await store.lock([SKU], "w", [], TTL);
    expect(await store.prepare([SKU], TTL)).toEqual([""]);
    expect(await store.unlock({ tags: [SKU], holder: "w", token: "t", tagTtl: TTL, watched: [], entries: [] })).toEqual(
      {
        held: true,
        written: 0,
      },
    );
    await fill(store, "new");
    expect(await countOf(away, slot)).toBeGreaterThan(0);
  });

  it("serves nothing that has left with its slot and come back, although somebody has seen neither", async () => {
    const [home, away] = await ends();
    const namespace = randomUUID();
    const [idle, busy] = [await open(namespace), await open(namespace)];
    await fill(idle, "old");
    await cluster.move([slot], home, away);
    await busy.invalidate([SKU]);
    await cluster.move([slot], away, home);
    expect(await outcome(idle)).toBe("miss");
    await fill(idle, "new");
  });

  it("serves nothing that was filled while somebody believed himself still responsible elsewhere", async () => {
    const [home, away] = await ends();
    const namespace = randomUUID();
    const [here, there] = [await open(namespace), await open(namespace)];
    await fill(here, "old");
    await cluster.move([slot], home, away);
    await fill(there, "older than what comes");
    await cluster.move([slot], away, home);
    // He has not noticed anything, and is the only one who writes.
    await here.invalidate([SKU]);
    await cluster.move([slot], home, away);
    expect(await outcome(there)).toBe("miss");
  });

  it("serves nothing of a node that is back as if it had never been away, with all that was there", async () => {
    const [home, away] = await ends();
    const store = await open(randomUUID());
    await fill(store, "old");
    const kept = await on(home, async (client) =>
      Promise.all(
        (await client.cluster("GETKEYSINSLOT", slot, 1000)).map(
          async (key) => [key, await client.dumpBuffer(key)] as const,
        ),
      ),
    );
    await cluster.move([slot], home, away);
    await store.invalidate([SKU]);
    await cluster.move([slot], away, home);
    await on(home, (client) => Promise.all(kept.map(([key, value]) => client.restore(key, 0, value, "REPLACE"))));
    // Until he has found out who has the slot, all is a miss.
    await until(async () => {
      expect(await outcome(store)).toBe("miss");
      return !(await store.prepare(tags, TTL)).includes("");
    });
    expect(await outcome(store)).toBe("miss");
  });

  it("starts a quarantine where a slot arrives, so that no lock is overlooked that was taken where it was", async () => {
    const [home, away] = await ends();
    const namespace = randomUUID();
    const [writer, reader] = [await open(namespace, { lockTtl: 3000 }), await open(namespace, { lockTtl: 3000 })];
    await writer.lock([SKU], "w", [], TTL);
    await cluster.move([slot], home, away);
    // What insists comes back when the part is taken over.
    await reader.invalidate([SKU]);
    expect(await reader.prepare(tags, TTL)).toEqual(["", ""]);
    const request = { tags: [SKU], holder: "w", token: "t", tagTtl: TTL, watched: [], entries: [] };
    expect(await writer.unlock(request)).toEqual({ held: false, written: 0 });
  });

  it("misses what is on its way, and refuses to lock it", async () => {
    const [home, away] = await ends();
    const namespace = randomUUID();
    const store = await open(namespace, { timeout: 200 });
    await fill(store, "old");
    const [homeId, awayId] = await Promise.all(
      [home, away].map((node) => on(node, (client) => client.cluster("MYID"))),
    );
    const set = (node: RedisServer, ...how: string[]) =>
      on(node, (client) => client.call("CLUSTER", "SETSLOT", String(slot), ...how));
    await set(away, "IMPORTING", homeId!);
    await set(home, "MIGRATING", awayId!);
    // Nothing has left yet.
    expect(await outcome(store)).toBe("old");
    const [some] = (await on(home, (client) => client.cluster("GETKEYSINSLOT", slot, 1000))).filter((key) =>
      key.endsWith(":t:sku=A"),
    );
    await on(home, (client) => client.call("MIGRATE", "127.0.0.1", String(away.port), some!, "0", "1000"));

    expect(await outcome(store)).toBe("miss");
    expect(await store.prepare(tags, TTL)).toEqual(["", ""]);
    await expect(store.lock([SKU], "w", [], TTL)).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });

    await cluster.move([slot], home, away);
    await fill(store, "new");
  });

  it("hears what is sent although the channel has moved, and says that something may have been missed", async () => {
    const channel = slotOf(spread.hashTagOf("*changes^5"));
    const [home, away] = [homeOf(channel), cluster.primaries.find((node) => node !== homeOf(channel))!];
    const namespace = randomUUID();
    const listener = await open(namespace);
    const speakers = await Promise.all(Array.from({ length: 8 }, () => open(namespace)));
    const say = (word: string) =>
      Promise.all(speakers.map((one, at) => one.invalidate([], new Map([[TABLE, `${word} ${at}`]]))));
    const all = (word: string) => speakers.map((_, at) => `${word} ${at}`);
    const heard: string[] = [];
    await listener.listen(
      {
        message: (text) => heard.push(text),
        up: () => heard.push("up"),
        down: () => heard.push("down"),
        confirmed: () => undefined,
      },
      300,
    );
    await say("before");
    await until(() => all("before").every((word) => heard.includes(word)));
    await cluster.move([channel], home, away);
    // Nobody tells a listener that he is at the wrong place but the node that he asks.
    await until(() => heard.includes("down") && heard.at(-1) === "up");
    await say("after");
    await until(() => all("after").every((word) => heard.includes(word)));
    // Each once; on a slow machine the connections may have been given up in between, which is told as well.
    const words = heard.filter((word) => word !== "up" && word !== "down");
    expect(words.toSorted()).toEqual([...all("after"), ...all("before")]);
    await cluster.move([channel], away, home);
  });

  it("spreads the work of one table evenly over the nodes", async () => {
    const store = await open(randomUUID());
    const before = await cluster.commands();
    for (let id = 0; id < 600; id += 1) {
      const place = placed(TABLE, `id=${id}`, [EPOCH, `${TABLE}|id=${id}`], spread.stripes);
      await store.read([{ key: `id=${id}`, query: "q", ...place }]);
    }
    const done = (await cluster.commands()).map((count, at) => count - before[at]!);
    expect(Math.max(...done) / Math.min(...done)).toBeLessThan(1.6);
    expect(Math.min(...done)).toBeGreaterThan(100);
  });

  it("shows the command line tables, and not their parts", async () => {
    const namespace = randomUUID();
    await fill(await open(namespace), "an entry");
    const [home] = await ends();
    const { namespaces } = await on(home, async (client) =>
      keyspaceOf(client, await runIdOf(client), { namespace, limit: 10_000, onProgress: () => undefined }),
    );
    expect(namespaces).toMatchObject([{ namespace, tables: [{ table: TABLE, entries: 1, quarantined: false }] }]);
  });

  it("knows the slot of a part as the nodes do", async () => {
    const texts = [
      "",
      "foo",
      "user1000",
      "ärger 日本 🙂",
      group,
      ...spread.partsOf(TABLE).map((part) => spread.hashTagOf(part)),
    ];
    const told = await on(cluster.primaries[0]!, (client) =>
      Promise.all(texts.map((text) => client.cluster("KEYSLOT", text))),
    );
    expect(texts.map(slotOf)).toEqual(told);
  });

  it("wants a client of the cluster, and no client of one node", async () => {
    const [node] = cluster.primaries;
    const client = new Redis(node!.port, "127.0.0.1");
    closing.push(() => client.disconnect());
    const context = { namespace: "n", lockTtl: 100, timeout: 500 };
    await expect(new RedisStore(client).open(context, [TABLE])).rejects.toMatchObject({ code: "STORE_UNSUPPORTED" });
    expect(() => new RedisStore(new Redis.Cluster(cluster.seeds, { lazyConnect: true, keyPrefix: "{app}:" }))).toThrow(
      expect.objectContaining({ code: "CONFIG_INVALID" }),
    );
  });

  it("starts without the cluster, and finds it when it is there", async () => {
    const absent = await startRedis();
    await absent.stop();
    const states: string[] = [];
    const client = new Redis.Cluster([{ host: "127.0.0.1", port: absent.port }], { lazyConnect: true });
    client.on("error", () => undefined);
    const store = new RedisStore(client);
    closing.push(
      () => client.disconnect(),
      () => store.close(),
    );
    const onStateChange = (state: string) => states.push(state);
    await store.open({ namespace: "n", lockTtl: 100, timeout: 100, onStateChange }, [TABLE]);
    await expect(store.prepare([SKU], TTL)).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
    expect(states).toEqual(["down"]);
  });
});
