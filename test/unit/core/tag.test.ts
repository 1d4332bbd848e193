import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { anyRowTag, epochTag, group, groupOf, tagName, valueTag } from "../../../src/core/tag";

/** Texts that try to break out of their place, lone surrogates included. */
const text = fc.oneof(
  fc.string({
    unit: fc.constantFrom("|", "=", ",", "*", "#", "%", "{", "}", " ", "\n", "0", "a", "002c", "\ud800", "é"),
  }),
  fc.array(fc.nat(0xffff), { maxLength: 8 }).map((units) => String.fromCharCode(...units)),
);
const columns = fc.array(text, { minLength: 1, maxLength: 3 });
const key = columns.chain((names) =>
  fc.record({
    table: text.filter((path) => path !== ""),
    names: fc.constant(names),
    values: fc.array(text, { minLength: names.length, maxLength: names.length }),
  }),
);

describe("tags", () => {
  it("are read easily when values are plain", () => {
    const product = group("public.product");
    expect(epochTag(product)).toBe("public.product|");
    expect(anyRowTag(product)).toBe("public.product|*");
    expect(valueTag(product, tagName(["tenant_id", "slug"]), ["7", "red-shoe"])).toBe(
      "public.product|tenant_id,slug=7,red-shoe",
    );
  });

  it("are the same for the same values only", () => {
    fc.assert(
      fc.property(key, key, (one, another) => {
        const tagOf = ({ table, names, values }: typeof one) => valueTag(group(table), tagName(names), values);
        expect(tagOf(one) === tagOf(another)).toBe(JSON.stringify(one) === JSON.stringify(another));
      }),
      { numRuns: 5000 },
    );
  });

  it("keep a value in its place: no two splits of one text meet", () => {
    const product = group("product");
    const tags = [
      valueTag(product, tagName(["a", "b"]), ["1", "2"]),
      valueTag(product, tagName(["a,b"]), ["1,2"]),
      valueTag(product, tagName(["a"]), ["1,2"]),
      valueTag(product, tagName(["a", "b"]), ["1,2", ""]),
      valueTag(product, tagName(["a=1"]), ["2"]),
      valueTag(product, tagName(["a"]), ["1=2"]),
      valueTag(product, tagName(["a"]), [""]),
      valueTag(product, tagName(["a"]), ["*"]),
      anyRowTag(product),
      epochTag(product),
    ];
    expect(new Set(tags).size).toBe(tags.length);
  });

  it("hold no character that ends a line, a list, a hash tag or a holder", () => {
    fc.assert(
      fc.property(key, ({ table, names, values }) => {
        expect(valueTag(group(table), tagName(names), values)).toMatch(/^[\w.%-]+\|[\w.%,#-]*=[\w.%,#-]*$/);
      }),
    );
  });

  it("say which group they belong to", () => {
    fc.assert(
      fc.property(key, ({ table, names, values }) => {
        const of = group(table);
        for (const tag of [epochTag(of), anyRowTag(of), valueTag(of, tagName(names), values)])
          expect(groupOf(tag)).toBe(of);
      }),
    );
  });

  it("replace long values by digests, which never meet a short value", () => {
    const product = group("product");
    const [long, other] = ["x".repeat(65), `${"x".repeat(64)}y`];
    const tag = valueTag(product, tagName(["body"]), [long]);
    expect(tag).toMatch(/^product\|body=#[\w-]{22}$/);
    expect(valueTag(product, tagName(["body"]), [other])).not.toBe(tag);
    expect(valueTag(product, tagName(["body"]), [tag.slice("product|body=".length)])).not.toBe(tag);
    expect(valueTag(product, tagName(["body"]), ["x".repeat(64)])).toBe(`product|body=${"x".repeat(64)}`);
  });
});
