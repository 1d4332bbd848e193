import { describe, expect, it } from "@jest/globals";
import { rmSync } from "node:fs";
import { setImmediate } from "node:timers/promises";
import type { Redis } from "ioredis";
import { LockError, RedisStore } from "typeorm-coherent";
import { until, type RedisServer } from "../support/redis-server";
import type { TcpSwitch } from "../support/tcp-switch";
import { Account, caching, served, stored, World, write, type Member } from "./world";

/** What an outage is made with: the server, the way of one member to it, and a client that goes past that. */
interface Place {
  readonly server: RedisServer;
  readonly way: TcpSwitch;
  readonly admin: Redis;
}

interface Outage {
  readonly begin: (place: Place) => unknown;
  readonly end: (place: Place) => unknown;
  /** Hits are served all the while. */
  readonly reads?: boolean;
}

/** Nobody listens at port 1. */
const NOWHERE = 1;
const folderOf = async (admin: Redis) => ((await admin.config("GET", "dir")) as string[])[1]!;
const killAll = (admin: Redis) => admin.client("KILL", "TYPE", "normal", "SKIPME", "yes");

const OUTAGES: Readonly<Record<string, Outage>> = {
  "is killed": { begin: ({ server }) => server.kill("SIGKILL"), end: ({ server }) => server.restart() },
  hangs: { begin: ({ server }) => server.kill("SIGSTOP"), end: ({ server }) => server.kill("SIGCONT") },
  "cannot be reached": {
    begin: ({ way }) => way.leadTo(NOWHERE),
    end: ({ way, server }) => way.leadTo(server.port),
  },
  "is behind a cable that was pulled": { begin: ({ way }) => way.freeze(), end: ({ way }) => way.thaw() },
  "has vanished, and new connections get through": {
    begin: ({ way }) => {
      way.freeze();
      way.thaw();
    },
    end: () => undefined,
  },
  "is slow": { begin: ({ way }) => way.delay(400), end: ({ way }) => way.delay(0) },
  "is full": {
    begin: ({ admin }) => admin.config("SET", "maxmemory", "1"),
    end: ({ admin }) => admin.config("SET", "maxmemory", "0"),
    reads: true,
  },
  "is read-only": {
    begin: ({ admin }) => admin.call("REPLICAOF", "127.0.0.1", String(NOWHERE)),
    end: ({ admin }) => admin.call("REPLICAOF", "NO", "ONE"),
  },
  "takes no writes": {
    begin: ({ admin }) => admin.config("SET", "min-replicas-to-write", "1"),
    end: ({ admin }) => admin.config("SET", "min-replicas-to-write", "0"),
    reads: true,
  },
  "cannot save its data": {
    // MISCONF: it refuses writes after a background save has failed.
    begin: async ({ admin }) => {
      rmSync(await folderOf(admin), { recursive: true });
      await admin.config("SET", "save", "3600 1");
      await admin.bgsave();
      await until(async () => (await admin.info("persistence")).includes("rdb_last_bgsave_status:err"));
    },
    end: ({ admin }) => admin.config("SET", "save", ""),
    reads: true,
  },
  "wants another password": {
    begin: async ({ admin }) => {
      await admin.config("SET", "requirepass", "changed");
      await killAll(admin);
    },
    end: ({ admin }) => admin.config("SET", "requirepass", ""),
  },
};

/** Two members: the first behind the way, the other straight at the server. */
async function members(world: World, consistency: "strict" | "available"): Promise<[Place, Member, Member]> {
  const server = await world.redis();
  const way = await world.proxy(server.port);
  const admin = world.client({ port: server.port });
  await admin.connect();
  const one = await world.member({ port: way.port }, { consistency });
  const other = await world.member({ port: server.port }, { consistency });
  world.keep(() => server.kill("SIGCONT"));
  await caching(one);
  await caching(other);
  return [{ server, way, admin }, one, other];
}

/** A read, and a write if that is let through, until the circuit is open. */
const untilDown = (member: Member) =>
  until(async () => {
    await served(member);
    return member.cache.stats().storeState === "down";
  });

