import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { encodeEntry, type Entry } from "../../../src/core/entry";
import { EntrySignatures, type EntryPlace } from "../../../src/core/entry-signature";
import { MemoryStore } from "../../../src/store/memory-store";
import { SignedStore } from "../../../src/store/signed-store";
import type { ReadRequest, Store } from "../../../src/store/store";

const SECRET = "a secret of thirty-two bytes, 01";
const OTHER = "a secret of thirty-two bytes, 02";

/** Characters that separate what is signed, so that borders between two parts move. */
const part = fc.string({ unit: fc.constantFrom("a", "b", ",", "\n", " ", "1", "é"), maxLength: 6 });
const line = part.map((text) => text.replaceAll("\n", "_"));
const word = line.map((text) => `w${text.replaceAll(" ", "_")}`);
const place = fc.record({ namespace: part, group: part, key: part });
const entry: fc.Arbitrary<Entry> = fc.record(
  {
    query: line,
    tokens: fc.array(word, { maxLength: 3 }),
    rowTags: fc.array(word, { maxLength: 3 }),
    payload: part,
    filledAt: fc.nat(3),
  },
  { requiredKeys: ["query", "tokens", "rowTags", "payload"] },
);
const signed = fc.record({ place, entry });

/** The entry that a store finds where it was put. */
function stored(signatures: EntrySignatures, where: EntryPlace, what: Entry): Entry {
  const text = encodeEntry(what);
  const whole = signatures.sign(where, text);
  return { ...what, payload: what.payload + whole.slice(text.length) };
}

describe("a signature", () => {
  const signatures = new EntrySignatures([SECRET]);

  it("is good for the entry and the place that it was made for, and for no other", () => {
    fc.assert(
      fc.property(signed, signed, ({ place: where, entry: what }, other) => {
        const found = stored(signatures, where, what);
        expect(signatures.payloadOf(where, found)).toBe(what.payload);
        const parts = { ...where, ...what };
        for (const [name, value] of Object.entries({ ...other.place, ...other.entry })) {
          if (JSON.stringify(parts[name as keyof typeof parts]) === JSON.stringify(value)) continue;
          const moved = name in where ? { ...where, [name]: value } : where;
          const signature = found.payload.slice(what.payload.length);
          const forged = name === "payload" ? { ...found, payload: `${String(value)}${signature}` } : found;
          const changed = name in where || name === "payload" ? forged : { ...found, [name]: value };
          expect([name, signatures.payloadOf(moved, changed)]).toEqual([name, undefined]);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it("cannot be left out, cut, lengthened or written otherwise", () => {
    fc.assert(
      fc.property(signed, fc.nat(22), fc.string({ maxLength: 3 }), ({ place: where, entry: what }, at, text) => {
        const { payload } = stored(signatures, where, what);
        const end = payload.length - 22 + at;
        for (const forged of [what.payload, payload.slice(0, end), payload.slice(0, end) + text + payload.slice(end)]) {
          if (forged !== payload) expect(signatures.payloadOf(where, { ...what, payload: forged })).toBeUndefined();
        }
        const otherwise = `${payload.slice(0, -22)}${"é".repeat(22)}`;
        expect(signatures.payloadOf(where, { ...what, payload: otherwise })).toBeUndefined();
      }),
    );
  });

  it("of each of several secrets is good, and the first signs", () => {
    const where = { namespace: "n", group: "g", key: "k" };
    const what = { query: "q", tokens: ["t"], rowTags: [], payload: "p" };
    const old = stored(new EntrySignatures([OTHER]), where, what);
    expect(signatures.payloadOf(where, old)).toBeUndefined();
    const both = new EntrySignatures([SECRET, OTHER]);
    expect(both.payloadOf(where, old)).toBe("p");
    expect(stored(both, where, what)).toEqual(stored(signatures, where, what));
  });
});

describe("a signed store", () => {
  const ask = (more: Partial<ReadRequest> = {}): ReadRequest => ({
    key: "k",
    group: "g",
    query: "q",
    tags: ["g|"],
    ...more,
  });

  async function opened() {
    const inner = new MemoryStore();
    const store: Store = new SignedStore(inner, new EntrySignatures([SECRET]));
    await store.open({ namespace: "n", lockTtl: 1000, timeout: 50 }, []);
    const fill = async (by: Store, payload: string, more: Partial<Entry> = {}, key = "k") => {
      const tokens = await by.prepare(["g|"], 60_000);
      const value = encodeEntry({ query: "q", rowTags: [], tokens, payload, ...more });
      await by.fill([{ key, group: "g", value, ttl: 60_000 }]);
      return value;
    };
    const read = async (more?: Partial<ReadRequest>) => (await store.read([ask(more)]))[0];
    return { inner, store, fill, read };
  }

  it("gives back what was put into it, with tokens only if they are asked for", async () => {
    const { fill, store, read } = await opened();
    await fill(store, "p");
    expect(await read()).toEqual({ outcome: "hit", payload: "p", rowTags: [] });
    expect(await read({ wantsTokens: true })).toMatchObject({ payload: "p", tokens: [expect.any(String)] });
  });

  it("takes what another has put there for a miss", async () => {
    const { fill, inner, read } = await opened();
    for (const payload of ["p", "", `p\n${"A".repeat(22)}`]) {
      await fill(inner, payload);
      expect(await read()).toEqual({ outcome: "miss", why: "unsigned" });
    }
  });

  it("takes a stale entry for none if it may be served and is not signed", async () => {
    const { fill, store, inner, read } = await opened();
    await fill(store, "mine", { filledAt: 5 });
    await inner.invalidate(["g|"]);
    expect(await read()).toEqual({
      outcome: "miss",
      why: "stale",
      rowTags: [],
      last: { payload: "mine", filledAt: 5, tokens: [expect.any(String)] },
    });
    await fill(inner, "theirs", { filledAt: 6 });
    await inner.invalidate(["g|"]);
    expect(await read()).toEqual({ outcome: "miss", why: "unsigned" });
  });

  it("signs what is written through", async () => {
    const { store, read } = await opened();
    await store.lock(["g|"], "me", [], 60_000);
    const value = encodeEntry({ query: "q", rowTags: [], tokens: ["new"], payload: "written" });
    const entries = [{ key: "k", group: "g", value, ttl: 60_000, lockedTags: ["g|"] }];
    await store.unlock({ tags: ["g|"], holder: "me", token: "new", tagTtl: 60_000, watched: [], entries });
    expect(await read()).toMatchObject({ outcome: "hit", payload: "written" });
  });
});
