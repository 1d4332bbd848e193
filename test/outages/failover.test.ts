import { describe, expect, it } from "@jest/globals";
import { startRedis, until, type RedisServer } from "../support/redis-server";
import { Oracle } from "./oracle";
import { caching, served, World, write, type Member } from "./world";

const NAME = "main";

/** Hits of each member, from now on. */
const moreHits = (members: readonly Member[], more: number) => {
  const before = members.map(({ cache }) => cache.stats().hits);
  return until(() => members.every(({ cache }, at) => cache.stats().hits > before[at]! + more), 20_000);
};

describe("a Redis that comes back with old data", () => {
  it.concurrent("serves none of it: restarts with an append-only file, under reads and writes", () =>
    World.run(async (world) => {
      const server = await world.redis("--appendonly", "yes", "--appendfsync", "always");
      const admin = world.client({ port: server.port });
      const one = await world.member({ port: server.port }, { consistency: "strict" });
      const other = await world.member({ port: server.port }, { consistency: "strict" });
      await caching(other);
      const oracle = new Oracle(one, [one, other]);
      for (let restarts = 0; restarts < 2; restarts += 1) {
        await moreHits([one, other], 10);
        // What comes from now on is not in the file: the server comes back with the entries and tokens of this moment.
        await admin.config("SET", "appendonly", "no");
        await moreHits([one, other], 10);
        await server.kill("SIGKILL");
        await server.restart();
        expect(await admin.keys("*:e:*")).not.toHaveLength(0);
      }
      await moreHits([one, other], 10);
      await oracle.stop();
      expect(oracle.stale).toEqual([]);
      expect([await served(one), await served(other)]).toEqual([oracle.committed, oracle.committed]);
    }),
  );

  /** Three Sentinels watch over a primary and its replica. */
  async function watched(world: World) {
    const args = ["--repl-diskless-sync-delay", "0"];
    const [primary, replica] = [await world.redis(...args), await world.redis(...args)];
    const admin = world.client({ port: primary.port });
    const follower = world.client({ port: replica.port });
    // A user of its own: without him the replica loses its link, and nobody else does.
    await admin.acl("SETUSER", "replica", "on", ">secret", "+psync", "+replconf", "+ping");
    await follower.config("SET", "masteruser", "replica");
    await follower.config("SET", "masterauth", "secret");
    await follower.call("REPLICAOF", "127.0.0.1", String(primary.port));
    await until(async () => (await follower.info("replication")).includes("master_link_status:up"));
    const sentinels: RedisServer[] = [];
    for (let count = 0; count < 3; count += 1) {
      const settings = ["down-after-milliseconds main 400", "failover-timeout main 3000"];
      const monitor = `sentinel monitor ${NAME} 127.0.0.1 ${primary.port} 2`;
      const sentinel = await startRedis({ sentinel: [monitor, ...settings.map((line) => `sentinel ${line}`)] });
      world.keep(() => sentinel.stop());
      sentinels.push(sentinel);
    }
    const watcher = world.client({ port: sentinels[0]!.port });
    await until(async () => {
      const known = (await watcher.call("SENTINEL", "MASTER", NAME)) as string[];
      const count = (field: string) => known[known.indexOf(field) + 1];
      return count("num-slaves") === "1" && count("num-other-sentinels") === "2";
    }, 20_000);
    const redis = { sentinels: sentinels.map(({ port }) => ({ host: "127.0.0.1", port })), name: NAME };
    return { primary, replica, admin, follower, redis };
  }

  it.concurrent(
    "serves none of it: Sentinels promote a replica that lacks the last writes",
    () =>
      World.run(async (world) => {
        const { primary, admin, follower, redis } = await watched(world);
        world.keep(() => primary.kill("SIGCONT"));
        const one = await world.member(redis, { consistency: "strict" });
        const other = await world.member(redis, { consistency: "strict" });
        await caching(one);
        await caching(other);
        // What the replica keeps: an entry and the tokens that make it valid.
        expect(await admin.wait(1, 5000)).toBe(1);
        await until(async () => (await follower.keys("*:e:*")).length > 0);
        await admin.acl("DELUSER", "replica");
        await until(async () => (await follower.info("replication")).includes("master_link_status:down"));
        await write(one, 1);
        expect(await follower.keys("*:e:*")).not.toHaveLength(0);

        const oracle = new Oracle(one, [one, other]);
        await moreHits([one, other], 20);
        await primary.kill("SIGSTOP");
        await until(async () => (await follower.info("replication")).includes("role:master"), 20_000);
        await moreHits([one, other], 20);
        // The old primary wakes, with all that it knew, and takes itself for one until a Sentinel tells it otherwise.
        await primary.kill("SIGCONT");
        expect(await admin.info("replication")).toContain("role:master");
        await moreHits([one, other], 20);
        await oracle.stop();
        expect(oracle.stale).toEqual([]);
        expect(oracle.refused).toBeGreaterThan(0);
        expect([await served(one), await served(other)]).toEqual([oracle.committed, oracle.committed]);
      }),
    60_000,
  );
});
