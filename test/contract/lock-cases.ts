import { describe, expect, it } from "@jest/globals";
import { miss, EPOCH, SKU, ROW, LOCK_TTL, TAG_TTL, type World } from "./world";

/** What a lock hides, and how it ends. */
export function describeLocks(world: World): void {
  const { read, startFill, fill, unlock } = world;

  describe("lock and unlock", () => {
    it("hides what depends on the tag, and shows it again only after a new fill", async () => {
      await fill("old");
      await world.store.lock([SKU], "w", [], TAG_TTL);
      expect(await read(world.other)).toEqual(miss("stale", []));
      expect(await unlock(world.store, "w", [SKU])).toEqual({ held: true, written: 0 });
      expect(await read(world.other)).toEqual(miss("stale", []));
      await fill("new");
      expect(await read(world.other)).toMatchObject({ outcome: "hit", payload: "new" });
    });

    it("makes a fill worthless that began before the lock and comes after the unlock", async () => {
      const reader = await startFill(world.other);
      await world.store.lock([SKU], "w", [], TAG_TTL);
      await unlock(world.store, "w", [SKU]);
      await reader.finish("read before COMMIT");
      expect(await read(world.other)).toEqual(miss("stale", []));
    });

    it("makes a fill worthless that began before the lock and comes during the lock", async () => {
      const reader = await startFill(world.other);
      await world.store.lock([SKU], "w", [], TAG_TTL);
      await reader.finish("read before COMMIT");
      expect(await read(world.other)).toEqual(miss("stale", []));
      await unlock(world.store, "w", [SKU]);
      expect(await read(world.other)).toEqual(miss("stale", []));
    });

    it("lasts until the last of two holders has ended", async () => {
      await world.store.lock([SKU], "w1", [], TAG_TTL);
      await world.other.lock([SKU], "w2", [], TAG_TTL);
      expect(await unlock(world.store, "w1", [SKU])).toEqual({ held: true, written: 0 });
      expect(await world.store.prepare([SKU], TAG_TTL)).toEqual([""]);
      expect(await unlock(world.other, "w2", [SKU])).toEqual({ held: true, written: 0 });
      expect(await world.store.prepare([SKU], TAG_TTL)).not.toEqual([""]);
    });

    it("takes tags of several groups, and names one twice", async () => {
      const tags = [SKU, "shop.order|id=1", SKU, "shop.order|"];
      expect(await world.store.lock(tags, "w", [], TAG_TTL)).toEqual([]);
      expect(await world.other.prepare(tags, TAG_TTL)).toEqual(["", "", "", ""]);
      expect(await unlock(world.store, "w", tags)).toEqual({ held: true, written: 0 });
      expect(await world.other.prepare(tags, TAG_TTL)).not.toContain("");
    });

    it("ends by itself when the holder has died, and what the dead one may have changed is not served", async () => {
      await fill("old");
      await world.store.lock([SKU], "dead", [], TAG_TTL);
      await world.setup.age(LOCK_TTL - 1000);
      expect(await world.other.prepare([SKU], TAG_TTL)).toEqual([""]);
      await world.setup.age(1001);
      expect(await read(world.other)).toMatchObject({ outcome: "miss" });
      expect(await world.other.prepare([SKU], TAG_TTL)).not.toEqual([""]);
      expect(await read(world.other)).toEqual(miss("stale", []));
    });

    it("tells the holder that its lock was lost, and invalidates all the same", async () => {
      await world.store.lock([SKU], "slow", [], TAG_TTL);
      await world.setup.age(LOCK_TTL + 1);
      await fill("filled while the lock was void");
      expect(await read(world.other)).toMatchObject({ outcome: "hit" });
      expect(await unlock(world.store, "slow", [SKU])).toEqual({ held: false, written: 0 });
      expect(await read(world.other)).toEqual(miss("stale", []));
    });

    it("tells the holder that its lock was lost even if nobody has noticed", async () => {
      await world.store.lock([SKU], "slow", [], TAG_TTL);
      await world.setup.age(LOCK_TTL + 1);
      expect(await unlock(world.store, "slow", [SKU])).toEqual({ held: false, written: 0 });
    });

    it("has a deadline per holder: on a busy tag the lock of a crashed writer ends too", async () => {
      await world.store.lock([SKU], "dead", [], TAG_TTL);
      for (const writer of ["w1", "w2", "w3"]) {
        await world.setup.age(LOCK_TTL / 4);
        await world.other.lock([SKU], writer, [], TAG_TTL);
        await unlock(world.other, writer, [SKU]);
        expect(await world.other.prepare([SKU], TAG_TTL)).toEqual([""]);
      }
      await world.other.lock([SKU], "w4", [], TAG_TTL);
      await world.setup.age(LOCK_TTL / 4 + 1);
      await unlock(world.other, "w4", [SKU]);
      expect(await world.other.prepare([SKU], TAG_TTL)).not.toEqual([""]);
    });

    it("is renewed by the same holder", async () => {
      await world.store.lock([SKU], "w", [], TAG_TTL);
      await world.setup.age(LOCK_TTL - 1000);
      await world.store.lock([SKU], "w", [], TAG_TTL);
      await world.setup.age(LOCK_TTL - 1000);
      expect(await world.other.prepare([SKU], TAG_TTL)).toEqual([""]);
      expect(await unlock(world.store, "w", [SKU])).toEqual({ held: true, written: 0 });
      expect(await world.other.prepare([SKU], TAG_TTL)).not.toEqual([""]);
    });

    it("leaves the lock of another alone when one unlocks that holds nothing", async () => {
      await world.store.lock([SKU], "w", [], TAG_TTL);
      expect(await unlock(world.other, "nobody", [SKU])).toEqual({ held: false, written: 0 });
      expect(await world.other.prepare([SKU], TAG_TTL)).toEqual([""]);
      expect(await unlock(world.store, "w", [SKU])).toEqual({ held: true, written: 0 });
      expect(await unlock(world.store, "w", [SKU])).toEqual({ held: false, written: 0 });
    });

    it("stays while somebody invalidates the tag", async () => {
      await world.store.lock([SKU], "w", [], TAG_TTL);
      await world.other.invalidate([SKU]);
      expect(await world.other.prepare([SKU], TAG_TTL)).toEqual([""]);
    });

    it("takes thousands of tags, some of which others hold", async () => {
      const tags = Array.from({ length: 9001 }, (_, id) => `shop.product|id=${id}`);
      const some = [0, 1999, 2000, 4000, 8999, 9000].map((id) => tags[id]!);
      await world.other.lock(some, "another", [], TAG_TTL);
      await world.store.lock(tags, "w", [], TAG_TTL);
      expect(new Set(await world.store.prepare(tags, TAG_TTL))).toEqual(new Set([""]));
      expect(await unlock(world.store, "w", tags)).toEqual({ held: true, written: 0 });
      const tokens = await world.store.prepare(tags, TAG_TTL);
      expect(tags.filter((_, at) => tokens[at] === "")).toEqual(some);
      expect(await unlock(world.other, "another", some)).toEqual({ held: true, written: 0 });
      expect(await world.store.prepare(some, TAG_TTL)).not.toContain("");
    });

    it("has nothing to do without tags", async () => {
      expect(await world.store.lock([], "w", [], TAG_TTL)).toEqual([]);
      expect(await unlock(world.store, "w", [])).toEqual({ held: true, written: 0 });
    });

    it("captures the tokens of tags that it does not lock, mints missing ones, and withholds those that are locked", async () => {
      const [epoch, order] = await world.store.prepare([EPOCH, "shop.order|"], TAG_TTL);
      await world.other.lock([ROW], "another", [], TAG_TTL);
      const cold = "shop.product|id=7";
      const answers = await world.store.lock([SKU], "w", ["shop.order|", ROW, cold, EPOCH], TAG_TTL);
      expect(answers).toEqual([order, "", expect.stringMatching(/./), epoch]);
      expect(await world.other.prepare([cold], TAG_TTL)).toEqual([answers[2]]);
      await world.setup.age(LOCK_TTL + 1);
      const [anew] = await world.store.lock([SKU], "w", [ROW], TAG_TTL);
      expect(await world.other.prepare([ROW], TAG_TTL)).toEqual([anew]);
      expect(anew).not.toBe("");
    });
  });
}
