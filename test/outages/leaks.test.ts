import { describe, expect, it } from "@jest/globals";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { promisify } from "node:util";
import { RedisStore } from "typeorm-coherent";
import { until } from "../support/redis-server";
import type { EnduranceReport } from "./endurance";
import { slopeOf } from "./slope";
import { Account, caching, stored, World } from "./world";

const RUN = join(__dirname, "..", "..", "scripts", "run-ts.cjs");

/** A process of its own: only there the heap is ours alone, and a rejection that nobody handles is seen. */
async function endurance(...args: string[]): Promise<EnduranceReport> {
  const file = join(__dirname, "endurance.ts");
  const { stdout } = await promisify(execFile)(process.execPath, ["--expose-gc", RUN, file, ...args]);
  return JSON.parse(stdout) as EnduranceReport;
}

/** Nothing failed, nothing of ours is left, and what is the user's goes on. */
const CLEAN = { failed: 0, unhandled: [], left: [], connections: 0, usable: true };

describe("a process that reads and writes for long", () => {
  // A map that forgets to forget is more than this per operation. What is less drowns in a process that has just begun: a million shows it.
  const MOST_BYTES = 100;

  it("keeps its heap flat, and nothing after close", async () => {
    const report = await endurance("--operations", "10000", "--rows", "100");
    expect(report).toMatchObject(CLEAN);
    expect(report.slope).toBeLessThan(MOST_BYTES);
  }, 90_000);

  it("fails no query and leaves no rejection unhandled while Redis is killed, stopped, cut and full", async () => {
    const report = await endurance("--operations", "1000", "--rows", "100", "--faults");
    expect(report).toMatchObject(CLEAN);
    expect(report.outages).toBeGreaterThanOrEqual(8);
  }, 90_000);

  it("would be found out by the slope", () => {
    expect(slopeOf([5, 7, 9, 11])).toBe(2);
    expect(slopeOf([4, 4, 4])).toBe(0);
    expect(slopeOf([3, 9, 3, 9, 3])).toBe(0);
  });
});

describe("closing", () => {
  it("waits for a transaction that is under way, whose lock then ends", () =>
    World.run(async (world) => {
      const server = await world.redis();
      const one = await world.member({ port: server.port }, { consistency: "strict", lockTtl: 20_000 });
      const admin = world.client({ port: server.port });
      // Repositories go on when their cache is closed.
      const accounts = one.cache.repository(Account);
      let closing: Promise<void> | undefined;
      let isClosed = false;
      await one.dataSource.transaction(async (manager) => {
        await manager.save(Account, { id: 1, balance: 1 });
        closing = one.cache.close().then(() => void (isClosed = true));
        // Reads and other writes pass by the cache meanwhile, and do not wait.
        expect(await accounts.findOneBy({ id: 1 })).toMatchObject({ balance: 1 });
        // Long enough for a close that does not wait.
        for (let times = 0; times < 50; times += 1) await admin.ping();
        expect(isClosed).toBe(false);
      });
      await closing;
      const [guard] = await admin.keys("*:g");
      // The end of the quarantine, and no lock.
      expect(Object.keys(await admin.hgetall(guard!))).toEqual(["q"]);
      expect(await admin.keys("*:t:id=1")).toEqual([]);
      await accounts.save({ id: 1, balance: 2 });
      expect(await accounts.findOneBy({ id: 1 })).toMatchObject({ balance: 2 });
      expect(one.client.listenerCount("error")).toBe(1);
    }));

  it("does not wait for ever for one that does not end", () =>
    World.run(async (world) => {
      const server = await world.redis();
      const one = await world.member({ port: server.port }, { lockTtl: 200, storeTimeout: 90 });
      const runner = one.dataSource.createQueryRunner();
      await runner.startTransaction();
      await runner.manager.save(Account, { id: 1, balance: 1 });
      await one.cache.close();
      await runner.commitTransaction();
      expect(await stored(one)).toBe(1);
    }));
});

describe("a worker that is killed", () => {
  it("leaves nothing that lasts longer than the lock TTL", () =>
    World.run(async (world) => {
      const server = await world.redis();
      const one = await world.member({ port: server.port });
      await caching(one);
      const store = new RedisStore(world.client({ port: server.port }));
      await store.open({ namespace: "worker", lockTtl: 1000, timeout: 400 }, []);
      world.keep(() => store.close());
      const admin = world.client({ port: server.port });
      const connections = async () => ((await admin.client("LIST")) as string).trim().split("\n").length;
      const before = await connections();

      const worker = spawn(process.execPath, [RUN, join(__dirname, "dying-worker.ts"), server.url], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      world.keep(() => worker.kill("SIGKILL"));
      await once(worker.stdout, "data");
      const flight = { key: "k", group: "g", holder: "another", ttl: 1000 };
      expect(await store.prepare(["g|id=1"], 60_000)).toEqual([""]);
      expect(await store.claim(flight)).toBe(false);
      expect(await connections()).toBe(before + 2);

      worker.kill("SIGKILL");
      await until(async () => (await connections()) === before);
      const [seconds] = await admin.time();
      const record = await admin.hget((await admin.keys("worker:*{g}:g"))[0]!, "t:id=1");
      const deadline = Number(/^dying=(\d+)$/.exec(record!)![1]);
      expect(deadline - Number(seconds) * 1000).toBeLessThanOrEqual(2000); // The TTL, and what a second is cut by.
      // Whatever it has written goes by itself, and what names it has gone before that.
      await until(async () => (await store.prepare(["g|id=1"], 60_000))[0] !== "" && (await store.claim(flight)));
      for (const key of await admin.keys("worker:*")) expect(await admin.pttl(key)).toBeGreaterThan(0);
    }));
});
