import { beforeEach, describe, expect, it } from "@jest/globals";
import { encodeEntry } from "../../../src/core/entry";
import type { NearSettings } from "../../../src/near-cache/near-entries";
import { NearStore } from "../../../src/near-cache/near-store";
import { MemoryStore } from "../../../src/store/memory-store";
import type { ReadRequest, StoreListener } from "../../../src/store/store";

const BOUND = 1000;
const TAGS = ["g|", "g|id=1"];
const request = (more: Partial<ReadRequest> = {}): ReadRequest => ({
  key: "k",
  group: "g",
  query: "q",
  tags: TAGS,
  ...more,
});

describe.each(["verify", "trust"] as const)("copies that are kept to %s", (mode) => {
  let now: number;
  let shared: MemoryStore;
  let near: NearStore;
  let channel: StoreListener;
  let asked: string[];
  let hits: string[];
  /** Comes between a request and its answer. */
  let meanwhile: (() => unknown) | undefined;

  async function open(more: Partial<NearSettings> = {}): Promise<void> {
    now = 0;
    asked = [];
    hits = [];
    meanwhile = undefined;
    shared = new MemoryStore();
    await shared.open({ namespace: "n", lockTtl: 1e9, timeout: 1 });
    const read = shared.read.bind(shared);
    const check = shared.check.bind(shared);
    const inner = Object.assign(Object.create(shared) as MemoryStore, {
      read: async (requests: readonly ReadRequest[]) => {
        asked.push(...requests.map(({ key }) => `read ${key}`));
        const answers = await read(requests);
        await meanwhile?.();
        return answers;
      },
      check: async (...args: Parameters<typeof check>) => {
        asked.push(...args[0].map(() => "check"));
        return check(...args);
      },
      listen: async (listener: StoreListener) => void (channel = listener),
    });
    near = new NearStore(inner, {
      settings: () => new Map([["g", { mode, max: 10, maxBytes: 100_000, ttl: 5000, ...more }]]),
      bound: BOUND,
      clock: { monotonic: () => now },
      onHit: (how) => hits.push(how),
    });
    await near.listen?.(
      { message: () => undefined, up: () => undefined, down: () => undefined, confirmed: () => undefined },
      1,
    );
    channel.up();
    channel.confirmed(0);
  }
  beforeEach(() => open());

  const fill = async (payload: string, more: Partial<ReadRequest> = {}, rowTags: string[] = []) => {
    const { key, group, query, tags } = request(more);
    const tokens = await shared.prepare([...tags, ...rowTags]);
    await shared.fill([{ key, group, ttl: 1e9, value: encodeEntry({ query, rowTags, tokens, payload }) }]);
  };
  const read = async (more: Partial<ReadRequest> = {}) => {
    const [answer] = await near.read([request(more)]);
    return answer!.outcome === "hit" ? answer!.payload : answer!.why;
  };
  /** What a read takes once there is a copy. */
  const cheap = mode === "trust" ? [] : ["check"];

  it("are served instead of the store's", async () => {
    await fill("1");
    expect([await read(), await read(), await read()]).toEqual(["1", "1", "1"]);
    expect(asked).toEqual(["read k", ...cheap, ...cheap]);
    expect(hits).toEqual([mode, mode]);
  });

  it("are not made of misses", async () => {
    expect([await read(), await read()]).toEqual(["absent", "absent"]);
    expect(near.size.copies).toBe(0);
  });

  it("end with whatever this process locks, unlocks or invalidates", async () => {
    for (const tag of TAGS) {
      await fill("old");
      await read();
      await near.lock([tag], "w", [], 1);
      expect(near.size.copies).toBe(0);
      expect(await read()).toBe("stale");
      await near.unlock({ tags: [tag], holder: "w", token: "t", tagTtl: 1, watched: [], entries: [] });
      expect(await read()).toBe("stale");
      await fill("old");
      await read();
      await near.invalidate([tag]);
      expect(await read()).toBe("stale");
    }
  });

  it("end also if the store did not take it", async () => {
    await fill("old");
    await read();
    shared.invalidate = () => Promise.reject(new Error("away"));
    await expect(near.invalidate(["g|id=1"])).rejects.toThrow("away");
    expect(near.size.copies).toBe(0);
  });

  it("end with what others are told to have written, and with no more", async () => {
    await fill("1");
    await fill("2", { key: "l", tags: ["g|", "g|id=2"] });
    await read();
    await read({ key: "l", tags: ["g|", "g|id=2"] });
    await shared.invalidate(["g|id=1"]);
    near.drop(["g|id=1", "other|"]);
    asked.length = 0;
    expect(await read()).toBe("stale");
    expect(await read({ key: "l", tags: ["g|", "g|id=2"] })).toBe("2");
    expect(asked).toEqual(["read k", ...cheap]);
  });

  it("depend on the rows that they hold, and on tags of other tables", async () => {
    const tags = ["g|", "h|"];
    for (const tag of ["g|id=7", "h|"]) {
      await fill("1", { tags }, ["g|id=7"]);
      await read({ tags });
      await shared.invalidate([tag]);
      near.drop([tag]);
      expect(await read({ tags })).toBe("stale");
    }
  });

  it("are not made of an answer that was overtaken by a write", async () => {
    await fill("old");
    meanwhile = async () => {
      await shared.invalidate(["g|id=1"]);
      near.drop(["g|id=1"]);
    };
    expect(await read()).toBe("old"); // It began before.
    meanwhile = undefined;
    expect(await read()).toBe("stale");
  });

  it("are not made of an answer before which the channel was lost", async () => {
    await fill("old");
    meanwhile = async () => {
      channel.down();
      await shared.invalidate(["g|id=1"]); // Nobody tells.
      channel.up();
      channel.confirmed(now);
    };
    await read();
    meanwhile = undefined;
    expect(await read()).toBe("stale");
  });

  it("belong to one query, whatever the key builder says", async () => {
    await fill("1");
    await read();
    expect(await read({ query: "other" })).toBe("collision");
    await read();
    expect(await read({ tags: [...TAGS, "h|"] })).not.toBe("1");
  });

  it("live for their TTL", async () => {
    await fill("1");
    await read();
    now = 4999;
    channel.confirmed(now);
    await read();
    expect(asked).toEqual(["read k", ...cheap]);
    now = 5000;
    channel.confirmed(now);
    await read();
    expect(asked).toEqual(["read k", ...cheap, "read k"]);
  });

  it("are no more than allowed, by number and by bytes", async () => {
    for (let id = 0; id < 20; id += 1) {
      await fill("1", { key: `k${id}` });
      await read({ key: `k${id}` });
    }
    expect(near.size.copies).toBe(10);
    await open({ maxBytes: 1000 });
    await fill("x".repeat(600));
    await read();
    expect(near.size.copies).toBe(0);
    await fill("x".repeat(50), { key: "a" });
    await fill("x".repeat(50), { key: "b" });
    for (const key of ["a", "b"]) await read({ key });
    expect(near.size.copies).toBe(2);
  });

  it("are asked for together with others", async () => {
    await fill("1");
    await fill("2", { key: "l" });
    await read();
    await shared.invalidate([]);
    const answers = await near.read([request({ key: "x" }), request(), request({ key: "l" })]);
    expect(answers.map((answer) => (answer.outcome === "hit" ? answer.payload : answer.why))).toEqual([
      "absent",
      "1",
      "2",
    ]);
    expect(asked).toEqual(["read k", ...cheap, "read x", "read l"]);
  });

  it("are none of a table that has no near cache", async () => {
    await fill("1", { group: "h", tags: ["h|"] });
    for (const _ of [1, 2]) await read({ group: "h", tags: ["h|"] });
    expect(near.size.copies).toBe(0);
    expect(asked).toEqual(["read k", "read k"]);
  });

  if (mode === "verify") {
    it("are never older than the store, whatever comes through", async () => {
      await fill("old");
      await read();
      await shared.invalidate(["g|id=1"]); // Nobody tells.
      expect(await read()).toBe("stale");
      await fill("new");
      expect(await read()).toBe("new");
      await shared.lock(["g|id=1"], "w", []);
      expect(await read()).toBe("stale");
    });
    return;
  }

  it("are believed for as long as everything that was sent has come in, and no longer", async () => {
    await fill("old");
    await read();
    await shared.invalidate(["g|id=1"]); // Nobody tells.
    now = BOUND;
    expect(await read()).toBe("old");
    now = BOUND + 1;
    expect(await read()).toBe("stale");
  });

  it("are verified where they cannot be believed", async () => {
    await fill("1");
    await read();
    now = BOUND + 1;
    expect(await read()).toBe("1");
    expect(asked).toEqual(["read k", "check"]);
    channel.confirmed(now);
    expect(await read()).toBe("1");
    expect(asked).toHaveLength(2);
  });

  it("end when the channel is lost, and are not made until it is back", async () => {
    await fill("old");
    await read();
    channel.down();
    expect(near.size.copies).toBe(0);
    await read();
    expect(near.size.copies).toBe(0);
    channel.up();
    channel.confirmed(now);
    await read();
    expect(near.size.copies).toBe(1);
    near.clear(); // A gap.
    expect(near.size.copies).toBe(0);
  });
});
