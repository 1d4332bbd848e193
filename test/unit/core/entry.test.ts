import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { decodeEntry, encodeEntry, payloadUnder } from "../../../src/core/entry";

const word = fc.string({ unit: fc.constantFrom("a", "Z", "0", "-", "_", "|", "=", "%", "*"), minLength: 1 });
const entry = fc.record({
  query: fc.string({ unit: "binary" }).map((text) => text.replaceAll("\n", " ")),
  rowTags: fc.array(word, { maxLength: 5 }),
  tokens: fc.array(word, { maxLength: 8 }),
  payload: fc.oneof(fc.string({ unit: "binary" }), fc.json(), fc.constantFrom("", "\n", "1\n\n\n\n")),
});
const dated = fc.record({ value: entry, filledAt: fc.nat() }).map(({ value, filledAt }) => ({ ...value, filledAt }));

describe("an entry as text", () => {
  it("comes back as it was", () => {
    fc.assert(
      fc.property(fc.oneof(entry, dated), (value) => {
        expect(decodeEntry(encodeEntry(value))).toEqual(value);
      }),
    );
  });

  it("gives its payload to whoever knows the rest of it, and to nobody else", () => {
    const few = entry.map((value) => ({ ...value, query: value.query.slice(0, 1), payload: "p" }));
    fc.assert(
      fc.property(few, few, (one, other) => {
        const text = encodeEntry(one);
        expect(payloadUnder(text, one.query, one.tokens, one.rowTags)).toBe("p");
        const { query, tokens, rowTags } = other;
        const same = JSON.stringify([query, tokens, rowTags]) === JSON.stringify([one.query, one.tokens, one.rowTags]);
        expect(payloadUnder(text, query, tokens, rowTags)).toBe(same ? "p" : undefined);
        expect(payloadUnder(text.slice(1), one.query, one.tokens, one.rowTags)).toBeUndefined();
      }),
    );
  });

  it("is told from any other text without an error", () => {
    const noise = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.string({ unit: fc.constantFrom("1", "\n", " ", "a") }),
      fc.oneof(entry, dated).chain((value) => {
        const text = encodeEntry(value);
        return fc.nat(text.length).map((end) => text.slice(0, end));
      }),
    );
    fc.assert(
      fc.property(noise, (text) => {
        const decoded = decodeEntry(text);
        if (decoded !== undefined) expect(encodeEntry(decoded)).toBe(text);
      }),
      { numRuns: 2000 },
    );
  });

  it.each([
    "",
    "1",
    "1\n",
    "1\nq",
    "1\nq\nt\nr",
    "2\nq\nt\nr\np",
    "2 \nq\nt\nr\np",
    "2 -1\nq\nt\nr\np",
    "2 01\nq\nt\nr\np",
    "1 5\nq\nt\nr\np",
    "3\nq\nt\nr\np",
    "11\nq\nt\nr\np",
    "\n\n\n\n",
    "WRONG",
  ])("is not %j", (text) => {
    expect(decodeEntry(text)).toBeUndefined();
  });

  it("keeps a payload of a few megabytes as it is", () => {
    const payload = "é\n".repeat(1_000_000);
    expect(decodeEntry(encodeEntry({ query: "q", rowTags: [], tokens: ["t"], payload }))?.payload).toBe(payload);
  });
});
