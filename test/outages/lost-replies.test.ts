import { describe, expect, it } from "@jest/globals";
import { LockError } from "typeorm-coherent";
import { scripts } from "../../src/store/redis/run-script";
import { until } from "../support/redis-server";
import { Account, caching, served, stored, World, write } from "./world";

/** Redis carries the command out, and whoever sent it never hears of it. */
describe("a reply that is lost", () => {
  const { lock, unlock } = scripts();
  const WAYS = [
    ["strict", "silence"],
    ["strict", "cut"],
    ["available", "silence"],
    ["available", "cut"],
  ] as const;

  async function members(world: World, consistency: "strict" | "available") {
    const server = await world.redis();
    const way = await world.proxy(server.port);
    const one = await world.member({ port: way.port }, { consistency });
    const other = await world.member({ port: server.port }, { consistency });
    // The scripts are known to the server from here on: none has to be sent twice.
    await write(one, 1);
    await caching(one);
    await caching(other);
    return { way, one, other };
  }

  it.concurrent.each(WAYS)("after LOCK, %s, by %s", (mode, how) =>
    World.run(async (world) => {
      const { way, one, other } = await members(world, mode);
      way.loseAnswerTo(lock.sha1, how);
      const outcome = await write(one, 2).catch((error: unknown) => error);
      if (mode === "strict") {
        expect(outcome).toBeInstanceOf(LockError);
        expect(await stored(one)).toBe(1);
      } else expect(outcome).toBeUndefined();
      const now = mode === "strict" ? 1 : 2;
      expect(await served(one)).toBe(now);
      await until(() => one.cache.stats().pending === 0);
      expect([await served(one), await served(other)]).toEqual([now, now]);
      // Nothing stays locked by a writer who never knew that he had it.
      await caching(one);
      await caching(other);
      expect([await served(one), await served(other)]).toEqual([now, now]);
    }),
  );

  it.concurrent.each(WAYS)("after UNLOCK, %s, by %s", (mode, how) =>
    World.run(async (world) => {
      const { way, one, other } = await members(world, mode);
      way.loseAnswerTo(unlock.sha1, how);
      // The row is committed: an error now would make the caller write it twice.
      await write(one, 2);
      expect(one.cache.stats().pending).toBeGreaterThan(0);
      expect([await served(one), await served(other)]).toEqual([2, 2]);
      await until(() => one.cache.stats().pending === 0);
      await caching(one);
      await caching(other);
      expect([await served(one), await served(other)]).toEqual([2, 2]);
    }),
  );

  it.concurrent.each(WAYS)("after a fill, %s, by %s", (mode, how) =>
    World.run(async (world) => {
      const { way, one, other } = await members(world, mode);
      await one.cache.invalidate(Account);
      way.loseAnswerTo("$3\r\nset\r\n", how);
      const { storeErrors } = one.cache.stats();
      expect(await served(one)).toBe(1);
      expect(one.cache.stats().storeErrors).toBe(storeErrors + 1);
      // The entry is there, for whoever can ask for it, and goes with the next write.
      const { hits } = other.cache.stats();
      expect(await served(other)).toBe(1);
      expect(other.cache.stats().hits).toBe(hits + 1);
      await write(other, 2);
      expect([await served(one), await served(other)]).toEqual([2, 2]);
      await caching(one);
      expect(await served(one)).toBe(2);
    }),
  );
});
