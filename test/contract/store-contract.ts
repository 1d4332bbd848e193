import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "@jest/globals";
import { encodeEntry } from "../../src/core/entry";
import { StoreError } from "../../src/errors";
import type { ReadAnswer, ReadRequest, Store, StoreContext, WriteThroughRequest } from "../../src/store/store";

/** What the suite needs to know about a store to try it. */
export interface StoreHarness {
  /** Runs once, before everything else. */
  start?(): Promise<void>;
  stop?(): Promise<void>;
  /** A store over empty data that nobody else uses, open and past its quarantine. */
  setUp(context: Omit<StoreContext, "namespace">): Promise<Setup>;
}

/** One store under test, and what happens to it from outside. */
export interface Setup {
  readonly store: Store;
  /** What another process sees of the same data; the store itself if its data belongs to one process. */
  readonly other: Store;
  /** A store that was not opened yet. */
  readonly unopened: Store;
  /** Lets every deadline of locks and quarantines come nearer by this many milliseconds. */
  age(milliseconds: number): Promise<void>;
  /** Returns when entries that were to live for this many milliseconds are gone. */
  outlive(milliseconds: number): Promise<void>;
  /** How data gets lost; not there if it cannot. */
  readonly lose?: Loss;
  tearDown(): Promise<void>;
}

export interface Loss {
  tag(tag: string): Promise<void>;
  guard(group: string): Promise<void>;
  entry(group: string, key: string): Promise<void>;
  everything(): Promise<void>;
}

const LOCK_TTL = 60_000;
const TAG_TTL = 600_000;

