import { describe, expect, it } from "@jest/globals";
import type { World } from "./world";

/** Who may load an entry that several want. */
export function describeFlights(world: World): void {
  const flight = (holder: string, more: object = {}) => ({
    key: "k",
    group: "shop.product",
    holder,
    ttl: 60_000,
    ...more,
  });

  describe("a claim", () => {
    it("is one process's, until it is given up", async () => {
      expect(await world.store.claim!(flight("a"))).toBe(true);
      expect(await world.other.claim!(flight("b"))).toBe(false);
      expect(await world.store.claim!(flight("a2"))).toBe(false);
      await world.store.release!(flight("a"));
      expect(await world.other.claim!(flight("b"))).toBe(true);
    });

    it("is of one entry", async () => {
      expect(await world.store.claim!(flight("a"))).toBe(true);
      expect(await world.store.claim!(flight("b", { key: "other" }))).toBe(true);
      expect(await world.store.claim!(flight("c", { group: "shop.order" }))).toBe(true);
    });

    it("ends by itself if its process died, and is then nobody's to give up", async () => {
      expect(await world.store.claim!(flight("a", { ttl: 30 }))).toBe(true);
      await world.setup.outlive(30);
      expect(await world.other.claim!(flight("b"))).toBe(true);
      await world.store.release!(flight("a"));
      expect(await world.store.claim!(flight("c"))).toBe(false);
    });

    it("leaves the entry alone", async () => {
      await world.fill("p");
      await world.store.claim!(flight("a"));
      expect(await world.read(world.store)).toMatchObject({ outcome: "hit", payload: "p" });
      await world.store.release!(flight("a"));
      expect(await world.read(world.store)).toMatchObject({ outcome: "hit", payload: "p" });
    });
  });
}
