import { afterEach, describe, expect, it } from "@jest/globals";
import type { Store, StoreListener } from "../../src/store/store";
import { until } from "../support/redis-server";
import { EPOCH, request, ROW, SKU, TAG_TTL, type World } from "./world";

/** What a listener hears, in order. */
export function hearing() {
  const heard: string[] = [];
  const confirmed: number[] = [];
  const listener: StoreListener = {
    message: (text) => void heard.push(text),
    up: () => void heard.push("up"),
    down: () => void heard.push("down"),
    confirmed: (at) => void confirmed.push(at),
  };
  return { heard, confirmed, listener };
}

export const HEARTBEAT = 50;

/** What a store tells those who listen. */
export function describeChannel(world: World): void {
  describe("the channel", () => {
    const told = (group: string, text: string) => new Map([[group, text]]);
    const unlock = (by: Store, tags: string[], messages?: ReadonlyMap<string, string>) =>
      by.unlock({ tags, holder: "w", token: "t", tagTtl: TAG_TTL, watched: [], entries: [], messages });
    /** Everything that was sent before has come in when this comes in. */
    const settled = async (heard: string[]) => {
      const mark = `mark ${heard.length}`;
      await world.store.invalidate([], told("shop.order", mark));
      await until(() => heard.includes(mark));
      return heard.filter((text) => !text.startsWith("mark"));
    };
    afterEach(() => world.store.close());

    it("carries the message of an UNLOCK, and of an invalidation, to this process and to others", async () => {
      const [mine, yours] = [hearing(), hearing()];
      await world.store.listen?.(mine.listener, HEARTBEAT);
      await world.other.listen?.(yours.listener, HEARTBEAT);
      await world.store.lock([SKU], "w", [], TAG_TTL);
      await unlock(world.store, [SKU], told("shop.product", "unlocked"));
      await world.store.invalidate([ROW], told("shop.product", "invalidated"));
      const all = ["up", "unlocked", "invalidated"];
      expect(await settled(mine.heard)).toEqual(all);
      expect(await settled(yours.heard)).toEqual(all);
    });

    it("carries the message of a LOCK, once the tags are locked", async () => {
      const { listener } = hearing();
      const seen: Promise<unknown>[] = [];
      const reads = { ...listener, message: () => void seen.push(world.read(world.store)) };
      await world.store.listen?.(reads, HEARTBEAT);
      await world.fill("value");
      expect(await world.read(world.store)).toMatchObject({ outcome: "hit" });
      await world.other.lock([SKU], "w", [], TAG_TTL, told("shop.product", "locked"));
      await until(() => seen.length > 0);
      expect(await seen.pop()).toMatchObject({ outcome: "miss" });
    });

    it("carries nothing without a message", async () => {
      const { heard, listener } = hearing();
      await world.store.listen?.(listener, HEARTBEAT);
      await world.store.lock([SKU], "w", [], TAG_TTL);
      await unlock(world.store, [SKU]);
      await world.store.invalidate([ROW]);
      expect(await settled(heard)).toEqual(["up"]);
    });

    it("carries one message per group of an UNLOCK", async () => {
      const { heard, listener } = hearing();
      await world.store.listen?.(listener, HEARTBEAT);
      const tags = [SKU, "shop.order|id=1"];
      await world.store.lock(tags, "w", [], TAG_TTL);
      const messages = new Map([
        ["shop.product", "product"],
        ["shop.order", "order"],
      ]);
      await unlock(world.store, tags, messages);
      expect((await settled(heard)).sort()).toEqual(["order", "product", "up"]);
    });

    it("comes with the invalidation: who hears of it is not served what it is about", async () => {
      const { listener } = hearing();
      const seen: Promise<unknown>[] = [];
      const reads = { ...listener, message: () => void seen.push(world.read(world.store)) };
      await world.store.listen?.(reads, HEARTBEAT);
      for (const tag of [EPOCH, SKU]) {
        await world.fill("value");
        expect(await world.read(world.store)).toMatchObject({ outcome: "hit" });
        await world.store.invalidate([tag], told("shop.product", "text"));
        await until(() => seen.length > 0);
        expect(await seen.pop()).toMatchObject({ outcome: "miss" });
      }
      await world.fill("value", [ROW], { ...request(), tags: [EPOCH] });
    });

    it("confirms that everything has come in", async () => {
      const { confirmed, listener } = hearing();
      await world.store.listen?.(listener, HEARTBEAT);
      const now = performance.now();
      await until(() => confirmed.some((at) => at >= now));
    });

    it("cannot be heard before the store is open", async () => {
      await expect(world.setup.unopened.listen?.(hearing().listener, HEARTBEAT)).rejects.toMatchObject({
        code: "STORE_UNAVAILABLE",
      });
    });

    it("is silent after the store was closed", async () => {
      const { heard, listener } = hearing();
      await world.store.listen?.(listener, HEARTBEAT);
      await world.store.close();
      if (world.other !== world.store) await world.other.invalidate([ROW], told("shop.product", "text"));
      expect(heard).toEqual(["up"]);
    });
  });
}
