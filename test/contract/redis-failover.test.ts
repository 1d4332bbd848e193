import { afterEach, describe, expect, it } from "@jest/globals";
import Redis from "ioredis";
import { encodeEntry } from "../../src/core/entry";
import { RedisStore } from "../../src/store/redis/redis-store";
import type { Store } from "../../src/store/store";
import { type RedisServer, startRedis, until } from "../support/redis-server";
import { type TcpSwitch, tcpSwitch } from "../support/tcp-switch";

const TAG = "g|id=1";
const TAGS = ["g|", TAG];

/** Two servers of which one replicates the other, behind one address. */
describe("a failover", () => {
  const opened: (() => unknown)[] = [];
  afterEach(async () => {
    for (const close of opened.splice(0).reverse()) await close();
  });

  const synced = (replica: Redis) =>
    until(async () => (await replica.info("replication")).includes("master_link_status:up"));

  /** The second replicates the first, to which the address leads. */
  async function pair() {
    const servers: RedisServer[] = [
      await startRedis({ args: ["--repl-diskless-sync-delay", "0"] }),
      await startRedis({ args: ["--repl-diskless-sync-delay", "0"] }),
    ];
    const [one, two] = servers.map((server) => new Redis(server.port, "127.0.0.1")) as [Redis, Redis];
    const address = await tcpSwitch(servers[0]!.port);
    opened.push(
      ...servers.map((server) => () => server.stop()),
      () => address.stop(),
      () => one.disconnect(),
      () => two.disconnect(),
    );
    await two.call("REPLICAOF", "127.0.0.1", String(one.options.port));
    await synced(two);
    return { one, two, address };
  }

  /** WAIT waits for the writes of its own connection, and what came before them. */
  const caughtUp = async (primary: Redis) => {
    await primary.set("written last", Math.random());
    expect(await primary.wait(1, 5000)).toBe(1);
  };

  /** `to` replicates `from` until it takes over. */
  async function takeOver(from: Redis, to: Redis, address: TcpSwitch) {
    await to.call("REPLICAOF", "NO", "ONE");
    address.leadTo(to.options.port!);
    await from.call("REPLICAOF", "127.0.0.1", String(to.options.port));
    await synced(from);
  }

  async function openStore(address: TcpSwitch) {
    const client = new Redis(address.port, "127.0.0.1");
    client.on("error", () => undefined);
    const states: string[] = [];
    const store = new RedisStore(client);
    opened.push(
      () => client.disconnect(),
      () => store.close(),
    );
    const onStateChange = (state: string) => void states.push(state);
    await store.open({ namespace: "db", lockTtl: 500, timeout: 1000, onStateChange }, ["g"]);
    return { store, states };
  }

  const fill = async (store: Store, payload: string) => {
    await until(() =>
      store.prepare(TAGS, 60_000).then(
        (tokens) => !tokens.includes(""),
        () => false,
      ),
    );
    const tokens = await store.prepare(TAGS, 60_000);
    await store.fill([
      { key: "k", group: "g", value: encodeEntry({ query: "q", rowTags: [], tokens, payload }), ttl: 60_000 },
    ]);
  };
  const written = (work: Promise<unknown>) =>
    work.then(
      () => true,
      () => false,
    );

  const outcome = async (store: Store) => {
    const [answer] = await store.read([{ key: "k", group: "g", query: "q", tags: TAGS }]);
    return answer!.outcome === "hit" ? answer!.payload : answer!.why;
  };

  it("to a replica that lacks the last writes serves nothing from before", async () => {
    const { one, two, address } = await pair();
    const { store, states } = await openStore(address);
    await fill(store, "old");
    await caughtUp(one);
    await two.call("REPLICAOF", "NO", "ONE");
    await store.invalidate([TAG]);
    address.leadTo(two.options.port!);
    await until(() => states.join() === "up,down,up");
    expect(await two.keys("*:e:k")).toHaveLength(1);
    expect(await outcome(store)).toBe("absent");
  });

  it("and back again serves nothing from before, although the one in between died before it could hand on what it had removed", async () => {
    const { one, two, address } = await pair();
    const { store, states } = await openStore(address);
    await fill(store, "old");
    await caughtUp(one);
    await two.call("REPLICAOF", "NO", "ONE");
    address.leadTo(two.options.port!);
    await until(() => states.join() === "up,down,up");
    await store.invalidate([TAG]);
    // It never became its replica: all is there as it was, the note of the last server too.
    address.leadTo(one.options.port!);
    await until(() => states.join() === "up,down,up,down,up");
    expect(await one.keys("*:e:k")).toHaveLength(1);
    expect(await outcome(store)).not.toBe("old");
    await fill(store, "new");
    // A connection that was merely cut costs nothing.
    address.cut();
    await until(() => states.at(-1) === "up" && states.length === 7);
    expect(await outcome(store)).toBe("new");
  });

  it.each([
    ["by a process that saw all of it", "none"],
    ["by a process that saw all of it, after the note of the last server was evicted", "note"],
    ["by a process that came during the failover", "process"],
  ])("and back again serves nothing from before the first one, %s", async (_what, lost) => {
    const { one, two, address } = await pair();
    const first = await openStore(address);
    await fill(first.store, "old");
    if (lost === "note") expect(await one.del(await one.keys("*:s"))).toBe(1);
    if (lost === "process") await first.store.close();
    await caughtUp(one);
    await takeOver(one, two, address);
    const { store, states } = lost === "process" ? await openStore(address) : first;
    await until(() => states.at(-1) === "up");
    await until(() => written(store.invalidate([TAG])));
    // The removal of what the first server left has been sent before this, on the same connection.
    await until(
      async () => (await two.keys("*:s")).length === 1 && (await two.get((await two.keys("*:s"))[0]!)) !== null,
    );
    await caughtUp(two);
    expect(await two.keys("*:e:k")).toHaveLength(1);
    await takeOver(two, one, address);
    await until(() => states.slice(-2).join() === "down,up" && states.length > 2);
    expect(await one.keys("*:e:k")).toHaveLength(1);
    expect(await outcome(store)).toBe("stale");
    expect(await store.prepare([TAG], 1000)).toEqual([""]);
  });
});
