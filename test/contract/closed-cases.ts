import { describe, expect, it } from "@jest/globals";
import { StoreError } from "../../src/errors";
import type { Store } from "../../src/store/store";
import { request, SKU, TAG_TTL, type World } from "./world";

/** What a store says before it is opened and after it was closed. */
export function describeClosed(world: World): void {
  const { unlock } = world;

  describe("a store that is not open", () => {
    const calls: [string, (store: Store) => Promise<unknown>][] = [
      ["read", async (to) => to.read([request()])],
      ["prepare", (to) => to.prepare([SKU], TAG_TTL)],
      ["fill", (to) => to.fill([{ key: "k", group: "g", value: "", ttl: 1 }])],
      ["lock", (to) => to.lock([SKU], "w", [], TAG_TTL)],
      ["unlock", (to) => unlock(to, "w", [SKU])],
      ["invalidate", (to) => to.invalidate([SKU])],
    ];
    it.each(calls)("rejects %s before it was opened and after it was closed", async (_name, call) => {
      await expect(call(world.setup.unopened)).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
      await expect(call(world.setup.unopened)).rejects.toBeInstanceOf(StoreError);
      await world.store.close();
      await expect(call(world.store)).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
    });

    it("can be closed twice", async () => {
      await world.store.close();
      await expect(world.store.close()).resolves.toBeUndefined();
    });
  });
}
