import { afterEach, beforeEach, describe, expect, it, jest } from "@jest/globals";
import { LockError, StoreError } from "../../../src/errors";
import type { Consistency } from "../../../src/options";
import type { Store, UnlockRequest } from "../../../src/store/store";
import { CacheReporter } from "../../../src/telemetry/cache-reporter";
import { CommitProtocol, type Announce, type HeldLock } from "../../../src/write/commit-protocol";
import { PendingInvalidations } from "../../../src/write/pending-invalidations";

const LOCK_TTL = 900;
const PLAN = { tags: ["t|*", "t|id=1"], readTags: ["t|"], cause: "update t", path: "transaction" } as const;
const away = () => Promise.reject(new StoreError("STORE_TIMEOUT", "too late"));

/** A protocol over a store of which each call can be replaced, and a clock that only the test moves. */
function setUp(consistency: Consistency = "strict", replaced: Partial<Store> = {}, isHeard = false) {
  const announced: string[] = [];
  const calls: string[] = [];
  const unlocked: UnlockRequest[] = [];
  const warnings: string[] = [];
  const events: string[] = [];
  let now = 0;
  let tokens = 0;
  const logged =
    <Args extends unknown[], Result>(name: string, work: (...args: Args) => Result) =>
    (...args: Args) => {
      calls.push(name);
      return work(...args);
    };
  const store = {
    lock: logged(
      "lock",
      replaced.lock ?? ((_tags, _holder, readTags) => Promise.resolve(readTags.map((tag) => `of ${tag}`))),
    ),
    unlock: logged("unlock", (request: UnlockRequest) => {
      unlocked.push(request);
      return (replaced.unlock ?? (() => Promise.resolve({ held: true, written: 0 })))(request);
    }),
    invalidate: logged("invalidate", replaced.invalidate ?? (() => Promise.resolve())),
  } as unknown as Store;
  const announce: Announce = (tags, told = []) => {
    announced.push(`${[...tags].join()} ${told.map(({ operation }) => operation).join()}`);
    return new Map([["t", `message ${announced.length}`]]);
  };
  const reporter = new CacheReporter("test");
  for (const name of ["lock", "invalidate", "storeError"] as const) reporter.on(name, () => events.push(name));
  const pending = new PendingInvalidations((tags) => store.invalidate(tags));
  const protocol = new CommitProtocol({
    store,
    pending,
    consistency,
    lockTtl: LOCK_TTL,
    tagTtl: () => 60_000,
    tokens: () => `token${++tokens}`,
    clock: { monotonic: () => now },
    reporter,
    logger: { warn: (message) => void warnings.push(message) },
    announce: isHeard ? announce : undefined,
  });
  return {
    protocol,
    pending,
    calls,
    unlocked,
    announced,
    warnings,
    events,
    pass: (milliseconds: number) => void (now += milliseconds),
  };
}

const held = (more: Partial<HeldLock> = {}): HeldLock => ({
  holder: "me",
  tags: new Set(PLAN.tags),
  tokens: new Map(),
  locked: true,
  since: 0,
  first: 0,
  ...more,
});

