import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { inspect, isDeepStrictEqual } from "node:util";
import { decodeRaw, encodeRaw, UnencodableValue } from "../../../src/codec/raw-value";

const throughJson = (value: unknown): unknown => decodeRaw(JSON.parse(JSON.stringify(encodeRaw(value))));

/** Jest's own equality trips over JSON that has a property named constructor. */
function expectSame(actual: unknown, expected: unknown): void {
  if (!isDeepStrictEqual(actual, expected)) throw new Error(`${inspect(actual)} is not ${inspect(expected)}`);
}

/** What drivers return for columns. */
const rawValue = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: "small" },
    fc.string({ unit: "binary" }),
    fc.array(fc.nat(0xffff), { maxLength: 8 }).map((units) => String.fromCharCode(...units)),
    fc.double(),
    fc.constantFrom(0, -0, NaN, Infinity, -Infinity),
    fc.bigInt(),
    fc.boolean(),
    fc.constant(null),
    fc.date({ noInvalidDate: false }),
    fc.uint8Array().map((bytes) => Buffer.from(bytes)),
    fc.jsonValue(),
    fc.dictionary(fc.constantFrom("__proto__", "toJSON", "constructor", "0", "", "a"), fc.jsonValue(), {
      noNullPrototype: true,
    }),
    fc.array(tie("value"), { maxLength: 4 }),
    fc.dictionary(fc.constantFrom("__proto__", "0", "a"), tie("value"), { noNullPrototype: true }),
  ),
})).value;

class Interval {
  constructor(readonly days: number) {}
}

describe("a raw value", () => {
  it("comes back from a text exactly as it was", () => {
    fc.assert(
      fc.property(rawValue, (value) => {
        expectSame(throughJson(value), value);
      }),
      { numRuns: 500 },
    );
  });

  it("comes back exactly, or is refused, whatever it is", () => {
    const anything = fc.anything({
      withBigInt: true,
      withBoxedValues: true,
      withDate: true,
      withMap: true,
      withNullPrototype: true,
      withObjectString: true,
      withSet: true,
      withSparseArray: true,
      withTypedArray: true,
    });
    fc.assert(
      fc.property(anything, (value) => {
        let back: unknown;
        try {
          back = throughJson(value);
        } catch (error) {
          expect(error).toBeInstanceOf(UnencodableValue);
          return;
        }
        expectSame(back, value);
      }),
      { numRuns: 2000 },
    );
  });

  it.each<[string, unknown]>([
    ["undefined", undefined],
    ["a symbol", Symbol("x")],
    ["a function", () => 1],
    ["an instance of a class", new Interval(3)],
    ["one inside of a list", [1, new Interval(3)]],
    ["one inside of JSON", { interval: new Interval(3) }],
    ["undefined inside of JSON", { nothing: undefined }],
    ["bytes that are no Buffer", new Uint8Array([1])],
    ["a list with a hole", [1, , 3]], // eslint-disable-line no-sparse-arrays -- the point of it
    ["a list with a hole and a date", [new Date(0), , 3]], // eslint-disable-line no-sparse-arrays -- the point of it
    ["a list with a property of its own", Object.assign([1], { command: "SELECT" })],
    ["a date of a class of its own", new (class Moment extends Date {})(0)],
    ["an object with toJSON", { toJSON: () => "x" }],
    ["an object with a symbol", { [Symbol("x")]: 1 }],
    ["an object without a prototype", Object.assign(Object.create(null) as object, { a: 1 })],
    ["a map", new Map([[1, 2]])],
  ])("that no text can carry is refused: %s", (_, value) => {
    expect(() => encodeRaw(value)).toThrow(UnencodableValue);
  });

  it("that is decoded twice is two objects", () => {
    for (const value of [new Date(0), Buffer.from("x"), [new Date(0)]]) {
      const encoded = encodeRaw(value);
      expect(decodeRaw(encoded)).not.toBe(decodeRaw(encoded));
    }
  });

  it.each([[["z", 1]], [["n", "no number"]], [["n", 1.5]], [[]], [[null]], [["a", 5]]])(
    "is not made of %j",
    (encoded) => {
      expect(() => decodeRaw(encoded)).toThrow();
    },
  );
});