describe("when Redis is away", () => {
  it.concurrent.each(Object.entries(OUTAGES))(
    "a Redis that %s, available: nothing fails, nothing old is read here, and all is told before the cache serves again",
    (name, { begin, end, reads = false }) =>
      World.run(async (world) => {
        const [place, one, other] = await members(world, "available");
        const states: string[] = [];
        one.cache.on("storeState", ({ state }) => states.push(state));
        await begin(place);
        expect(new Set(await Promise.all(Array.from({ length: 20 }, () => served(one))))).toEqual(new Set([0]));
        for (let balance = 1; balance <= 5; balance += 1) {
          await write(one, balance);
          expect(await served(one)).toBe(balance);
        }
        if (!reads && !name.startsWith("has vanished")) await untilDown(one);
        await one.dataSource.query("UPDATE account SET balance = 6");
        expect(await served(one)).toBe(6);

        await end(place);
        // What this process serves from the cache is never older, from the first hit on.
        for (let rounds = 0; rounds < 20; rounds += 1) expect(await served(one)).toBe(6);
        await until(() => one.cache.stats().pending === 0);
        expect(await served(other)).toBe(6);
        await caching(one);
        await caching(other);
        expect([await served(one), await served(other)]).toEqual([6, 6]);
        // Each change is told once.
        expect(states.every((state, at) => state === (at % 2 === 0 ? "down" : "up"))).toBe(true);
        expect(one.cache.stats()).toMatchObject({ storeState: "up", outages: states.length / 2 });
      }),
  );

  it.concurrent.each(Object.entries(OUTAGES))(
    "a Redis that %s, strict: a write fails before COMMIT, and reads go on",
    (name, { begin, end }) =>
      World.run(async (world) => {
        const [place, one, other] = await members(world, "strict");
        await begin(place);
        // A new connection is good again there.
        for (let left = name.startsWith("has vanished") ? 1 : 5; left > 0; left -= 1) {
          await expect(write(one, 1)).rejects.toBeInstanceOf(LockError);
          await expect(one.dataSource.query("UPDATE account SET balance = 1")).rejects.toBeInstanceOf(LockError);
          expect([await stored(one), await served(one)]).toEqual([0, 0]);
        }
        await end(place);
        await until(() =>
          write(one, 2).then(
            () => true,
            () => false,
          ),
        );
        expect([await served(one), await served(other)]).toEqual([2, 2]);
        await caching(one);
        await caching(other);
      }),
  );
});

describe("a circuit", () => {
  it.concurrent("is not opened by a Redis that is full: hits are served, however many fills fail", () =>
    World.run(async (world) => {
      const server = await world.redis();
      const admin = world.client({ port: server.port });
      const store = new RedisStore(world.client({ port: server.port }), { breaker: { openAfter: 3 } });
      const one = await world.member({ port: server.port }, { store });
      await caching(one);
      await admin.config("SET", "maxmemory", "1");
      const { hits } = one.cache.stats();
      for (let times = 0; times < 10; times += 1) {
        await expect(store.prepare(["g|new"], 1000)).rejects.toThrow("OOM");
      }
      for (let id = 1000; id < 1010; id += 1) await one.cache.repository(Account).findOneBy({ id });
      expect(await served(one)).toBe(0);
      expect(one.cache.stats()).toMatchObject({ storeState: "up", outages: 0, hits: hits + 1 });
      expect(one.cache.stats().storeErrors).toBeGreaterThanOrEqual(10);
    }),
  );

  it.concurrent("that is open fails calls at once, sends nothing and waits for nothing", () =>
    World.run(async (world) => {
      const { one, store } = await opened(world);
      const inThisTurn = Promise.race([
        store.read([{ key: "k", group: "g", query: "q", tags: ["g|"] }]).catch(() => "refused"),
        setImmediate("turned"),
      ]);
      expect(await inThisTurn).toBe("refused");
      expect(one.cache.stats().storeState).toBe("down");
    }),
  );

  it.concurrent("that opens and closes is one line each in the debug log", () =>
    World.run(async (world) => {
      const server = await world.redis();
      const lines: string[] = [];
      const one = await world.member({ port: server.port }, { debug: (line) => lines.push(line) });
      await server.kill("SIGKILL");
      for (let times = 0; times < 20; times += 1) await served(one);
      await server.restart();
      await caching(one);
      const told = lines.filter((line) => /^store: (up|down)/.test(line));
      expect(told).toEqual(["store: up", expect.stringMatching(/^store: down/), "store: up"]);
    }),
  );

  it.concurrent("stays open for a process that starts without Redis, until it comes", () =>
    World.run(async (world) => {
      const server = await world.redis();
      await server.kill("SIGKILL");
      const one = await world.member({ port: server.port });
      expect(one.cache.stats()).toMatchObject({ storeState: "down", outages: 1 });
      await write(one, 1);
      expect(await served(one)).toBe(1);
      await server.restart();
      await caching(one);
      expect(await served(one)).toBe(1);
    }),
  );

  it.concurrent("that is open does not let a trusted copy lie about what this process has written", () =>
    World.run(async (world) => {
      const server = await world.redis();
      const way = await world.proxy(server.port);
      const one = await world.member({ port: way.port }, { defaults: { near: { mode: "trust" } } });
      await until(async () => {
        await served(one);
        return one.cache.stats().nearHits.trust > 0;
      });
      way.freeze();
      for (let balance = 1; balance <= 10; balance += 1) {
        await write(one, balance);
        expect(await served(one)).toBe(balance);
      }
      way.thaw();
      await caching(one);
      expect(await served(one)).toBe(10);
    }),
  );
});

/** A member whose circuit is open, and its store. */
async function opened(world: World) {
  const server = await world.redis();
  const client = world.client({ port: server.port });
  const store = new RedisStore(client, { breaker: { openAfter: 3 } });
  const one = await world.member({ port: server.port }, { store });
  await server.kill("SIGSTOP");
  world.keep(() => server.kill("SIGCONT"));
  await untilDown(one);
  return { one, store };
}
