import { describe, expect, it } from "@jest/globals";
import { miss, entryBy, EPOCH, SKU, ROW, LOCK_TTL, TAG_TTL, type World } from "./world";

/** Any key may vanish at any time: misses, never a stale hit. */
export function describeLostData(world: World): void {
  const { read, startFill, fill, unlock } = world;

  describe("lost data", () => {
    it("is a miss if it was the entry", async () => {
      await fill("gone");
      await world.lose.entry("shop.product", "k");
      expect(await read(world.store)).toEqual(miss("absent"));
    });

    it("is a miss if it was a tag, also after the tag is back", async () => {
      await fill("old");
      await world.lose.tag(SKU);
      expect(await read(world.store)).toEqual(miss("stale", []));
      await world.store.prepare([SKU], TAG_TTL);
      expect(await read(world.store)).toEqual(miss("stale", []));
    });

    it("does not end a lock if it was the locked tag: the guard decides", async () => {
      await world.store.lock([SKU], "w", [], TAG_TTL);
      await world.lose.tag(SKU);
      const reader = await startFill(world.other);
      expect(reader.tokens[1]).toBe("");
      const [epoch] = reader.tokens;
      expect(await unlock(world.store, "w", [SKU], [entryBy("w", epoch!)])).toEqual({ held: true, written: 0 });
    });

    it.each(["guard", "everything"] as const)(
      "starts a quarantine if it was the %s, so that no lock is overlooked",
      async (what) => {
        await world.store.prepare([EPOCH, SKU, "shop.order|"], TAG_TTL);
        await world.store.lock([SKU], "w", [], TAG_TTL);
        await (what === "guard" ? world.lose.guard("shop.product") : world.lose.everything());

        expect(await world.other.prepare([EPOCH, SKU, ROW], TAG_TTL)).toEqual(["", "", ""]);
        if (what === "guard") expect(await world.other.prepare(["shop.order|"], TAG_TTL)).not.toEqual([""]);
        await world.setup.age(LOCK_TTL - 1000);
        expect(await world.other.prepare([SKU], TAG_TTL)).toEqual([""]);
        expect(await world.store.lock([ROW], "w2", [EPOCH], TAG_TTL)).toEqual([""]);

        expect(await unlock(world.store, "w", [SKU], [entryBy("w", "any")])).toEqual({ held: false, written: 0 });
        await world.setup.age(1001);
        expect(await world.other.prepare([SKU], TAG_TTL)).not.toEqual([""]);
      },
    );

    it("refuses write-through if a quarantine began before the lock", async () => {
      const [epoch] = await world.store.prepare([EPOCH], TAG_TTL);
      await world.lose.guard("shop.product");
      expect(await world.store.lock([SKU], "w", [EPOCH], TAG_TTL)).toEqual([""]);
      expect(await unlock(world.store, "w", [SKU], [entryBy("w", epoch!)])).toEqual({ held: true, written: 0 });
      expect(await read(world.other)).toEqual(miss("absent"));
    });

    it("refuses write-through if the guard is lost between lock and unlock and nobody made a new one", async () => {
      const [epoch] = await world.store.prepare([EPOCH], TAG_TTL);
      await world.store.lock([SKU], "w", [EPOCH], TAG_TTL);
      await world.lose.guard("shop.product");
      expect(await unlock(world.store, "w", [SKU], [entryBy("w", epoch!)])).toEqual({ held: false, written: 0 });
      expect(await read(world.other)).toEqual(miss("absent"));
    });
  });
}
