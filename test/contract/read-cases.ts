import { describe, expect, it } from "@jest/globals";
import { encodeEntry } from "../../src/core/entry";
import { request, miss, EPOCH, SKU, ROW, TAG_TTL, type World } from "./world";

/** What a read answers, and what tokens it takes to fill. */
export function describeReads(world: World): void {
  const { read, startFill, fill } = world;

  describe("read", () => {
    it("asks for nothing when nothing is asked", async () => {
      expect(await world.store.read([])).toEqual([]);
    });

    it("says absent when there is nothing", async () => {
      expect(await read(world.store)).toEqual(miss("absent"));
    });

    it("gives back what was filled, to every process", async () => {
      await fill('{"a":"é\n\u2028"}\n', [ROW]);
      const hit = { outcome: "hit", payload: '{"a":"é\n\u2028"}\n', rowTags: [ROW] };
      expect(await read(world.store)).toEqual(hit);
      expect(await read(world.other)).toEqual(hit);
    });

    it.each([
      ["none", undefined],
      ["right", [ROW, "shop.product|id=2"]],
      ["too few", [ROW]],
      ["wrong", ["shop.product|id=9"]],
    ])("gives the same answer whether the guess of row tags is %s", async (_guess, rowTags) => {
      await fill("rows", [ROW, "shop.product|id=2"]);
      const guess = rowTags === undefined ? {} : { rowTags };
      expect(await read(world.store, guess)).toMatchObject({ outcome: "hit", payload: "rows" });
      await world.store.invalidate(["shop.product|id=2"]);
      expect(await read(world.store, guess)).toEqual(miss("stale", [ROW, "shop.product|id=2"]));
    });

    it("tells the age of an entry that knows it, and what it holds if it is stale", async () => {
      const tokens = await world.store.prepare([EPOCH, SKU, ROW], TAG_TTL);
      const value = encodeEntry({ query: "sku=A", rowTags: [ROW], tokens, payload: "p", filledAt: 1_700_000_000_000 });
      await world.store.fill([{ key: "k", group: "shop.product", value, ttl: TAG_TTL }]);
      const last = { payload: "p", filledAt: 1_700_000_000_000, tokens };
      const hit = { outcome: "hit", rowTags: [ROW], payload: "p", filledAt: last.filledAt };
      for (const guess of [{}, { rowTags: [ROW] }]) {
        const answer = await read(world.store, guess);
        expect(answer).toMatchObject(hit);
        expect(answer).not.toHaveProperty("tokens");
        expect(await read(world.store, { ...guess, wantsTokens: true })).toMatchObject(hit);
      }
      await world.store.invalidate([ROW]);
      expect(await read(world.store)).toEqual({ outcome: "miss", why: "stale", rowTags: [ROW], last });
      await world.store.lock([SKU], "w", [], TAG_TTL);
      expect(await read(world.store, { wantsTokens: true })).toMatchObject({ outcome: "miss", why: "stale", last });
    });

    it("answers several requests in their order", async () => {
      await fill("one", [], { key: "1" });
      await fill("three", ["shop.order|id=3"], { key: "3", group: "shop.order", tags: ["shop.order|"] });
      const answers = await world.store.read([
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
      expect(await read(world.store, { group: "shop.order" })).toEqual(miss("absent"));
    });

    it.each([
      ["the epoch", EPOCH],
      ["a query tag", SKU],
      ["a row tag", ROW],
    ])("says stale once %s is invalidated", async (_what, tag) => {
      await fill("old", [ROW]);
      await world.other.invalidate([tag]);
      expect(await read(world.store)).toEqual(miss("stale", [ROW]));
      await world.store.prepare([EPOCH, SKU, ROW], TAG_TTL);
      expect(await read(world.store)).toEqual(miss("stale", [ROW]));
    });

    it.each([
      ["not an entry", "?"],
      ["empty", ""],
      ["of another format", "0\nsku=A\nt u\n\np"],
      ["cut off", "1\nsku=A\nt u"],
      ["with too few tokens", encodeEntry({ query: "sku=A", rowTags: [ROW], tokens: ["t", "u"], payload: "p" })],
      ["with too many tokens", encodeEntry({ query: "sku=A", rowTags: [], tokens: ["t", "u", "v"], payload: "p" })],
    ])("says corrupt when the value is %s", async (_what, value) => {
      await world.store.prepare([EPOCH, SKU, ROW], TAG_TTL);
      await world.store.fill([{ key: "k", group: "shop.product", value, ttl: TAG_TTL }]);
      expect(await read(world.store)).toEqual(miss("corrupt"));
    });

    it("never takes an empty token or the mark of a lock for a token", async () => {
      const forged = (tokens: string[]) => encodeEntry({ query: "sku=A", rowTags: [], tokens, payload: "forged" });
      const [epoch] = await world.store.prepare([EPOCH], TAG_TTL);
      await world.store.fill([{ key: "k", group: "shop.product", value: forged([epoch!, ""]), ttl: TAG_TTL }]);
      expect(await read(world.store)).toMatchObject({ outcome: "miss" });
      await world.store.lock([SKU], "w", [], TAG_TTL);
      await world.store.fill([{ key: "k", group: "shop.product", value: forged([epoch!, "!w"]), ttl: TAG_TTL }]);
      expect(await read(world.store)).toMatchObject(miss("stale"));
    });

    it("says collision when the key holds the result of another query", async () => {
      await fill("A");
      expect(await read(world.store, { query: "sku=B" })).toEqual(miss("collision"));
    });

    it("says absent when the entry has expired", async () => {
      const { finish } = await startFill(world.store);
      await finish("short", 30);
      await world.setup.outlive(30);
      expect(await read(world.store)).toEqual(miss("absent"));
    });
  });

  describe("prepare", () => {
    it("mints a token for each tag, once", async () => {
      const first = await world.store.prepare([EPOCH, SKU, "shop.order|"], TAG_TTL);
      expect(first).toHaveLength(3);
      for (const token of first) expect(token).toMatch(/^[\w-]{16}$/);
      expect(await world.other.prepare(["shop.order|", EPOCH, EPOCH, SKU], TAG_TTL)).toEqual([
        first[2],
        first[0],
        first[0],
        first[1],
      ]);
      expect(await world.store.prepare([], TAG_TTL)).toEqual([]);
    });

    it("never mints a token that was there before", async () => {
      const seen = new Set<string>();
      for (let round = 0; round < 50; round++) {
        const [token] = await world.store.prepare([SKU], TAG_TTL);
        seen.add(token!);
        await world.store.invalidate([SKU]);
      }
      expect(seen.size).toBe(50);
    });

    it("withholds the tokens of locked tags only", async () => {
      const [epoch] = await world.store.prepare([EPOCH, SKU], TAG_TTL);
      await world.store.lock([SKU], "w", [], TAG_TTL);
      expect(await world.other.prepare([EPOCH, SKU, ROW], TAG_TTL)).toEqual([
        epoch,
        "",
        expect.stringMatching(/.{16}/),
      ]);
    });

    it("says the tokens of a hit if they are wanted, and whether they still are those of its tags", async () => {
      const { store } = world;
      await world.fill("value", [ROW]);
      if (store.check === undefined) return; // One that keeps copies itself.
      const tokensIn = (answer: object) => (answer as { tokens: string[] }).tokens;
      const plain = await world.read(store);
      expect(Object.keys(plain).sort()).toEqual(["outcome", "payload", "rowTags"]);
      for (const rowTags of [[ROW], []]) {
        const answer = await world.read(world.other, { wantsTokens: true, rowTags });
        const tokens = tokensIn(answer);
        const tags = [EPOCH, SKU, ROW];
        expect(tokens).toEqual(await store.prepare(tags, TAG_TTL));
        const copies = [
          { tags, tokens },
          { tags, tokens: [...tokens.slice(1), "other"] },
          { tags: [ROW], tokens: tokens.slice(2) },
          { tags: ["shop.product|id=2"], tokens: tokens.slice(2) },
          { tags: [], tokens: [] },
        ];
        expect(await store.check?.(copies)).toEqual([true, false, true, false, true]);
        expect(await store.check?.([])).toEqual([]);
      }
      const answer = await world.read(store, { wantsTokens: true });
      const copy = { tags: [EPOCH, SKU, ROW], tokens: tokensIn(answer) };
      await world.other.lock([ROW], "w", [], TAG_TTL);
      expect(await store.check?.([copy])).toEqual([false]);
      await world.unlock(world.other, "w", [ROW]);
      expect(await store.check?.([copy])).toEqual([false]);
    });
  });
}
