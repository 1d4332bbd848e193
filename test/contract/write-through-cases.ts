import { beforeEach, describe, expect, it } from "@jest/globals";
import { encodeEntry } from "../../src/core/entry";
import { miss, entryBy, EPOCH, SKU, ROW, LOCK_TTL, TAG_TTL, type World } from "./world";

const BARRIER = "shop.product|~";

/** When an entry may be written at unlock, and every reason why not. */
export function describeWriteThrough(world: World): void {
  const { read, fill, unlock } = world;

  describe("write-through", () => {
    let epoch: string;
    beforeEach(async () => {
      const [token] = await world.store.prepare([EPOCH], TAG_TTL);
      epoch = token!;
    });

    const refused = async (answer: Promise<unknown>, held = true) => {
      expect(await answer).toEqual({ held, written: 0 });
      expect(await read(world.other)).toMatchObject({ outcome: "miss" });
      await world.other.prepare([EPOCH, SKU], TAG_TTL);
      expect(await read(world.other)).toMatchObject({ outcome: "miss" });
    };

    it("serves the written entry at once, and invalidates the tags that it is not under", async () => {
      await fill("list", [], { key: "list", query: "all", tags: [EPOCH, "shop.product|*"] });
      const tags = [SKU, "shop.product|*"];
      const captured = await world.store.lock(tags, "w", [EPOCH], TAG_TTL);
      expect(captured).toEqual([epoch]);
      expect(await unlock(world.store, "w", tags, [entryBy("w", captured[0]!)])).toEqual({ held: true, written: 1 });
      expect(await read(world.other)).toEqual({ outcome: "hit", payload: "by w", rowTags: [] });
      expect(await world.other.prepare([SKU], TAG_TTL)).toEqual(["token-w"]);
      expect(await read(world.other, { key: "list", query: "all", tags: [EPOCH, "shop.product|*"] })).toEqual(
        miss("stale", []),
      );
    });

    it("still works under a renewed lock", async () => {
      await world.store.lock([SKU], "w", [EPOCH], TAG_TTL);
      await world.setup.age(LOCK_TTL - 1000);
      await world.store.lock([SKU], "w", [EPOCH], TAG_TTL);
      await world.setup.age(LOCK_TTL - 1000);
      expect(await unlock(world.store, "w", [SKU], [entryBy("w", epoch)])).toEqual({ held: true, written: 1 });
      expect(await read(world.other)).toMatchObject({ outcome: "hit" });
    });

    it("writes under a watched tag that has stayed as it was", async () => {
      const [, barrier] = await world.store.lock([SKU], "w", [EPOCH, BARRIER], TAG_TTL);
      const watched = [{ tag: BARRIER, token: barrier! }];
      expect(await unlock(world.store, "w", [SKU], [entryBy("w", epoch)], watched)).toEqual({ held: true, written: 1 });
      expect(await read(world.other)).toMatchObject({ outcome: "hit" });
    });

    it("does not write if somebody has locked a watched tag meanwhile, or still has", async () => {
      for (const ends of [true, false]) {
        const [, barrier] = await world.store.lock([SKU], "w", [EPOCH, BARRIER], TAG_TTL);
        await world.other.lock([BARRIER], "another", [], TAG_TTL);
        if (ends) await unlock(world.other, "another", [BARRIER]);
        const watched = [{ tag: BARRIER, token: barrier! }];
        await refused(unlock(world.store, "w", [SKU], [entryBy("w", epoch)], watched));
      }
    });

    it("does not write if a watched tag was locked at LOCK, or has got another token since", async () => {
      await world.other.lock([BARRIER], "another", [], TAG_TTL);
      expect(await world.store.lock([SKU], "w", [BARRIER], TAG_TTL)).toEqual([""]);
      await unlock(world.other, "another", [BARRIER]);
      await refused(unlock(world.store, "w", [SKU], [entryBy("w", epoch)], [{ tag: BARRIER, token: "" }]));
      const [barrier] = await world.store.lock([SKU], "w", [BARRIER], TAG_TTL);
      await world.other.invalidate([BARRIER]);
      await world.other.prepare([BARRIER], TAG_TTL);
      const watched = [{ tag: BARRIER, token: barrier! }];
      await refused(unlock(world.store, "w", [SKU], [entryBy("w", epoch)], watched));
    });

    it("works again once the lock of a writer that died is void", async () => {
      await world.other.lock([SKU], "dead", [], TAG_TTL);
      await world.setup.age(LOCK_TTL + 1);
      await world.store.lock([SKU], "w", [], TAG_TTL);
      expect(await unlock(world.store, "w", [SKU], [entryBy("w", epoch)])).toEqual({ held: true, written: 1 });
    });

    it("writes what it may and leaves out the rest", async () => {
      await world.store.lock([SKU, ROW], "w", [], TAG_TTL);
      await world.other.lock([ROW], "another", [], TAG_TTL);
      const tokens = [epoch, "token-w", "token-w"];
      const value = encodeEntry({ query: "sku=A", rowTags: [ROW], tokens, payload: "by w" });
      const byRow = { ...entryBy("w", epoch, [SKU, ROW]), key: "row", value };
      expect(await unlock(world.store, "w", [SKU, ROW], [byRow, entryBy("w", epoch)])).toEqual({
        held: true,
        written: 1,
      });
      expect(await read(world.other)).toMatchObject({ outcome: "hit" });
      expect(await read(world.other, { key: "row" })).toMatchObject({ outcome: "miss" });
    });

    it("is refused after the lock has expired", async () => {
      await world.store.lock([SKU], "w", [], TAG_TTL);
      await world.setup.age(LOCK_TTL + 1);
      await refused(unlock(world.store, "w", [SKU], [entryBy("w", epoch)]), false);
    });

    it("is refused after the lock has expired and the tag was filled under", async () => {
      await world.store.lock([SKU], "w", [], TAG_TTL);
      await world.setup.age(LOCK_TTL + 1);
      await world.other.prepare([SKU], TAG_TTL);
      await refused(unlock(world.store, "w", [SKU], [entryBy("w", epoch)]), false);
    });

    it("is refused while another holds the tag, and to that one too, since the first came after it", async () => {
      await world.store.lock([SKU], "w1", [], TAG_TTL);
      await world.other.lock([SKU], "w2", [], TAG_TTL);
      await world.store.lock([SKU], "w1", [], TAG_TTL);
      await refused(unlock(world.other, "w2", [SKU], [entryBy("w2", epoch)]));
      await refused(unlock(world.store, "w1", [SKU], [entryBy("w1", epoch)]));
    });

    it("is refused if another came and went, which may have committed later", async () => {
      await world.store.lock([SKU], "w1", [], TAG_TTL);
      await world.other.lock([SKU], "w2", [], TAG_TTL);
      await unlock(world.other, "w2", [SKU], [entryBy("w2", epoch)]);
      await refused(unlock(world.store, "w1", [SKU], [entryBy("w1", epoch)]));
    });

    it("is refused if another was there first and is gone, which may have waited for the row", async () => {
      await world.other.lock([SKU], "w2", [], TAG_TTL);
      await world.store.lock([SKU], "w1", [], TAG_TTL);
      await unlock(world.other, "w2", [SKU]);
      await refused(unlock(world.store, "w1", [SKU], [entryBy("w1", epoch)]));
    });

    it("is refused if another was there first and died, also after the lock was renewed", async () => {
      await world.other.lock([SKU], "dead", [], TAG_TTL);
      await world.setup.age(0.6 * LOCK_TTL);
      await world.store.lock([SKU], "w", [], TAG_TTL);
      await world.setup.age(0.6 * LOCK_TTL);
      await world.store.lock([SKU], "w", [], TAG_TTL);
      await refused(unlock(world.store, "w", [SKU], [entryBy("w", epoch)]));
    });

    it("is refused if one unlocked meanwhile whose own lock had been lost before", async () => {
      await world.other.lock([SKU], "slow", [], TAG_TTL);
      await world.setup.age(LOCK_TTL + 1);
      await world.store.lock([SKU], "w", [], TAG_TTL);
      await unlock(world.other, "slow", [SKU]);
      await refused(unlock(world.store, "w", [SKU], [entryBy("w", epoch)]));
    });

    it("is refused if another came and went before the lock was renewed", async () => {
      await world.store.lock([SKU], "w1", [], TAG_TTL);
      await world.other.lock([SKU], "w2", [], TAG_TTL);
      await unlock(world.other, "w2", [SKU]);
      await world.store.lock([SKU], "w1", [], TAG_TTL);
      await refused(unlock(world.store, "w1", [SKU], [entryBy("w1", epoch)]));
    });

    it("is refused if another died that may have committed later", async () => {
      await world.store.lock([SKU], "dead", [], TAG_TTL);
      await world.setup.age(LOCK_TTL - 1000);
      await world.store.lock([SKU], "w", [], TAG_TTL);
      await world.setup.age(2000);
      await refused(unlock(world.store, "w", [SKU], [entryBy("w", epoch)]));
    });

    it("is refused if the tag was invalidated meanwhile, even if the lock was renewed then", async () => {
      await world.store.lock([SKU], "w", [], TAG_TTL);
      await world.other.invalidate([SKU]);
      await refused(unlock(world.store, "w", [SKU], [entryBy("w", epoch)]));

      await world.store.lock([SKU], "x", [], TAG_TTL);
      await world.other.invalidate([SKU]);
      await world.store.lock([SKU], "x", [], TAG_TTL);
      await refused(unlock(world.store, "x", [SKU], [entryBy("x", epoch)]));
    });

    it("is refused for an entry under no tag of this lock", async () => {
      await world.store.lock([SKU], "w", [], TAG_TTL);
      const entries = [entryBy("w", epoch, []), entryBy("w", epoch, [ROW]), entryBy("w", epoch, [SKU, ROW])];
      await refused(unlock(world.store, "w", [SKU], entries));
    });

    it("does not hide a bulk write between the COMMIT and the unlock of the writer", async () => {
      const [captured] = await world.store.lock([SKU], "w", [EPOCH], TAG_TTL);
      await world.other.lock([EPOCH], "bulk", [], TAG_TTL);
      await unlock(world.other, "bulk", [EPOCH]);
      await world.other.prepare([EPOCH], TAG_TTL);
      await unlock(world.store, "w", [SKU], [entryBy("w", captured!)]);
      expect(await read(world.other)).toEqual(miss("stale", []));
    });

    it("does not show an older value after two writers of one row", async () => {
      await world.store.lock([SKU], "w1", [], TAG_TTL);
      await world.other.lock([SKU], "w2", [], TAG_TTL);
      await unlock(world.other, "w2", [SKU], [entryBy("w2", epoch)]);
      await unlock(world.store, "w1", [SKU], [entryBy("w1", epoch)]);
      await world.other.prepare([SKU], TAG_TTL);
      expect(await read(world.other)).toMatchObject({ outcome: "miss" });
    });
  });
}
