import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { createHmac } from "node:crypto";
import { decodeMessage, encodeChange, LONGEST } from "../../../src/feed/change-message";

const change = {
  table: "shop.product",
  group: "shop.product",
  operation: "update",
  rows: [{ id: 1 }],
  tags: ["shop.product|*", "shop.product|id=1"],
} as const;
const encoded = (more: object = {}, secret?: string) =>
  encodeChange({ ...change, ...more }, "shop.product|", "me", 7, secret);
const asked = (more: object) => ({ kind: "asked", table: "product", operation: "unknown", rows: null, ...more });
const rejected = (why: string) => ({ kind: "rejected", why });

describe("a message of ours", () => {
  it("says what docs/events.md says", () => {
    expect(JSON.parse(encoded())).toEqual({
      v: 1,
      table: "shop.product",
      operation: "update",
      rows: [{ id: 1 }],
      tags: ["shop.product|*", "shop.product|id=1"],
      origin: "me",
      sequence: 7,
    });
  });

  it("is read again", () => {
    const { group: _, ...told } = change;
    expect(decodeMessage(encoded())).toEqual({ kind: "told", change: told, origin: "me", sequence: 7 });
    expect(decodeMessage(encoded({ rows: null }))).toMatchObject({ kind: "told", change: { rows: null } });
  });

  it("that would be too long says that the whole table has changed", () => {
    const rows = Array.from({ length: 9000 }, (_, id) => ({ id }));
    const text = encoded({ rows });
    expect(text.length).toBeLessThan(LONGEST);
    expect(decodeMessage(text)).toMatchObject({ change: { rows: null, tags: ["shop.product|"] } });
    expect(decodeMessage(encoded({ rows }, "secret"), "secret")).toMatchObject({ change: { rows: null } });
  });

  it("with something missing is none", () => {
    const whole = JSON.parse(encoded()) as Record<string, unknown>;
    for (const name of ["operation", "rows", "tags", "sequence"]) {
      const { [name]: _, ...rest } = whole;
      expect([name, decodeMessage(JSON.stringify(rest))]).toEqual([name, rejected("malformed")]);
    }
    for (const wrong of [{ origin: 1 }, { tags: [1] }, { sequence: 1.5 }, { operation: "upsert" }, { table: "" }])
      expect([wrong, decodeMessage(JSON.stringify({ ...whole, ...wrong }))]).toEqual([wrong, rejected("malformed")]);
    expect(decodeMessage(JSON.stringify({ ...whole, v: 2 }))).toEqual(rejected("unknown"));
  });
});

describe("a message of another program", () => {
  it.each([
    [{ table: "product" }, asked({})],
    [{ v: 1, table: "product" }, asked({})],
    [{ table: "product", id: 1 }, asked({ rows: [{ "": 1 }] })],
    [{ table: "product", id: "a" }, asked({ rows: [{ "": "a" }] })],
    [{ table: "product", id: { a: 1, b: "x" } }, asked({ rows: [{ a: 1, b: "x" }] })],
    [{ table: "product", ids: [1, "b"] }, asked({ rows: [{ "": 1 }, { "": "b" }] })],
    [{ table: "product", rows: [{ id: 1 }, { id: 2 }] }, asked({ rows: [{ id: 1 }, { id: 2 }] })],
    [{ table: "product", ids: [] }, asked({ rows: [] })],
    [{ table: "product", id: 1, operation: "insert" }, asked({ operation: "insert", rows: [{ "": 1 }] })],
  ])("%j", (message, heard) => {
    expect(decodeMessage(JSON.stringify(message))).toEqual(heard);
  });

  it("with more than 1000 rows, or a number that JavaScript has rounded, stands for the whole table", () => {
    expect(
      decodeMessage(JSON.stringify({ table: "product", ids: Array.from({ length: 1001 }, (_, id) => id) })),
    ).toEqual(asked({}));
    expect(decodeMessage('{"table":"product","id":9007199254740993}')).toEqual(asked({}));
    expect(decodeMessage('{"table":"product","id":9007199254740991}')).toEqual(
      asked({ rows: [{ "": 9007199254740991 }] }),
    );
  });

  it.each(
    [
      "",
      "x",
      "1",
      "null",
      "[]",
      "{}",
      '{"table":1}',
      '{"table":""}',
      '{"table":"t","id":null}',
      '{"table":"t","id":[]}',
      '{"table":"t","ids":1}',
      '{"table":"t","ids":[null]}',
      '{"table":"t","rows":[{}]}',
      '{"table":"t","rows":[{"id":{}}]}',
      '{"table":"t","id":1,"ids":[1]}',
      '{"table":"t","operation":"drop"}',
      '{"table":"t"} ',
    ].slice(0, -1),
  )("%j is none", (text) => {
    expect(decodeMessage(text)).toEqual(rejected("malformed"));
  });

  it("that is too long is not looked at", () => {
    const text = JSON.stringify({ table: "product", more: "x".repeat(LONGEST) });
    expect(decodeMessage(text)).toEqual(rejected("oversized"));
  });

  it("whatever it is throws nothing, and is never taken for a change of ours without an origin", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), fc.option(fc.string({ minLength: 1 })), (text, secret) => {
        const { kind } = decodeMessage(text, secret ?? undefined);
        expect(secret === null ? ["asked", "rejected"] : ["rejected"]).toContain(kind);
      }),
    );
  });
});

describe("with a secret", () => {
  const signed = (json: string, secret: string) => `${createHmac("sha256", secret).update(json).digest("hex")} ${json}`;

  it("a message has the HMAC-SHA256 of its JSON before it, in hex, and a blank", () => {
    const text = encoded({}, "secret");
    expect(text).toBe(signed(encoded(), "secret"));
    expect(decodeMessage(text, "secret")).toMatchObject({ kind: "told", origin: "me" });
    expect(decodeMessage(signed('{"table":"product"}', "secret"), "secret")).toEqual(asked({}));
  });

  it("one of somebody who does not know it is ignored", () => {
    const json = '{"table":"product"}';
    const right = signed(json, "secret");
    for (const wrong of [
      json,
      signed(json, "other"),
      right.replace("product", "order"),
      right.toUpperCase(),
      right.slice(1),
      right.replace(" ", "  "),
      ` ${json}`,
      "",
    ]) {
      expect([wrong, decodeMessage(wrong, "secret")]).toEqual([wrong, rejected("unsigned")]);
    }
    expect(decodeMessage(right)).toEqual(rejected("malformed"));
  });
});
