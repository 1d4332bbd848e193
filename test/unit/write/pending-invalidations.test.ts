import { afterEach, beforeEach, describe, expect, it, jest } from "@jest/globals";
import type { Store } from "../../../src/store/store";
import { CacheReporter } from "../../../src/telemetry/cache-reporter";
import { PendingInvalidations } from "../../../src/write/pending-invalidations";
import { sendInvalidation } from "../../../src/write/send-invalidation";

/** A store of which only `invalidate` counts; the test says how each call ends. */
function scriptedStore() {
  const calls: { readonly tags: readonly string[]; readonly answer: () => void; readonly fail: () => void }[] = [];
  const invalidate = (tags: readonly string[]) =>
    new Promise<void>((resolve, reject) =>
      calls.push({ tags, answer: resolve, fail: () => reject(new Error("away")) }),
    );
  return { calls, store: { invalidate } as unknown as Store };
}

const settle = () => jest.advanceTimersByTimeAsync(0);

describe("invalidations that the store did not take", () => {
  let scripted: ReturnType<typeof scriptedStore>;
  let pending: PendingInvalidations;
  beforeEach(() => {
    jest.useFakeTimers();
    scripted = scriptedStore();
    pending = new PendingInvalidations((tags) => scripted.store.invalidate(tags));
  });
  afterEach(() => {
    pending.stop();
    jest.useRealTimers();
  });

  it("are sent again after a pause, until the store takes them", async () => {
    pending.add(["a|id=1", "a|id=2"]);
    pending.add(["a|id=2"]);
    expect(pending.size).toBe(2);
    expect(scripted.calls).toHaveLength(0);
    await jest.advanceTimersByTimeAsync(50);
    expect(scripted.calls.map(({ tags }) => tags)).toEqual([["a|id=1", "a|id=2"]]);
    scripted.calls[0]!.fail();
    await settle();
    expect(pending.size).toBe(2);
    await jest.advanceTimersByTimeAsync(99);
    expect(scripted.calls).toHaveLength(1);
    await jest.advanceTimersByTimeAsync(1);
    expect(scripted.calls[1]!.tags).toEqual(["a|id=1", "a|id=2"]);
    scripted.calls[1]!.answer();
    await settle();
    expect(pending.size).toBe(0);
    await jest.advanceTimersByTimeAsync(60_000);
    expect(scripted.calls).toHaveLength(2);
  });

  it("tell those who listen when they are made up for", async () => {
    const sent: unknown[] = [];
    const store = { invalidate: async (...args: unknown[]) => void sent.push(args) } as unknown as Store;
    const messages = new Map([["a", "message"]]);
    const reporter = new CacheReporter("test");
    const announce = (tags: Iterable<string>) => ([...tags].join() === "a|id=1" ? messages : undefined);
    const why = { cause: "made up for", path: "made-up-for" } as const;
    const telling = new PendingInvalidations((tags) =>
      sendInvalidation({ store, reporter, announce }, { tags, ...why }),
    );
    telling.add(["a|id=1"]);
    await telling.drain();
    expect(sent).toEqual([[["a|id=1"], messages]]);
    expect(reporter.stats({ pending: 0, near: { copies: 0, bytes: 0 } }).invalidationsBy["made-up-for"]).toBe(1);
  });

  it("count until the store has answered", async () => {
    pending.add(["a|id=1"]);
    void pending.drain();
    expect(scripted.calls).toHaveLength(1);
    expect(pending.size).toBe(1);
    scripted.calls[0]!.answer();
    await settle();
    expect(pending.size).toBe(0);
  });

  it("are sent once more if they are added again while they are under way", async () => {
    // Between the store's work and its answer a reader may have filled, and this process written again.
    pending.add(["a|id=1"]);
    const drained = pending.drain();
    pending.add(["a|id=1"]);
    scripted.calls[0]!.answer();
    await drained;
    expect(pending.size).toBe(1);
    await jest.advanceTimersByTimeAsync(50);
    expect(scripted.calls[1]!.tags).toEqual(["a|id=1"]);
  });

  it("wait longer after each failure, but never longer than two seconds", async () => {
    pending.add(["a|id=1"]);
    const pauses: number[] = [];
    for (let attempt = 0; attempt < 9; attempt += 1) {
      const before = Date.now();
      while (scripted.calls.length === attempt) await jest.advanceTimersByTimeAsync(10);
      pauses.push(Date.now() - before);
      scripted.calls[attempt]!.fail();
      await settle();
    }
    expect(pauses).toEqual([50, 100, 200, 400, 800, 1600, 2000, 2000, 2000]);
  });

  it("are not sent twice at a time", async () => {
    pending.add(["a|id=1"]);
    const first = pending.drain();
    expect(pending.drain()).toBe(first);
    expect(scripted.calls).toHaveLength(1);
    scripted.calls[0]!.answer();
    await first;
  });

  it("are at most ten thousand: then the epochs of their tables take their place", () => {
    pending.add(Array.from({ length: 10_000 }, (_, id) => `a|id=${id}`));
    expect(pending.size).toBe(10_000);
    pending.add(["b|id=1"]);
    expect(pending.size).toBe(2);
    void pending.drain();
    expect(scripted.calls[0]!.tags).toEqual(["a|", "b|"]);
  });

  it("are given up when the cache closes", async () => {
    pending.add(["a|id=1"]);
    pending.stop();
    pending.add(["a|id=2"]);
    await jest.advanceTimersByTimeAsync(60_000);
    expect(scripted.calls).toHaveLength(0);
  });

  it("of nothing are nothing", async () => {
    await pending.drain();
    expect(scripted.calls).toHaveLength(0);
  });
});
