import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { allStripes, placed, stripeOf, tableGroupOf, unstriped } from "../../../src/core/stripe";
import { anyRowTag, barrierTag, epochTag, group, tagName, valueTag } from "../../../src/core/tag";

const STRIPES = 16;
const table = fc.string({ minLength: 1 }).map(group);
const value = fc.string();
const tagOf = (of: string, text: string) => valueTag(of, tagName(["id"]), [text]);

describe("stripes", () => {
  it("are none where tables are whole", () => {
    expect(stripeOf("anything", 1)).toBe("");
    expect(allStripes(1)).toEqual([""]);
    expect(placed("g", "k", ["g|", "g|id=1"], 1)).toEqual({ group: "g", tags: ["g|", "g|id=1"], stripe: "" });
  });

  it("bring an entry to the value that it is looked up by, with the epochs of all its tables", () => {
    const { group: place, tags, stripe } = placed("g", "k", ["g|", "g|id=1", "h|", "h|*"], STRIPES);
    expect(stripe).toBe(stripeOf("g|id=1", STRIPES));
    expect(place).toBe(`g${stripe}`);
    expect(tags).toEqual([`g${stripe}|`, "g|id=1", `h${stripe}|`, "h|*"]);
  });

  it("spread by their keys entries that name no value", () => {
    const places = Array.from({ length: 200 }, (_, at) => placed("g", `key ${at}`, ["g|", "g|*"], STRIPES).stripe);
    expect(new Set(places).size).toBe(STRIPES);
  });

  it("get equal shares of ids in a row", () => {
    const counts = new Map<string, number>();
    for (let id = 0; id < 16_000; id += 1) {
      const stripe = stripeOf(tagOf("public.product", String(id)), STRIPES);
      counts.set(stripe, (counts.get(stripe) ?? 0) + 1);
    }
    expect(counts.size).toBe(STRIPES);
    for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(150);
  });

  it("are told from their tables again, whatever these are called", () => {
    fc.assert(
      fc.property(table, value, fc.nat(STRIPES - 1), (of, text, number) => {
        expect(tableGroupOf(`${of}^${number}`)).toBe(of);
        expect(tableGroupOf(of)).toBe(of);
        expect(unstriped(epochTag(`${of}^${number}`))).toBe(epochTag(of));
        for (const tag of [epochTag(of), anyRowTag(of), barrierTag(of), tagOf(of, text)])
          expect(unstriped(tag)).toBe(tag);
      }),
    );
  });
});
