// Whatever somebody else may have written: a payload, an entry, a message, an SQL text, a value to look up. A few thousand cases here;
// `npm run fuzz` makes a million of them, `npm run fuzz -- 20000` as many as it is told.
import "reflect-metadata";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { isNativeError } from "node:util/types";
import { inflateRawSync } from "node:zlib";
import { DataSource, EntitySchema, type ObjectLiteral } from "typeorm";
import { PayloadPacking } from "../../../src/codec/payload-packing";
import { decodeResult } from "../../../src/codec/result-codec";
import { RowCodec } from "../../../src/codec/row-codec";
import { decodeEntry, encodeEntry } from "../../../src/core/entry";
import { ChangeChannel, type ChannelListener } from "../../../src/feed/change-channel";
import { decodeMessage, encodeChange } from "../../../src/feed/change-message";
import { cachedQuery, entryKey, isKeyValue } from "../../../src/metadata/cached-query";
import type { EntityModel, Key } from "../../../src/metadata/entity-model";
import { resolveSchema } from "../../../src/metadata/schema";
import { selectText } from "../../../src/sql/select-text";
import { SqlAnalyzer } from "../../../src/sql/statement";
import { tokenize, type Dialect } from "../../../src/sql/tokenizer";
import { RedisKeys } from "../../../src/store/redis/redis-keys";

const PROPERTIES = 8;
const CASES = Math.ceil(Number(process.env["FUZZ_CASES"] ?? 4000) / PROPERTIES);
const numRuns = { numRuns: CASES };
/** Milliseconds; what is asked for is a lot, and only a hang takes longer. */
const LIMIT = 60_000 + 30 * CASES;

const Thing = new EntitySchema<ObjectLiteral>({
  name: "Thing",
  columns: {
    id: { type: Number, primary: true },
    tenant: { type: Number },
    name: { type: String },
    code: { type: "blob", nullable: true },
    at: { type: "datetime", nullable: true },
    json: { type: "simple-json", nullable: true },
    list: { type: "simple-array", nullable: true },
    on: { type: Boolean, default: false },
  },
});
const KEYS = [["tenant", "name"], ["name"], ["code"], ["on"]];

/** Names that mean something to objects, and to this library. */
const NAME = fc.oneof(
  fc.constantFrom("__proto__", "constructor", "prototype", "toString", "toJSON", "then", "length", "", "id", "table"),
  fc.string({ maxLength: 3 }),
);
const KIND = fc.constantFrom("d", "b", "n", "f", "j", "a", "o", "u", "__proto__", "");
/** JSON as our codecs make it, and near misses. */
const json = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small" },
    fc.constantFrom<unknown>(null, true, 0, -0, 1e300, 1, "", "now", "2020-01-01", "__proto__"),
    fc.string({ maxLength: 4 }),
    fc.double({ noNaN: true }),
    fc.tuple(KIND, tie("value")),
    fc.array(tie("value"), { maxLength: 8 }),
    fc.array(fc.tuple(NAME, tie("value")), { maxLength: 4 }).map((entries) => Object.fromEntries(entries)),
  ),
})).value;
const cut = (texts: fc.Arbitrary<string>) =>
  fc.tuple(texts, fc.nat(), fc.nat(3), fc.string({ maxLength: 2 })).map(([text, at, gone, put]) => {
    const place = at % (text.length + 1);
    return text.slice(0, place) + put + text.slice(place + gone);
  });
const jsonText = json.map((value) => JSON.stringify(value));
const text = fc.oneof(jsonText, cut(jsonText), fc.string({ unit: "binary" }), fc.json());

/** Everything that hangs on what all objects have in common. */
function shared(): string {
  const of = [Object, Array, String, Number, Function, Map, Set, Promise, Date, Buffer, RegExp].map(
    ({ prototype }) => prototype as object,
  );
  return of.map((one) => Reflect.ownKeys(one).map(String).join()).join("\n");
}

/** The value, or undefined if that throws an error, as it may. */
function attempt<Value>(work: () => Value): Value | undefined {
  try {
    return work();
  } catch (error) {
    expect(isNativeError(error)).toBe(true);
    return undefined;
  }
}

