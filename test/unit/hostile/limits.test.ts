// Work and memory that somebody else's input may take: counted, never timed.
import { describe, expect, it } from "@jest/globals";
import { decodeResult, encodeResult } from "../../../src/codec/result-codec";
import { encodeRaw, UnencodableValue } from "../../../src/codec/raw-value";
import { encodeEntry } from "../../../src/core/entry";
import { CacheReporter } from "../../../src/telemetry/cache-reporter";
import { ChangeChannel, type ChannelListener } from "../../../src/feed/change-channel";
import { decodeMessage } from "../../../src/feed/change-message";
import { rowTarget } from "../../../src/sql/row-target";
import { SelectAnalyzer } from "../../../src/sql/select-text";
import { selectShape } from "../../../src/sql/select-shape";
import { SqlAnalyzer } from "../../../src/sql/statement";
import { tokenize, type Dialect, type SqlToken } from "../../../src/sql/tokenizer";
import { viewQuery } from "../../../src/sql/view-query";
import { MemoryStore } from "../../../src/store/memory-store";
import { History } from "../../../src/telemetry/history";

const DIALECTS: readonly Dialect[] = ["sqlite", "postgres", "mysql"];

const listOf = (count: number, item: (at: number) => string) => Array.from({ length: count }, (_, at) => item(at));

/** Each repeats something; none is what an application sends. */
const TEXTS: Record<string, (count: number) => string> = {
  "open parentheses": (count) => `SELECT * FROM t WHERE ${"(".repeat(count)}`,
  parentheses: (count) => `SELECT * FROM t WHERE ${"(".repeat(count)}${")".repeat(count)}`,
  "tables in open parentheses": (count) => `SELECT * FROM ${"(".repeat(count)}${listOf(count, () => "t").join()}`,
  "nested queries": (count) => `SELECT * FROM ${"(SELECT * FROM ".repeat(count)}`,
  "nested calls": (count) => `SELECT ${"f(".repeat(count)}`,
  "nested calls that may ask the clock": (count) => `SELECT ${"age(".repeat(count)}`,
  "open lists of WITH": (count) => "WITH a (".repeat(count),
  "nested WITH": (count) => "WITH a (b) AS (".repeat(count),
  "nested ORs": (count) => `DELETE FROM t WHERE ${"(a = 1 OR ".repeat(count)}`,
  "joins that stay open": (count) => `SELECT * FROM t a ${"LEFT JOIN t ON ( ".repeat(count)}`,
  joins: (count) => `SELECT * FROM t a ${listOf(count, (at) => `JOIN t b${at} ON b${at}.x = a.y`).join(" ")}`,
  columns: (count) => `SELECT ${listOf(count, (at) => `"a"."c${at}" AS "x${at}"`).join()} FROM t a`,
  "columns of a page": (count) => {
    const names = listOf(count, (at) => `"d"."x${at}" AS "y${at}"`).join();
    const columns = listOf(count, (at) => `"a"."c${at}" AS "x${at}"`).join();
    return `SELECT DISTINCT ${names} FROM (SELECT ${columns} FROM t a) d ORDER BY ${listOf(count, (at) => `"x${at}"`).join()}`;
  },
  BETWEEN: (count) => `DELETE FROM t WHERE ${"a BETWEEN 1 AND ".repeat(count)}`,
  rows: (count) => `INSERT INTO t (a) VALUES ${"(1),".repeat(count)}`,
};

/** The tokens of a text, and how often one of them was looked at. */
function counted(tokens: readonly SqlToken[]): { readonly tokens: readonly SqlToken[]; readonly looks: () => number } {
  let looks = 0;
  const get = (target: readonly SqlToken[], name: string | symbol, receiver: unknown): unknown => {
    looks += 1;
    return Reflect.get(target, name, receiver);
  };
  return { tokens: new Proxy(tokens, { get }), looks: () => looks };
}

describe("reading SQL", () => {
  it.each(Object.entries(TEXTS))("takes work in proportion to its length: %s", (_, text) => {
    for (const dialect of DIALECTS) {
      const sql = text(800);
      const tokens = tokenize(sql, dialect)!;
      const { tokens: watched, looks } = counted(tokens);
      viewQuery(sql, dialect, watched);
      selectShape(watched);
      rowTarget(watched);
      // One that looks at all tokens for each of them is beyond by far.
      expect(looks() / tokens.length).toBeLessThan(300);
    }
  });

  it("gives up on queries in queries in queries", () => {
    for (const dialect of DIALECTS) {
      for (const open of ["SELECT * FROM (", "WITH a AS ("]) {
        const nested = (depth: number) => `${open.repeat(depth)}SELECT * FROM t${") b".repeat(depth)}`;
        const { unclear } = viewQuery(nested(300), dialect);
        expect(unclear).toBe("is not understood");
      }
      const { relations, unclear } = viewQuery(`${"SELECT * FROM (".repeat(100)}t${") b".repeat(100)}`, dialect);
      expect({ relations, unclear }).toEqual({ relations: [["t"]], unclear: undefined });
    }
  });

  it.each([
    ["many alternatives with many conditions", `a IN (${listOf(1500, String).join()}) ${"AND f(x) ".repeat(5000)}`],
    ["many comparisons with NULL", `${"a IS NULL AND ".repeat(5000)} a IS NULL`],
    ["many alternatives in each of many", `${`(a IN (${listOf(40, String).join()}) AND f(x)) AND `.repeat(50)} b = 1`],
  ])("gives up on a WHERE of %s", (_, where) => {
    for (const dialect of DIALECTS) {
      expect(rowTarget(tokenize(`DELETE FROM t WHERE ${where}`, dialect)!)).toBeUndefined();
    }
  });

  it.each([
    "(",
    ")",
    "'",
    '"',
    "`",
    "[",
    "/*",
    "--",
    "$a$",
    "$a",
    "\\",
    ";",
    "a.",
    "e'\\'",
    "1e",
    "1.",
    ":a",
    "@",
    " ",
    "\0",
  ])("gets to the end of very many of %j", (unit) => {
    for (const dialect of DIALECTS) {
      const sql = `DELETE FROM t WHERE a = ${unit.repeat(20_000)}`;
      expect(new SqlAnalyzer(dialect).analyze(sql).statements[0]?.kind).toBe("write");
    }
  });
});