describe("LOCK", () => {
  it("holds the tags and captures the tokens of the others", async () => {
    const { protocol, events } = setUp();
    const lock = await protocol.lock(PLAN);
    expect(lock).toMatchObject({ holder: "token1", locked: true, since: 0 });
    expect([...lock.tags]).toEqual(PLAN.tags);
    expect([...lock.tokens]).toEqual([["t|", "of t|"]]);
    expect(events).toEqual(["lock"]);
  });

  it("leaves out tokens that are not there", async () => {
    const { protocol } = setUp("strict", { lock: () => Promise.resolve([""]) });
    expect((await protocol.lock(PLAN)).tokens.size).toBe(0);
  });

  it("goes on with the same holder, and keeps what it holds already", async () => {
    const seen: unknown[] = [];
    const { protocol } = setUp("strict", {
      lock: (tags, holder) => {
        seen.push([tags, holder]);
        return Promise.resolve([]);
      },
    });
    const lock = await protocol.lock({ tags: ["u|"], readTags: [], cause: "", path: "transaction" }, held());
    expect(seen).toEqual([[["t|*", "t|id=1", "u|"], "me"]]);
    expect([...lock.tags]).toEqual(["t|*", "t|id=1", "u|"]);
  });

  it("is as old as its request, not as its answer", async () => {
    const set = setUp("strict", {
      lock: () => {
        set.pass(LOCK_TTL / 2 - 1);
        return Promise.resolve([""]);
      },
    });
    const lock = await set.protocol.lock(PLAN);
    expect(lock.since).toBe(0);
    expect(set.protocol.isFresh(lock)).toBe(true);
    set.pass(1);
    expect(set.protocol.isFresh(lock)).toBe(false);
  });

  it("that was answered too late for a safe COMMIT is taken again", async () => {
    let times = 0;
    const set = setUp("strict", {
      lock: () => {
        times += 1;
        if (times < 3) set.pass(LOCK_TTL / 2);
        return Promise.resolve([""]);
      },
    });
    const lock = await set.protocol.lock(PLAN);
    expect(times).toBe(3);
    expect(lock.since).toBe(LOCK_TTL);
  });

  it.each<[Consistency, unknown]>([
    ["strict", expect.objectContaining({ code: "LOCK_TOO_SLOW" })],
    ["available", undefined],
  ])("that is always too late: %s", async (consistency, error) => {
    const set = setUp(consistency, {
      lock: () => {
        set.pass(LOCK_TTL / 2);
        return Promise.resolve([""]);
      },
    });
    const outcome = await set.protocol.lock(PLAN).catch((caught: unknown) => caught);
    if (error === undefined) expect(outcome).toMatchObject({ locked: false });
    else expect(outcome).toEqual(error);
    expect(set.calls).toEqual(["lock", "lock", "lock", "unlock"]);
  });

  it("without an answer ends a strict write, names the option and its cause, and takes back what may have arrived", async () => {
    const { protocol, calls, unlocked, events } = setUp("strict", { lock: away });
    const error: unknown = await protocol.lock(PLAN).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(LockError);
    expect(error).toMatchObject({ code: "LOCK_FAILED", cause: expect.any(StoreError) as unknown });
    expect((error as Error).message).toContain("available");
    expect(calls).toEqual(["lock", "unlock"]);
    expect(unlocked[0]).toMatchObject({ tags: PLAN.tags, holder: "token1", entries: [] });
    expect(events).toEqual(["storeError"]);
  });

  it("without an answer lets an available write go on, without a lock", async () => {
    const { protocol } = setUp("available", { lock: away, unlock: away });
    const lock = await protocol.lock(PLAN);
    expect(lock).toMatchObject({ locked: false });
    expect([...lock.tags]).toEqual(PLAN.tags);
    expect(protocol.isFresh(lock)).toBe(true);
  });

  it("is not even sent by a relaxed one", async () => {
    const { protocol, calls } = setUp("relaxed");
    expect(await protocol.lock(PLAN)).toMatchObject({ locked: false });
    expect(calls).toEqual([]);
  });
});

describe("a COMMIT that takes long", () => {
  beforeEach(() => void jest.useFakeTimers());
  afterEach(() => void jest.useRealTimers());

  it("has its lock renewed, three times within its TTL, until it is over", () => {
    const { protocol, calls } = setUp();
    const stop = protocol.keepAlive(held());
    jest.advanceTimersByTime(LOCK_TTL);
    expect(calls).toEqual(["lock", "lock", "lock"]);
    stop();
    jest.advanceTimersByTime(10 * LOCK_TTL);
    expect(calls).toHaveLength(3);
  });

  it("survives renewals that fail", async () => {
    const { protocol, calls } = setUp("strict", { lock: away });
    const stop = protocol.keepAlive(held());
    await jest.advanceTimersByTimeAsync(LOCK_TTL);
    stop();
    expect(calls).toHaveLength(3);
  });

  it("has nothing renewed without a lock", () => {
    const { protocol, calls } = setUp();
    protocol.keepAlive(held({ locked: false }))();
    const stop = protocol.keepAlive(held({ locked: false }));
    jest.advanceTimersByTime(10 * LOCK_TTL);
    stop();
    expect(calls).toEqual([]);
  });
});