/** The suite that every store passes. */
export function describeStore(name: string, harness: StoreHarness): void {
  describe(`${name} keeps the contract of a store`, () => {
    let setup: Setup;
    let store: Store;
    let other: Store;

    if (harness.start) beforeAll(() => harness.start?.());
    if (harness.stop) afterAll(() => harness.stop?.());
    beforeEach(async () => {
      setup = await harness.setUp({ lockTtl: LOCK_TTL, timeout: 5000 });
      ({ store, other } = setup);
    });
    afterEach(() => setup.tearDown());

    const request = (more: Partial<ReadRequest> = {}): ReadRequest => ({
      key: "k",
      group: "shop.product",
      query: "sku=A",
      tags: ["shop.product|", "shop.product|sku=A"],
      ...more,
    });

    const read = async (from: Store, more?: Partial<ReadRequest>): Promise<ReadAnswer> => {
      const [answer] = await from.read([request(more)]);
      return answer!;
    };

    const miss = (why: string, rowTags?: string[]) => ({ outcome: "miss", why, ...(rowTags ? { rowTags } : {}) });

    /** What a reader does after a miss, cut where a writer may come in between. */
    const startFill = async (by: Store, rowTags: string[] = [], more: Partial<ReadRequest> = {}) => {
      const asked = request(more);
      const tokens = await by.prepare([...asked.tags, ...rowTags], TAG_TTL);
      const value = (payload: string) => encodeEntry({ query: asked.query, rowTags, tokens, payload });
      return {
        tokens,
        finish: (payload: string, ttl = TAG_TTL) =>
          by.fill([{ key: asked.key, group: asked.group, value: value(payload), ttl }]),
      };
    };

    const fill = async (payload: string, rowTags: string[] = [], more: Partial<ReadRequest> = {}) => {
      const started = await startFill(store, rowTags, more);
      await started.finish(payload);
    };

    const unlock = (by: Store, holder: string, tags: string[], entries: WriteThroughRequest[] = []) =>
      by.unlock({ tags, holder, token: `token-${holder}`, tagTtl: TAG_TTL, entries });

    /** The entry that a writer writes through: under its own new token, and the epoch as it was at the lock. */
    const entryBy = (holder: string, epoch: string, lockedTags = ["shop.product|sku=A"]): WriteThroughRequest => ({
      key: "k",
      group: "shop.product",
      value: encodeEntry({ query: "sku=A", rowTags: [], tokens: [epoch, `token-${holder}`], payload: `by ${holder}` }),
      ttl: TAG_TTL,
      lockedTags,
    });

    const SKU = "shop.product|sku=A";
    const EPOCH = "shop.product|";
    const ROW = "shop.product|id=1";

    describe("read", () => {
      it("asks for nothing when nothing is asked", async () => {
        expect(await store.read([])).toEqual([]);
      });

      it("says absent when there is nothing", async () => {
        expect(await read(store)).toEqual(miss("absent"));
      });

      it("gives back what was filled, to every process", async () => {
        await fill('{"a":"é\n\u2028"}\n', [ROW]);
        const hit = { outcome: "hit", payload: '{"a":"é\n\u2028"}\n', rowTags: [ROW] };
        expect(await read(store)).toEqual(hit);
        expect(await read(other)).toEqual(hit);
      });

      it.each([
        ["none", undefined],
        ["right", [ROW, "shop.product|id=2"]],
        ["too few", [ROW]],
        ["wrong", ["shop.product|id=9"]],
      ])("gives the same answer whether the guess of row tags is %s", async (_guess, rowTags) => {
        await fill("rows", [ROW, "shop.product|id=2"]);
        const guess = rowTags === undefined ? {} : { rowTags };
        expect(await read(store, guess)).toMatchObject({ outcome: "hit", payload: "rows" });
        await store.invalidate(["shop.product|id=2"]);
        expect(await read(store, guess)).toEqual(miss("stale", [ROW, "shop.product|id=2"]));
      });

      it("answers several requests in their order", async () => {
        await fill("one", [], { key: "1" });
        await fill("three", ["shop.order|id=3"], { key: "3", group: "shop.order", tags: ["shop.order|"] });
        const answers = await store.read([
          request({ key: "3", group: "shop.order", tags: ["shop.order|"] }),
          request({ key: "2" }),
          request({ key: "1", query: "another" }),
          request({ key: "1" }),
        ]);
        expect(answers).toEqual([
          { outcome: "hit", payload: "three", rowTags: ["shop.order|id=3"] },
          miss("absent"),
          miss("collision"),
          { outcome: "hit", payload: "one", rowTags: [] },
        ]);
      });

      it("keeps the keys of two groups apart", async () => {
        await fill("product");
        expect(await read(store, { group: "shop.order" })).toEqual(miss("absent"));
      });

      it.each([
        ["the epoch", EPOCH],
        ["a query tag", SKU],
        ["a row tag", ROW],
      ])("says stale once %s is invalidated", async (_what, tag) => {
        await fill("old", [ROW]);
        await other.invalidate([tag]);
        expect(await read(store)).toEqual(miss("stale", [ROW]));
        await store.prepare([EPOCH, SKU, ROW], TAG_TTL);
        expect(await read(store)).toEqual(miss("stale", [ROW]));
      });

      it.each([
        ["not an entry", "?"],
        ["empty", ""],
        ["of another format", "0\nsku=A\nt u\n\np"],
        ["cut off", "1\nsku=A\nt u"],
        ["with too few tokens", encodeEntry({ query: "sku=A", rowTags: [ROW], tokens: ["t", "u"], payload: "p" })],
        ["with too many tokens", encodeEntry({ query: "sku=A", rowTags: [], tokens: ["t", "u", "v"], payload: "p" })],
      ])("says corrupt when the value is %s", async (_what, value) => {
        await store.prepare([EPOCH, SKU, ROW], TAG_TTL);
        await store.fill([{ key: "k", group: "shop.product", value, ttl: TAG_TTL }]);
        expect(await read(store)).toEqual(miss("corrupt"));
      });

      it("never takes an empty token or the mark of a lock for a token", async () => {
        const forged = (tokens: string[]) => encodeEntry({ query: "sku=A", rowTags: [], tokens, payload: "forged" });
        const [epoch] = await store.prepare([EPOCH], TAG_TTL);
        await store.fill([{ key: "k", group: "shop.product", value: forged([epoch!, ""]), ttl: TAG_TTL }]);
        expect(await read(store)).toMatchObject({ outcome: "miss" });
        await store.lock([SKU], "w", []);
        await store.fill([{ key: "k", group: "shop.product", value: forged([epoch!, "!w"]), ttl: TAG_TTL }]);
        expect(await read(store)).toMatchObject(miss("stale"));
      });

      it("says collision when the key holds the result of another query", async () => {
        await fill("A");
        expect(await read(store, { query: "sku=B" })).toEqual(miss("collision"));
      });

      it("says absent when the entry has expired", async () => {
        const { finish } = await startFill(store);
        await finish("short", 30);
        await setup.outlive(30);
        expect(await read(store)).toEqual(miss("absent"));
      });
    });

    describe("prepare", () => {
      it("mints a token for each tag, once", async () => {
        const first = await store.prepare([EPOCH, SKU, "shop.order|"], TAG_TTL);
        expect(first).toHaveLength(3);
        for (const token of first) expect(token).toMatch(/^[\w-]{16}$/);
        expect(await other.prepare(["shop.order|", EPOCH, EPOCH, SKU], TAG_TTL)).toEqual([
          first[2],
          first[0],
          first[0],
          first[1],
        ]);
        expect(await store.prepare([], TAG_TTL)).toEqual([]);
      });

      it("never mints a token that was there before", async () => {
        const seen = new Set<string>();
        for (let round = 0; round < 50; round++) {
          const [token] = await store.prepare([SKU], TAG_TTL);
          seen.add(token!);
          await store.invalidate([SKU]);
        }
        expect(seen.size).toBe(50);
      });

      it("withholds the tokens of locked tags only", async () => {
        const [epoch] = await store.prepare([EPOCH, SKU], TAG_TTL);
        await store.lock([SKU], "w", []);
        expect(await other.prepare([EPOCH, SKU, ROW], TAG_TTL)).toEqual([epoch, "", expect.stringMatching(/.{16}/)]);
      });
    });

    describe("lock and unlock", () => {
      it("hides what depends on the tag, and shows it again only after a new fill", async () => {
        await fill("old");
        await store.lock([SKU], "w", []);
        expect(await read(other)).toEqual(miss("stale", []));
        expect(await unlock(store, "w", [SKU])).toEqual({ held: true, written: 0 });
        expect(await read(other)).toEqual(miss("stale", []));
        await fill("new");
        expect(await read(other)).toMatchObject({ outcome: "hit", payload: "new" });
      });

      it("makes a fill worthless that began before the lock and comes after the unlock", async () => {
        const reader = await startFill(other);
        await store.lock([SKU], "w", []);
        await unlock(store, "w", [SKU]);
        await reader.finish("read before COMMIT");
        expect(await read(other)).toEqual(miss("stale", []));
      });

      it("makes a fill worthless that began before the lock and comes during the lock", async () => {
        const reader = await startFill(other);
        await store.lock([SKU], "w", []);
        await reader.finish("read before COMMIT");
        expect(await read(other)).toEqual(miss("stale", []));
        await unlock(store, "w", [SKU]);
        expect(await read(other)).toEqual(miss("stale", []));
      });

      it("lasts until the last of two holders has ended", async () => {
        await store.lock([SKU], "w1", []);
        await other.lock([SKU], "w2", []);
        expect(await unlock(store, "w1", [SKU])).toEqual({ held: true, written: 0 });
        expect(await store.prepare([SKU], TAG_TTL)).toEqual([""]);
        expect(await unlock(other, "w2", [SKU])).toEqual({ held: true, written: 0 });
        expect(await store.prepare([SKU], TAG_TTL)).not.toEqual([""]);
      });

      it("takes tags of several groups, and names one twice", async () => {
        const tags = [SKU, "shop.order|id=1", SKU, "shop.order|"];
        expect(await store.lock(tags, "w", [])).toEqual([]);
        expect(await other.prepare(tags, TAG_TTL)).toEqual(["", "", "", ""]);
        expect(await unlock(store, "w", tags)).toEqual({ held: true, written: 0 });
        expect(await other.prepare(tags, TAG_TTL)).not.toContain("");
      });

      it("ends by itself when the holder has died, and what the dead one may have changed is not served", async () => {
        await fill("old");
        await store.lock([SKU], "dead", []);
        await setup.age(LOCK_TTL - 1000);
        expect(await other.prepare([SKU], TAG_TTL)).toEqual([""]);
        await setup.age(1001);
        expect(await read(other)).toMatchObject({ outcome: "miss" });
        expect(await other.prepare([SKU], TAG_TTL)).not.toEqual([""]);
        expect(await read(other)).toEqual(miss("stale", []));
      });

      it("tells the holder that its lock was lost, and invalidates all the same", async () => {
        await store.lock([SKU], "slow", []);
        await setup.age(LOCK_TTL + 1);
        await fill("filled while the lock was void");
        expect(await read(other)).toMatchObject({ outcome: "hit" });
        expect(await unlock(store, "slow", [SKU])).toEqual({ held: false, written: 0 });
        expect(await read(other)).toEqual(miss("stale", []));
      });

      it("tells the holder that its lock was lost even if nobody has noticed", async () => {
        await store.lock([SKU], "slow", []);
        await setup.age(LOCK_TTL + 1);
        expect(await unlock(store, "slow", [SKU])).toEqual({ held: false, written: 0 });
      });

      it("has a deadline per holder: on a busy tag the lock of a crashed writer ends too", async () => {
        await store.lock([SKU], "dead", []);
        for (const writer of ["w1", "w2", "w3"]) {
          await setup.age(LOCK_TTL / 4);
          await other.lock([SKU], writer, []);
          await unlock(other, writer, [SKU]);
          expect(await other.prepare([SKU], TAG_TTL)).toEqual([""]);
        }
        await other.lock([SKU], "w4", []);
        await setup.age(LOCK_TTL / 4 + 1);
        await unlock(other, "w4", [SKU]);
        expect(await other.prepare([SKU], TAG_TTL)).not.toEqual([""]);
      });

      it("is renewed by the same holder", async () => {
        await store.lock([SKU], "w", []);
        await setup.age(LOCK_TTL - 1000);
        await store.lock([SKU], "w", []);
        await setup.age(LOCK_TTL - 1000);
        expect(await other.prepare([SKU], TAG_TTL)).toEqual([""]);
        expect(await unlock(store, "w", [SKU])).toEqual({ held: true, written: 0 });
        expect(await other.prepare([SKU], TAG_TTL)).not.toEqual([""]);
      });

      it("leaves the lock of another alone when one unlocks that holds nothing", async () => {
        await store.lock([SKU], "w", []);
        expect(await unlock(other, "nobody", [SKU])).toEqual({ held: false, written: 0 });
        expect(await other.prepare([SKU], TAG_TTL)).toEqual([""]);
        expect(await unlock(store, "w", [SKU])).toEqual({ held: true, written: 0 });
        expect(await unlock(store, "w", [SKU])).toEqual({ held: false, written: 0 });
      });

      it("stays while somebody invalidates the tag", async () => {
        await store.lock([SKU], "w", []);
        await other.invalidate([SKU]);
        expect(await other.prepare([SKU], TAG_TTL)).toEqual([""]);
      });

      it("has nothing to do without tags", async () => {
        expect(await store.lock([], "w", [])).toEqual([]);
        expect(await unlock(store, "w", [])).toEqual({ held: true, written: 0 });
      });

      it("captures the tokens of tags that it does not lock, and withholds what is missing or locked", async () => {
        const [epoch, order] = await store.prepare([EPOCH, "shop.order|"], TAG_TTL);
        await other.lock([ROW], "another", []);
        expect(await store.lock([SKU], "w", ["shop.order|", ROW, "shop.product|id=7", EPOCH])).toEqual([
          order,
          "",
          "",
          epoch,
        ]);
        await setup.age(LOCK_TTL + 1);
        expect(await store.lock([SKU], "w", [ROW])).toEqual([""]);
      });
    });

    describe("write-through", () => {
      let epoch: string;
      beforeEach(async () => {
        const [token] = await store.prepare([EPOCH], TAG_TTL);
        epoch = token!;
      });

      const refused = async (answer: Promise<unknown>, held = true) => {
        expect(await answer).toEqual({ held, written: 0 });
        expect(await read(other)).toMatchObject({ outcome: "miss" });
        await other.prepare([EPOCH, SKU], TAG_TTL);
        expect(await read(other)).toMatchObject({ outcome: "miss" });
      };

      it("serves the written entry at once, and invalidates the tags that it is not under", async () => {
        await fill("list", [], { key: "list", query: "all", tags: [EPOCH, "shop.product|*"] });
        const tags = [SKU, "shop.product|*"];
        const captured = await store.lock(tags, "w", [EPOCH]);
        expect(captured).toEqual([epoch]);
        expect(await unlock(store, "w", tags, [entryBy("w", captured[0]!)])).toEqual({ held: true, written: 1 });
        expect(await read(other)).toEqual({ outcome: "hit", payload: "by w", rowTags: [] });
        expect(await other.prepare([SKU], TAG_TTL)).toEqual(["token-w"]);
        expect(await read(other, { key: "list", query: "all", tags: [EPOCH, "shop.product|*"] })).toEqual(
          miss("stale", []),
        );
      });

      it("still works under a renewed lock", async () => {
        await store.lock([SKU], "w", [EPOCH]);
        await setup.age(LOCK_TTL - 1000);
        await store.lock([SKU], "w", [EPOCH]);
        await setup.age(LOCK_TTL - 1000);
        expect(await unlock(store, "w", [SKU], [entryBy("w", epoch)])).toEqual({ held: true, written: 1 });
        expect(await read(other)).toMatchObject({ outcome: "hit" });
      });

      it("writes what it may and leaves out the rest", async () => {
        await store.lock([SKU, ROW], "w", []);
        await other.lock([ROW], "another", []);
        const byRow = { ...entryBy("w", epoch, [SKU, ROW]), key: "row" };
        expect(await unlock(store, "w", [SKU, ROW], [byRow, entryBy("w", epoch)])).toEqual({ held: true, written: 1 });
        expect(await read(other)).toMatchObject({ outcome: "hit" });
        expect(await read(other, { key: "row" })).toEqual(miss("absent"));
      });

      it("is refused after the lock has expired", async () => {
        await store.lock([SKU], "w", []);
        await setup.age(LOCK_TTL + 1);
        await refused(unlock(store, "w", [SKU], [entryBy("w", epoch)]), false);
      });

      it("is refused after the lock has expired and the tag was filled under", async () => {
        await store.lock([SKU], "w", []);
        await setup.age(LOCK_TTL + 1);
        await other.prepare([SKU], TAG_TTL);
        await refused(unlock(store, "w", [SKU], [entryBy("w", epoch)]), false);
      });

      it("is refused while another holds the tag, and to that one too, since the first came after it", async () => {
        await store.lock([SKU], "w1", []);
        await other.lock([SKU], "w2", []);
        await store.lock([SKU], "w1", []);
        await refused(unlock(other, "w2", [SKU], [entryBy("w2", epoch)]));
        await refused(unlock(store, "w1", [SKU], [entryBy("w1", epoch)]));
      });

      it("is refused if another came and went, which may have committed later", async () => {
        await store.lock([SKU], "w1", []);
        await other.lock([SKU], "w2", []);
        await unlock(other, "w2", [SKU], [entryBy("w2", epoch)]);
        await refused(unlock(store, "w1", [SKU], [entryBy("w1", epoch)]));
      });

      it("is refused if another came and went before the lock was renewed", async () => {
        await store.lock([SKU], "w1", []);
        await other.lock([SKU], "w2", []);
        await unlock(other, "w2", [SKU]);
        await store.lock([SKU], "w1", []);
        await refused(unlock(store, "w1", [SKU], [entryBy("w1", epoch)]));
      });

      it("is refused if another died that may have committed later", async () => {
        await store.lock([SKU], "dead", []);
        await setup.age(LOCK_TTL - 1000);
        await store.lock([SKU], "w", []);
        await setup.age(2000);
        await refused(unlock(store, "w", [SKU], [entryBy("w", epoch)]));
      });

      it("is refused if the tag was invalidated meanwhile, even if the lock was renewed then", async () => {
        await store.lock([SKU], "w", []);
        await other.invalidate([SKU]);
        await refused(unlock(store, "w", [SKU], [entryBy("w", epoch)]));

        await store.lock([SKU], "x", []);
        await other.invalidate([SKU]);
        await store.lock([SKU], "x", []);
        await refused(unlock(store, "x", [SKU], [entryBy("x", epoch)]));
      });

      it("is refused for an entry under no tag of this lock", async () => {
        await store.lock([SKU], "w", []);
        const entries = [entryBy("w", epoch, []), entryBy("w", epoch, [ROW]), entryBy("w", epoch, [SKU, ROW])];
        await refused(unlock(store, "w", [SKU], entries));
      });

      it("does not hide a bulk write between the COMMIT and the unlock of the writer", async () => {
        const [captured] = await store.lock([SKU], "w", [EPOCH]);
        await other.lock([EPOCH], "bulk", []);
        await unlock(other, "bulk", [EPOCH]);
        await other.prepare([EPOCH], TAG_TTL);
        await unlock(store, "w", [SKU], [entryBy("w", captured!)]);
        expect(await read(other)).toEqual(miss("stale", []));
      });

      it("does not show an older value after two writers of one row", async () => {
        await store.lock([SKU], "w1", []);
        await other.lock([SKU], "w2", []);
        await unlock(other, "w2", [SKU], [entryBy("w2", epoch)]);
        await unlock(store, "w1", [SKU], [entryBy("w1", epoch)]);
        await other.prepare([SKU], TAG_TTL);
        expect(await read(other)).toMatchObject({ outcome: "miss" });
      });
    });

    describe("a store that is not open", () => {
      const calls: [string, (store: Store) => Promise<unknown>][] = [
        ["read", (to) => to.read([request()])],
        ["prepare", (to) => to.prepare([SKU], TAG_TTL)],
        ["fill", (to) => to.fill([{ key: "k", group: "g", value: "", ttl: 1 }])],
        ["lock", (to) => to.lock([SKU], "w", [])],
        ["unlock", (to) => unlock(to, "w", [SKU])],
        ["invalidate", (to) => to.invalidate([SKU])],
      ];
      it.each(calls)("rejects %s before it was opened and after it was closed", async (_name, call) => {
        await expect(call(setup.unopened)).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
        await expect(call(setup.unopened)).rejects.toBeInstanceOf(StoreError);
        await store.close();
        await expect(call(store)).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
      });

      it("can be closed twice", async () => {
        await store.close();
        await expect(store.close()).resolves.toBeUndefined();
      });
    });

    describe("lost data", () => {
      const lose = () => setup.lose;

      it("is a miss if it was the entry", async () => {
        if (!lose()) return;
        await fill("gone");
        await lose()!.entry("shop.product", "k");
        expect(await read(store)).toEqual(miss("absent"));
      });

      it("is a miss if it was a tag, also after the tag is back", async () => {
        if (!lose()) return;
        await fill("old");
        await lose()!.tag(SKU);
        expect(await read(store)).toEqual(miss("stale", []));
        await store.prepare([SKU], TAG_TTL);
        expect(await read(store)).toEqual(miss("stale", []));
      });

      it("does not end a lock if it was the locked tag: the guard decides", async () => {
        if (!lose()) return;
        await store.lock([SKU], "w", []);
        await lose()!.tag(SKU);
        const reader = await startFill(other);
        expect(reader.tokens[1]).toBe("");
        const [epoch] = reader.tokens;
        expect(await unlock(store, "w", [SKU], [entryBy("w", epoch!)])).toEqual({ held: true, written: 0 });
      });

      it.each(["guard", "everything"] as const)(
        "starts a quarantine if it was the %s, so that no lock is overlooked",
        async (what) => {
          if (!lose()) return;
          await store.prepare([EPOCH, SKU, "shop.order|"], TAG_TTL);
          await store.lock([SKU], "w", []);
          await (what === "guard" ? lose()!.guard("shop.product") : lose()!.everything());

          expect(await other.prepare([EPOCH, SKU, ROW], TAG_TTL)).toEqual(["", "", ""]);
          if (what === "guard") expect(await other.prepare(["shop.order|"], TAG_TTL)).not.toEqual([""]);
          await setup.age(LOCK_TTL - 1000);
          expect(await other.prepare([SKU], TAG_TTL)).toEqual([""]);
          expect(await store.lock([ROW], "w2", [EPOCH])).toEqual([""]);

          expect(await unlock(store, "w", [SKU], [entryBy("w", "any")])).toEqual({ held: false, written: 0 });
          await setup.age(1001);
          expect(await other.prepare([SKU], TAG_TTL)).not.toEqual([""]);
        },
      );

      it("refuses write-through if a quarantine began before the lock", async () => {
        if (!lose()) return;
        const [epoch] = await store.prepare([EPOCH], TAG_TTL);
        await lose()!.guard("shop.product");
        expect(await store.lock([SKU], "w", [EPOCH])).toEqual([""]);
        expect(await unlock(store, "w", [SKU], [entryBy("w", epoch!)])).toEqual({ held: true, written: 0 });
        expect(await read(other)).toEqual(miss("absent"));
      });

      it("refuses write-through if the guard is lost between lock and unlock and nobody made a new one", async () => {
        if (!lose()) return;
        const [epoch] = await store.prepare([EPOCH], TAG_TTL);
        await store.lock([SKU], "w", [EPOCH]);
        await lose()!.guard("shop.product");
        expect(await unlock(store, "w", [SKU], [entryBy("w", epoch!)])).toEqual({ held: false, written: 0 });
        expect(await read(other)).toEqual(miss("absent"));
      });
    });
  });
}