describe("what is nested", () => {
  const nested = (depth: number, wrap: (inner: unknown) => unknown) => {
    let value: unknown = 1;
    for (let level = 0; level < depth; level += 1) value = wrap(value);
    return value;
  };
  const WRAPS: Record<string, (inner: unknown) => unknown> = {
    lists: (inner) => [inner],
    objects: (inner) => ({ a: inner }),
    "lists that JSON does not keep": (inner) => [inner, NaN],
  };

  it.each(Object.entries(WRAPS))("deeper than any row is not kept, whatever the stack: %s", (_, wrap) => {
    for (const depth of [1000, 100_000]) {
      expect(() => encodeRaw(nested(depth, wrap))).toThrow(UnencodableValue);
      expect(() => encodeResult([{ column: nested(depth, wrap) }])).toThrow(UnencodableValue);
    }
    const kept = encodeResult([{ column: nested(100, wrap) }]);
    expect(encodeResult(decodeResult(kept))).toBe(kept);
  });

  it("in itself is not kept", () => {
    const loop: unknown[] = [];
    loop.push(loop);
    expect(() => encodeRaw(loop)).toThrow(UnencodableValue);
  });

  it("100,000 deep in a payload or a message is an error or a value, and the process goes on", () => {
    for (const [open, close] of [
      ["[", "]"],
      ['{"a":', "}"],
      ['["a",[', "]]"],
      ['["o",[["a",', "]]]"],
    ] as const) {
      const deep = `${open.repeat(100_000)}1${close.repeat(100_000)}`;
      const read = () => decodeResult(`[["x"],[[${deep}]]]`);
      // JSON that holds no value of ours is handed on as it is.
      if (open.startsWith("{")) expect(read()).toHaveLength(1);
      else expect(read).toThrow();
      expect(decodeMessage(deep).kind).toBe("rejected");
    }
  });
});

describe("memory", () => {
  it("does not grow with the number of SQL texts", () => {
    for (const analyzer of [new SqlAnalyzer("sqlite"), new SelectAnalyzer("sqlite")]) {
      for (let at = 0; at < 5000; at += 1) analyzer.analyze(`DELETE FROM t WHERE id = ${at}`);
      analyzer.analyze(`DELETE FROM t WHERE name = '${"x".repeat(50_000)}'`);
      const { known } = analyzer as unknown as { readonly known: Map<string, unknown> };
      expect(known.size).toBe(2000);
      expect(Math.max(...Array.from(known.keys(), ({ length }) => length))).toBeLessThan(20_000);
    }
  });

  it("does not grow with the number of keys", async () => {
    const store = new MemoryStore({ maxEntries: 100, maxBytes: 100_000 });
    await store.open({ namespace: "n", lockTtl: 1000, timeout: 50 });
    for (let at = 0; at < 2000; at += 1) {
      const tags = ["g|", `g|id=${at}`];
      const tokens = await store.prepare(tags);
      const value = encodeEntry({ query: `${at}`, rowTags: [], tokens, payload: "x" });
      await store.fill([{ key: `${at}`, group: "g", value, ttl: 60_000 }]);
      const claim = { key: `${at}`, group: "g", holder: "h", ttl: 1000 };
      await store.claim(claim);
      await store.release(claim);
      await store.lock(tags, `h${at}`, []);
      await store.unlock({ tags, holder: `h${at}`, token: "t", tagTtl: 1000, watched: [], entries: [] });
    }
    const { entries, tokens, locks, claims } = store as unknown as Record<string, Map<string, unknown>>;
    const held = (claims as unknown as { readonly claims: Map<string, unknown> }).claims;
    expect([entries!.size, locks!.size, held.size]).toEqual([100, 0, 0]);
    expect(tokens!.size).toBeLessThanOrEqual(800);
  });

  it("does not grow with what others publish", () => {
    const reporter = new CacheReporter("test");
    const history = new History(reporter);
    const listener: ChannelListener = {
      told: (change, origin, sequence) => reporter.emit("invalidated", { ...change, origin, sequence, own: false }),
      ...{ locked: () => undefined, asked: () => undefined, rejected: () => undefined },
      ...{ gap: () => undefined, lost: () => undefined, confirmed: () => undefined },
    };
    const channel = new ChangeChannel("me", undefined, listener);
    const told = (origin: string, tags: readonly string[]) =>
      JSON.stringify({ v: 1, table: "t".repeat(1000), operation: "update", rows: null, tags, origin, sequence: 1 });
    for (let at = 0; at < 20_000; at += 1) channel.message(told(`o${at}`, [`${at}${"x".repeat(1000)}`]));
    for (let at = 0; at < 100; at += 1) channel.message(told(`${at}${"o".repeat(10_000)}`, []));
    const { heard } = channel as unknown as { readonly heard: Map<string, number> };
    expect(heard.size).toBe(10_000);
    expect(Math.max(...Array.from(heard.keys(), ({ length }) => length))).toBeLessThanOrEqual(64);
    const { invalidations } = history as unknown as { readonly invalidations: { readonly calculatedSize: number } };
    expect(invalidations.calculatedSize).toBeLessThanOrEqual(4_000_000);
  });
});