describe("UNLOCK", () => {
  const entry = { key: "k", group: "t", value: "v", ttl: 1, lockedTags: ["t|id=1"] };

  it("after COMMIT carries the entries, made with the token that it brings", async () => {
    const { protocol, unlocked, events } = setUp();
    await protocol.release(held(), "committed", {
      path: "transaction",
      cause: "why",
      entries: (token) => [{ ...entry, value: token }],
    });
    expect(unlocked).toEqual([
      {
        tags: PLAN.tags,
        holder: "me",
        token: "token1",
        tagTtl: 60_000,
        watched: [],
        entries: [{ ...entry, value: "token1" }],
      },
    ]);
    expect(events).toEqual(["invalidate"]);
  });

  it.each(["rolled-back", "failed"] as const)("carries none after %s", async (outcome) => {
    const { protocol, unlocked } = setUp();
    await protocol.release(held(), outcome, { path: "transaction", cause: "why", entries: () => [entry] });
    expect(unlocked[0]!.entries).toEqual([]);
  });

  it("is not sent if nobody knows whether the COMMIT is still under way: the lock ends at its TTL", async () => {
    const { protocol, calls, events } = setUp();
    await protocol.release(held(), "unknown", { path: "transaction", cause: "why", entries: () => [entry] });
    expect(calls).toEqual([]);
    expect(events).toEqual(["invalidate"]);
  });

  it("warns if the lock had been lost", async () => {
    const { protocol, warnings } = setUp("strict", { unlock: () => Promise.resolve({ held: false, written: 0 }) });
    await protocol.release(held(), "committed", { path: "transaction", cause: "update t" });
    expect(warnings).toEqual([expect.stringMatching(/update t.*lockTtl/)]);
  });

  it("that gets no answer is made up for", async () => {
    const { protocol, pending, events } = setUp("strict", { unlock: away });
    await protocol.release(held(), "committed", { path: "transaction", cause: "why" });
    expect(pending.size).toBe(2);
    expect(events).toEqual(["storeError"]);
    pending.stop();
  });

  it("without a lock is an invalidation, and nothing after a rollback", async () => {
    const { protocol, calls } = setUp();
    await protocol.release(held({ locked: false }), "rolled-back", { path: "transaction", cause: "why" });
    expect(calls).toEqual([]);
    for (const outcome of ["committed", "failed", "unknown"] as const) {
      await protocol.release(held({ locked: false }), outcome, { path: "transaction", cause: "why" });
    }
    expect(calls).toEqual(["invalidate", "invalidate", "invalidate"]);
  });

  it("never rejects, whatever goes wrong", async () => {
    const throwing = () => {
      throw new Error("a bug");
    };
    const set = setUp("strict", { unlock: () => Promise.resolve({ held: false, written: 0 }), invalidate: away });
    await set.protocol.release(held(), "committed", { path: "transaction", cause: "why", entries: throwing });
    await set.protocol.release(held({ locked: false }), "committed", { path: "transaction", cause: "why" });
    await set.protocol.invalidate(["t|"], { path: "statement", cause: "why" });
    expect(set.pending.size).toBe(3);
    const broken = setUp("strict", { unlock: throwing, invalidate: throwing });
    await broken.protocol.release(held(), "committed", { path: "transaction", cause: "why" });
    await broken.protocol.release(held({ locked: false }), "committed", { path: "transaction", cause: "why" });
    expect(broken.pending.size).toBe(2);
    set.pending.stop();
    broken.pending.stop();
  });

  it("is not stopped by a logger or a listener that throws", async () => {
    const { protocol, pending } = setUp("strict", { unlock: () => Promise.resolve({ held: false, written: 0 }) });
    const loud = new CommitProtocol({
      ...(protocol as unknown as { options: ConstructorParameters<typeof CommitProtocol>[0] }).options,
      logger: {
        warn: () => {
          throw new Error("disk full");
        },
      },
    });
    await loud.release(held(), "committed", { path: "transaction", cause: "why" });
    pending.stop();
  });
});

describe("those who listen", () => {
  const told = [{ table: "t", group: "t", operation: "update", rows: [{ id: 1 }], tags: PLAN.tags }] as const;
  const ending = { path: "transaction", cause: "update t", told } as const;
  const messages = new Map([["t", "message 1"]]);

  it.each(["committed", "failed"] as const)("are told with the UNLOCK: %s", async (outcome) => {
    const { protocol, unlocked, announced } = setUp("strict", {}, true);
    await protocol.release(held(), outcome, ending);
    expect(announced).toEqual(["t|*,t|id=1 update"]);
    expect(unlocked[0]).toMatchObject({ messages });
  });

  it("are told nothing of what is rolled back", async () => {
    const { protocol, unlocked, announced } = setUp("strict", {}, true);
    await protocol.release(held(), "rolled-back", ending);
    await protocol.release(held({ locked: false }), "rolled-back", ending);
    expect(announced).toEqual([]);
    expect(unlocked[0]?.messages).toBeUndefined();
  });

  it("are told of what may have been committed, while its lock stays", async () => {
    const sent: unknown[] = [];
    const { protocol, unlocked } = setUp("strict", { invalidate: async (...args) => void sent.push(args) }, true);
    await protocol.release(held(), "unknown", ending);
    expect(unlocked).toEqual([]);
    expect(sent).toEqual([[[], messages]]);
  });

  it("are told of what could not be locked", async () => {
    const sent: unknown[] = [];
    const { protocol } = setUp("available", { invalidate: async (...args) => void sent.push(args) }, true);
    await protocol.release(held({ locked: false }), "committed", ending);
    expect(sent).toEqual([[PLAN.tags, messages]]);
  });
});
