import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { encodeEntry } from "../../src/core/entry";
import { MemoryStore } from "../../src/store/memory-store";
import type { Store, UnlockRequest } from "../../src/store/store";
import { RedisHarness } from "./redis-harness";

/*
 * The memory store and the scripts say the same thing in two languages. Any sequence of calls gets the same answers from
 * both; tokens are random, so they are compared by where they were seen first.
 */

const LOCK_TTL = 60_000;
const TAGS = ["g|", "g|*", "g|id=1", "g|~", "h|"];
const QUERY_TAGS = ["g|", "g|id=1"];

type Step =
  | { readonly do: "prepare"; readonly tags: readonly string[] }
  | { readonly do: "invalidate"; readonly tags: readonly string[] }
  | { readonly do: "fill"; readonly from: number; readonly rows: boolean }
  | { readonly do: "read"; readonly guess: boolean }
  | {
      readonly do: "lock";
      readonly holder: string;
      readonly tags: readonly string[];
      readonly reads: readonly string[];
    }
  | {
      readonly do: "unlock";
      readonly holder: string;
      readonly tags: readonly string[];
      readonly locked: readonly string[];
    }
  | { readonly do: "write"; readonly holder: string; readonly locked: readonly string[] }
  | { readonly do: "age"; readonly share: number };

const tags = fc.subarray(TAGS);
const locks = fc.constantFrom(["g|id=1"], ["g|id=1", "g|*"], ["g|"], ["g|*", "h|"], ["g|~"]);
const holder = fc.constantFrom("w1", "w2");
const unlocks = fc.oneof(fc.constant(TAGS), locks);
const locked = fc.constantFrom(["g|id=1"], ["g|id=1", "g|*"]);
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant("prepare" as const), tags }),
  fc.record({ do: fc.constant("invalidate" as const), tags }),
  fc.record({ do: fc.constant("fill" as const), from: fc.nat(5), rows: fc.boolean() }),
  { weight: 2, arbitrary: fc.record({ do: fc.constant("write" as const), holder, locked }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("read" as const), guess: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("lock" as const), holder, tags: locks, reads: tags }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("unlock" as const), holder, tags: unlocks, locked }) },
  fc.record({ do: fc.constant("age" as const), share: fc.constantFrom(0.3, 0.6, 1.1) }),
);

/** Carries out the steps and writes down what an observer can tell. */
async function trace(store: Store, age: (milliseconds: number) => Promise<void>, steps: readonly Step[]) {
  const names = new Map<string, string>();
  const name = (token: string) => {
    if (token === "") return "";
    if (!names.has(token)) names.set(token, `token ${names.size}`);
    return names.get(token)!;
  };
  const prepared: string[][] = [];
  const heard: unknown[] = [];
  let unlocks = 0;

  const end = (
    holder: string,
    tags: readonly string[],
    lockedTags: readonly string[],
    epoch: string,
    watched: UnlockRequest["watched"] = [],
  ) => {
    const token = `${holder}-${unlocks++}`;
    const value = encodeEntry({ query: "q", rowTags: [], tokens: [epoch, token], payload: `through ${token}` });
    const entries = [{ key: "k", group: "g", value, ttl: 600_000, lockedTags }];
    return store.unlock({ tags, holder, token, tagTtl: 600_000, watched, entries });
  };

  const take: { [Do in Step["do"]]: (step: Extract<Step, { readonly do: Do }>) => Promise<unknown> } = {
    prepare: async (step) => (await store.prepare(step.tags, 600_000)).map(name),
    invalidate: (step) => store.invalidate(step.tags),
    async fill({ from, rows }) {
      const rowTags = rows ? ["g|*"] : [];
      if (prepared.length <= from) prepared.push(await store.prepare([...QUERY_TAGS, "g|*"], 600_000));
      const tokens = prepared[from % prepared.length]!.slice(0, 2 + rowTags.length);
      const value = encodeEntry({ query: "q", rowTags, tokens, payload: `fill ${heard.length}` });
      await store.fill([{ key: "k", group: "g", value, ttl: 600_000 }]);
    },
    read: async ({ guess }) =>
      store.read([{ key: "k", group: "g", query: "q", tags: QUERY_TAGS, ...(guess ? { rowTags: ["g|*"] } : {}) }]),
    lock: async ({ holder, tags, reads }) => (await store.lock(tags, holder, reads, 600_000)).map(name),
    async unlock({ holder, tags, locked }) {
      const [epoch] = await store.prepare(["g|"], 600_000);
      return end(holder, tags, locked, epoch!);
    },
    async write({ holder, locked }) {
      const [epoch, barrier] = await store.lock(locked, holder, ["g|", "g|~"], 600_000);
      const watched = [{ tag: "g|~", token: barrier! }];
      return [name(epoch!), await end(holder, locked, locked, epoch!, watched)];
    },
    age: ({ share }) => age(share * LOCK_TTL),
  };
  for (const step of steps) heard.push([step.do, await take[step.do](step as never)]);
  heard.push(await take.read({ do: "read", guess: true }));
  return heard;
}

describe("MemoryStore and RedisStore", () => {
  const harness = new RedisHarness();
  let redis: Awaited<ReturnType<typeof harness.setUp>>;
  beforeAll(async () => {
    await harness.start();
    redis = await harness.setUp({ lockTtl: LOCK_TTL, timeout: 5000 });
    await redis.store.prepare(["g|", "h|"], 1000);
  });
  afterAll(async () => {
    await redis.tearDown();
    await harness.stop();
  });

  it("answer alike, whatever comes in which order", async () => {
    let hits = 0;
    let written = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30, size: "max" }), async (steps) => {
        let now = 0;
        const memory = new MemoryStore({ clock: { monotonic: () => now } });
        await memory.open({ namespace: "db", lockTtl: LOCK_TTL, timeout: 50 });
        for (const keys of [await redis.client.keys("*:t:*"), await redis.client.keys("*:e:*")]) {
          if (keys.length > 0) await redis.client.del(keys);
        }
        await redis.age(1000 * LOCK_TTL);
        const ofMemory = await trace(memory, async (milliseconds) => void (now += milliseconds), steps);
        const ofRedis = await trace(redis.store, redis.age, steps);
        expect(ofRedis).toEqual(ofMemory);
        const heard = JSON.stringify(ofRedis);
        if (heard.includes('"payload":"fill')) hits++;
        if (heard.includes('"payload":"through')) written++;
      }),
      { numRuns: 300 },
    );
    // Otherwise both would only agree on nothing.
    expect(hits).toBeGreaterThan(10);
    expect(written).toBeGreaterThan(10);
  });
});