describe("hostile input", () => {
  const dataSource = new DataSource({ type: "better-sqlite3", database: ":memory:", entities: [Thing] });
  let model: EntityModel;
  let codec: RowCodec;
  let before: string;
  beforeAll(async () => {
    await dataSource.initialize();
    model = resolveSchema(dataSource, { entities: { Thing: { keys: KEYS } } }).models[0]!;
    codec = new RowCodec(dataSource, model);
  });
  afterAll(() => dataSource.destroy());
  beforeEach(() => void (before = shared()));
  afterEach(() => expect(shared()).toBe(before));

  it(
    "as the payload of rows makes entities or an error",
    () => {
      const good = fc.oneof(
        fc.constantFrom<unknown>(
          null,
          true,
          0,
          1,
          "",
          "x",
          '{"a":1}',
          ["d", 5],
          ["d", null],
          ["b", "AA=="],
          ["n", "7"],
        ),
        json.map((value) => ["j", value]),
      );
      const row = fc.array(fc.oneof({ weight: 9, arbitrary: good }, json), { minLength: 8, maxLength: 8 });
      const rows = fc.array(row, { maxLength: 2 }).map((some) => JSON.stringify(some));
      let made = 0;
      fc.assert(
        fc.property(fc.oneof(rows, cut(rows), text), (payload) => {
          const entities = attempt(() => codec.decode(payload).map((one) => codec.hydrate(one)));
          for (const entity of entities ?? []) {
            made += 1;
            const names = Object.keys(entity);
            expect(names.every((name) => name in Thing.options.columns)).toBe(true);
            expect(Object.getPrototypeOf(entity)).toBe(Object.prototype);
          }
        }),
        numRuns,
      );
      expect(made).toBeGreaterThan(CASES / 20);
    },
    LIMIT,
  );

  it(
    "as the payload of a statement makes rows or an error",
    () => {
      const result = fc.tuple(fc.array(NAME, { maxLength: 3 }), fc.array(fc.array(json, { maxLength: 3 })));
      const results = result.map((value) => JSON.stringify(value));
      fc.assert(
        fc.property(fc.oneof(results, cut(results), text), (payload) => {
          for (const row of attempt(() => decodeResult(payload)) ?? []) {
            expect(Object.getPrototypeOf(row)).toBe(Object.prototype);
          }
        }),
        numRuns,
      );
    },
    LIMIT,
  );

  it(
    "as an entry is read as it is written, or is none",
    () => {
      const lines = fc.array(fc.oneof(fc.constantFrom("1", "2 5", "a b", ""), text), { maxLength: 6 });
      const entries = lines.map((some) => some.join("\n"));
      fc.assert(
        fc.property(fc.oneof(entries, cut(entries), text), (value) => {
          const entry = decodeEntry(value);
          if (entry !== undefined) expect(encodeEntry(entry)).toBe(value);
        }),
        numRuns,
      );
    },
    LIMIT,
  );

  it(
    "as something packed unpacks to no more than may be, or is an error",
    () => {
      const decompress = (bytes: Buffer, most: number) => inflateRawSync(bytes, { maxOutputLength: most });
      const packing = new PayloadPacking({
        codec: { name: "x", compress: (bytes) => bytes, decompress },
        above: 0,
        maxUnpackedBytes: 100,
      });
      const packed = fc
        .oneof(fc.base64String(), text)
        .chain((body) => fc.constantFrom(`~x:${body}`, `~y:${body}`, `~${body}`, body));
      fc.assert(
        fc.property(packed, (payload) => {
          const found = attempt(() => packing.unpack(payload));
          if (payload.startsWith("~")) expect((found ?? "").length).toBeLessThanOrEqual(100);
          else expect(found).toBe(payload);
        }),
        numRuns,
      );
    },
    LIMIT,
  );

  it(
    "as a message is understood or rejected, and without the secret always rejected",
    () => {
      const part = fc.oneof(json, fc.constantFrom<unknown>("thing", [], [{ id: 1 }], "update", 1, null));
      const names = fc.constantFrom(
        ..."v table operation rows ids id tags origin sequence locked __proto__ constructor".split(" "),
      );
      const body = fc.array(fc.tuple(names, part)).map((entries) => JSON.stringify(Object.fromEntries(entries)));
      const own = encodeChange(
        { table: "thing", group: "thing", operation: "update", rows: [{ id: 1 }], tags: ["thing|id=1"] },
        "thing|",
        "me",
        1,
        "secret",
      );
      const nothing = () => undefined;
      const listener: ChannelListener = {
        ...{ told: nothing, locked: nothing, asked: nothing, rejected: nothing },
        ...{ gap: nothing, lost: nothing, confirmed: nothing },
      };
      const channel = new ChangeChannel("me", undefined, listener);
      const kinds = new Set<string>();
      fc.assert(
        fc.property(fc.oneof(body, cut(body), cut(fc.constant(own)), text), (message) => {
          const heard = decodeMessage(message);
          kinds.add(heard.kind);
          if (heard.kind === "told") expect(heard.change.tags.every((tag) => typeof tag === "string")).toBe(true);
          if (message !== own) {
            expect(decodeMessage(message, "secret")).toMatchObject({ kind: "rejected", why: "unsigned" });
          }
          channel.message(message);
        }),
        numRuns,
      );
      expect([...kinds].sort()).toEqual(expect.arrayContaining(["asked", "rejected"]));
    },
    LIMIT,
  );

  it(
    "as SQL is read in every dialect, or is not understood",
    () => {
      const piece = fc.constantFrom(
        ..."select from where and or in is null join left on with as recursive insert into values update set delete".split(
          " ",
        ),
        ..."( ) , . ; ' \" ` [ ] -- /* */ # $$ $a$ $1 ? :a @a := e' u&\" \\ \0 \n 1 0x1F 1e' t a.b age( now( || && =".split(
          " ",
        ),
        ..."__proto__ constructor case when between union limit order by distinct returning commit begin savepoint".split(
          " ",
        ),
      );
      const sql = fc.oneof(
        fc.array(piece, { maxLength: 40 }).map((some) => some.join(" ")),
        fc.array(piece, { maxLength: 40 }).map((some) => some.join("")),
        fc.string({ unit: "binary" }),
      );
      const dialects: readonly Dialect[] = ["sqlite", "postgres", "mysql"];
      const analyzers = dialects.map((dialect) => new SqlAnalyzer(dialect));
      fc.assert(
        fc.property(sql, (query) => {
          for (const analyzer of analyzers) {
            const tokens = tokenize(query, analyzer.dialect);
            const length = (tokens ?? []).reduce((sum, one) => sum + one.text.length, 0);
            // Lower case may be longer: İ.
            expect(length).toBeLessThanOrEqual(3 * query.length);
            const { statements } = analyzer.analyze(query);
            // What is not understood may write anything; it is never taken for a read.
            if (tokens === undefined && !/^\s*select\b/i.test(query)) expect(statements[0]?.kind).toBe("write");
            if (tokens === undefined) expect(selectText(query, analyzer.dialect).refusal).toBe("not-understood");
          }
        }),
        numRuns,
      );
    },
    LIMIT,
  );

  it(
    "as values that are looked up gives two lookups one key only if they are the same",
    () => {
      const value = fc.oneof(
        fc.constantFrom<unknown>(
          1,
          "1",
          true,
          "true",
          0,
          -0,
          "0",
          1n,
          "",
          ",",
          '"',
          "1,1",
          '1","1',
          "\ud800",
          "\ufffd",
          "\0",
          "{",
          "}",
        ),
        fc.string({ unit: fc.constantFrom(",", '"', "\\", "1", "a", "A", " ", "}", ":", "e", "\ud800") }),
        fc.string({ unit: "binary", minLength: 150, maxLength: 200 }),
        fc.integer(),
        fc.date({ noInvalidDate: true }),
        fc.uint8Array({ maxLength: 4 }),
      );
      const lookup = fc.constantFrom(...model.keys).chain((key) =>
        fc.record({
          key: fc.constant(key),
          values: fc.array(value, { minLength: key.columns.length, maxLength: key.columns.length }),
          namespace: fc.constantFrom("a", "b", "a:v1", "a{", "a%007b"),
          modifiers: fc.constantFrom("", " limit 1"),
        }),
      );
      interface Lookup {
        readonly key: Key;
        readonly values: readonly unknown[];
        readonly namespace: string;
        readonly modifiers: string;
      }
      /** How a lookup is told from others: by types too, but where the column takes both for one. */
      const identity = ({ key, values, namespace, modifiers }: Lookup) => {
        const known = values.map((one, at) => {
          const { canonical } = key.columns[at]!;
          const whole = /integer|boolean/.test(canonical.name) && typeof one !== "bigint" ? canonical(one) : undefined;
          if (whole !== undefined) return whole;
          return one instanceof Uint8Array ? ["bytes", ...one] : [typeof one, Object.is(one, -0) ? "-0" : one];
        });
        const plain = (_name: string, one: unknown) => (typeof one === "bigint" ? String(one) : one);
        return JSON.stringify([key.id, known, namespace, modifiers], plain);
      };
      const byKey = new Map<string, string>();
      fc.assert(
        fc.property(fc.array(lookup, { minLength: 2, maxLength: 4 }), (lookups) => {
          byKey.clear();
          for (const one of lookups) {
            if (!one.values.every(isKeyValue)) continue;
            const { key, values, namespace, modifiers } = one;
            const query = cachedQuery(model, "rows", key, values, values, { modifiers });
            const text = new RedisKeys(namespace, "0123456789abcdef").entry(
              model.group,
              entryKey(namespace, model, query),
            );
            // As Redis gets it, in which a lone surrogate is another character.
            const sent = Buffer.from(text).toString("latin1");
            expect(sent.length).toBeLessThan(400);
            const other = byKey.get(sent);
            if (other !== undefined) expect(other).toBe(identity(one));
            byKey.set(sent, identity(one));
          }
        }),
        numRuns,
      );
    },
    LIMIT,
  );

  it(
    "as what a key builder returns stays in its namespace and its table",
    () => {
      const hostile = fc.string({
        unit: fc.constantFrom(":", "{", "}", "v1", "e", "t", "g", "%", "\n", " ", "*", "a"),
      });
      fc.assert(
        fc.property(hostile, hostile, fc.boolean(), (namespace, built, fails) => {
          const keyBuilder = () => (fails ? (undefined as unknown as string) : built);
          const own = { ...model, settings: { ...model.settings, keyBuilder } };
          const query = cachedQuery(own, "row", own.primaryKey, [1], [1]);
          const key = attempt(() => entryKey(namespace, own, query));
          expect(key === undefined).toBe(fails || built === "");
          if (key === undefined) return;
          const keys = new RedisKeys(namespace, "0123456789abcdef");
          const [entry, guard] = [keys.entry(own.group, key), keys.guard(own.group)];
          expect(entry.startsWith(guard.slice(0, -1) + "e:")).toBe(true);
        }),
        numRuns,
      );
    },
    LIMIT,
  );
});
