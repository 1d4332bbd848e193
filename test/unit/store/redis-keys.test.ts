import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { anyRowTag, epochTag, group, tagName, valueTag } from "../../../src/core/tag";
import { RedisKeys, serverIdOf } from "../../../src/store/redis/redis-keys";

const ID = serverIdOf("0123456789abcdef0123456789abcdef01234567");

/** What Redis Cluster hashes: the text between the first `{` and the next `}`. */
function hashTag(key: string): string | undefined {
  return /^[^{]*\{([^}]+)\}/.exec(key)?.[1];
}

describe("RedisKeys", () => {
  it("builds keys that a person can read", () => {
    const keys = new RedisKeys("shop", "SERVER");
    expect(keys.guard("public.product")).toBe("shop:v1:SERVER:{public.product}:g");
    expect(keys.tag("public.product|")).toBe("shop:v1:SERVER:{public.product}:t:");
    expect(keys.tag("public.product|*")).toBe("shop:v1:SERVER:{public.product}:t:*");
    expect(keys.tag("public.product|a,b=1,2")).toBe("shop:v1:SERVER:{public.product}:t:a,b=1,2");
    expect(keys.entry("public.product", "by-sku:A")).toBe("shop:v1:SERVER:{public.product}:e:by-sku:A");
    expect(keys.lastServer("public.product")).toBe("shop:v1:{public.product}:s");
    expect(keys.of("OTHER").guard("public.product")).toBe("shop:v1:OTHER:{public.product}:g");
  });

  it("keeps all keys of a group in one slot, whatever namespace, group and key look like", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.string({ minLength: 1 }), fc.string(), (namespace, table, key) => {
        const keys = new RedisKeys(namespace, ID);
        const of = group(table);
        const all = [keys.guard(of), keys.tag(epochTag(of)), keys.tag(anyRowTag(of)), keys.entry(of, key)];
        all.push(keys.lastServer(of), keys.tag(valueTag(of, tagName(["{a}"]), [key])));
        expect(new Set(all.map(hashTag))).toEqual(new Set([of]));
      }),
    );
  });

  it("never builds one key for two things", () => {
    const part = fc.string({ unit: fc.constantFrom(":", "{", "}", "%", "|", "g", "t", "e", "s", "v1", ID) });
    const thing = fc.record({ namespace: part, table: part.filter((text) => text !== ""), kind: fc.nat(4), key: part });
    const keyOf = ({
      namespace,
      table,
      kind,
      key,
    }: {
      namespace: string;
      table: string;
      kind: number;
      key: string;
    }) => {
      const keys = new RedisKeys(namespace, ID);
      const of = group(table);
      const built = [
        keys.guard(of),
        keys.tag(epochTag(of)),
        keys.tag(valueTag(of, tagName(["c"]), [key])),
        keys.entry(of, key),
        keys.lastServer(of),
      ];
      const meaning = [namespace, of, kind, ...(kind === 2 || kind === 3 ? [key] : [])];
      return { key: built[kind]!, meaning: JSON.stringify(meaning) };
    };
    fc.assert(
      fc.property(thing, thing, (one, another) => {
        const [first, second] = [keyOf(one), keyOf(another)];
        expect(first.key === second.key).toBe(first.meaning === second.meaning);
      }),
      { numRuns: 5000 },
    );
  });

  it("lets a tag's key be told from its guard's, as the scripts do", () => {
    const keys = new RedisKeys("shop", ID);
    for (const tag of ["g|", "g|*", "g|id=1"]) {
      const guard = keys.guard("g");
      expect(keys.tag(tag).startsWith(guard.slice(0, -1))).toBe(true);
      expect(keys.tag(tag).slice(guard.length - 1)).toBe(`t:${tag.slice(2)}`);
    }
  });
});

describe("serverIdOf", () => {
  it("is short, safe in a key, and another one for another server", () => {
    expect(ID).toMatch(/^[\w-]{16}$/);
    expect(serverIdOf("a")).not.toBe(serverIdOf("b"));
    expect(serverIdOf("a")).toBe(serverIdOf("a"));
  });
});
