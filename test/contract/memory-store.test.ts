import { describe, expect, it } from "@jest/globals";
import { encodeEntry } from "../../src/core/entry";
import { EntrySignatures } from "../../src/core/entry-signature";
import { MemoryStore } from "../../src/store/memory-store";
import { SignedStore } from "../../src/store/signed-store";
import type { StoreContext } from "../../src/store/store";
import { describeStore } from "./store-contract";

/** A clock that only the test moves. */
function handClock() {
  let now = 1_000_000;
  return { monotonic: () => now, pass: (milliseconds: number) => void (now += milliseconds) };
}

describeStore("MemoryStore", {
  losesData: false,
  async setUp(context) {
    const clock = handClock();
    const store = new MemoryStore({ clock });
    await store.open({ ...context, namespace: "db" });
    const pass = async (milliseconds: number) => clock.pass(milliseconds);
    return {
      store,
      other: store,
      unopened: new MemoryStore(),
      age: pass,
      outlive: pass,
      tearDown: () => store.close(),
    };
  },
});

describeStore("MemoryStore with signatures", {
  losesData: false,
  async setUp(context) {
    const clock = handClock();
    const signed = () => new SignedStore(new MemoryStore({ clock }), new EntrySignatures(["x".repeat(32)]));
    const store = signed();
    await store.open({ ...context, namespace: "db" }, []);
    const pass = async (milliseconds: number) => clock.pass(milliseconds);
    return { store, other: store, unopened: signed(), age: pass, outlive: pass, tearDown: () => store.close() };
  },
});

describe("MemoryStore", () => {
  const context: StoreContext = { namespace: "db", lockTtl: 1000, timeout: 50 };

  const stored = async (store: MemoryStore, key: string, payload: string) => {
    const tokens = await store.prepare([`g|id=${key}`]);
    const value = encodeEntry({ query: key, rowTags: [], tokens, payload });
    await store.fill([{ key, group: "g", value, ttl: 60_000 }]);
  };
  const outcome = async (store: MemoryStore, key: string) => {
    const [answer] = await store.read([{ key, group: "g", query: key, tags: [`g|id=${key}`] }]);
    return answer!.outcome === "hit" ? "hit" : answer!.why;
  };

  it("keeps at most maxEntries entries, the least recently used one leaves", async () => {
    const store = new MemoryStore({ maxEntries: 2 });
    await store.open(context);
    await stored(store, "1", "");
    await stored(store, "2", "");
    expect(await outcome(store, "1")).toBe("hit");
    await stored(store, "3", "");
    expect(await outcome(store, "1")).toBe("hit");
    expect(await outcome(store, "2")).toBe("absent");
    expect(await outcome(store, "3")).toBe("hit");
  });

  it("keeps at most maxBytes, and nothing that alone is larger", async () => {
    const store = new MemoryStore({ maxBytes: 2000 });
    await store.open(context);
    await stored(store, "1", "x".repeat(600));
    await stored(store, "2", "x".repeat(600));
    expect(await outcome(store, "1")).toBe("absent");
    expect(await outcome(store, "2")).toBe("hit");
    await stored(store, "3", "x".repeat(2000));
    expect(await outcome(store, "3")).toBe("absent");
  });

  it("drops the older entry when the newer one is too large, instead of serving it", async () => {
    const store = new MemoryStore({ maxBytes: 2000 });
    await store.open(context);
    await stored(store, "1", "old");
    await stored(store, "1", "x".repeat(2000));
    expect(await outcome(store, "1")).toBe("absent");
  });

  it("loses tags for space, never locks", async () => {
    const store = new MemoryStore({ maxEntries: 1 });
    await store.open(context);
    await store.lock(["g|id=1"], "w", []);
    await stored(store, "2", "");
    for (let id = 10; id < 100; id++) await store.prepare([`g|id=${id}`]);
    expect(await outcome(store, "2")).toBe("stale");
    expect(await store.prepare(["g|id=1"])).toEqual([""]);
    expect(
      await store.unlock({
        tags: ["g|id=1"],
        holder: "w",
        token: "t",
        tagTtl: 1,
        watched: [],
        entries: [{ key: "1", group: "g", value: "", ttl: 1, lockedTags: ["g|id=1"] }],
      }),
    ).toEqual({ held: true, written: 0 });
  });

  it("does not keep the locks of holders that never came back", async () => {
    const clock = handClock();
    const store = new MemoryStore({ clock });
    await store.open(context);
    for (let id = 0; id < 100; id++) await store.lock([`g|id=${id}`], `w${id}`, []);
    clock.pass(1001);
    for (let id = 100; id < 200; id++) {
      await store.lock([`g|id=${id}`], `w${id}`, []);
      await store.unlock({ tags: [`g|id=${id}`], holder: `w${id}`, token: "t", tagTtl: 1, watched: [], entries: [] });
    }
    expect((store as unknown as { locks: Map<string, unknown> }).locks.size).toBe(0);
  });

  it("serves several caches of one database and refuses another database", async () => {
    const store = new MemoryStore();
    await store.open(context);
    await store.open(context);
    await expect(store.open({ ...context, namespace: "other" })).rejects.toMatchObject({ code: "ALREADY_ATTACHED" });
  });

  it("stays open, with its entries and locks, until the last of its caches has closed it", async () => {
    const store = new MemoryStore();
    await store.open(context);
    await store.open(context);
    await stored(store, "1", "");
    await store.lock(["g|id=2"], "writer", []);
    await store.close();
    expect(await outcome(store, "1")).toBe("hit");
    expect(await store.prepare(["g|id=2"])).toEqual([""]);
    await store.close();
    await expect(store.prepare(["g|id=1"])).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
    await store.open(context);
    expect(await outcome(store, "1")).toBe("absent");
  });

  it.each([{ maxEntries: 0 }, { maxEntries: 1.5 }, { maxBytes: -1 }, { maxBytes: Number.NaN }])(
    "refuses %p",
    (options) => {
      expect(() => new MemoryStore(options)).toThrow(expect.objectContaining({ code: "CONFIG_INVALID" }));
    },
  );
});
