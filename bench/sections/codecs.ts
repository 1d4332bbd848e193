import { deepStrictEqual } from "node:assert";
import { deserialize, serialize } from "node:v8";
import { decode as fromCbor, encode as toCbor } from "cbor-x";
import { pack, unpack } from "msgpackr";
import { decodeRaw, encodeRaw } from "../../src/codec/raw-value";
import { median, microsecondsOf } from "../measure";
import { MIDDLING, newProducts, type Shape } from "../product";
import { grouped } from "../report/text";
import type { Section } from "./section";

type Row = Readonly<Record<string, unknown>>;

/** Makes something to store of rows as a driver returns them, and equal values of it again, row by row. */
interface Codec {
  readonly name: string;
  readonly encode: (rows: readonly Row[]) => string | Buffer;
  readonly decode: (stored: Buffer) => readonly (readonly unknown[])[];
}

const COLUMNS = "id sku name description categoryId priceInCents stock active createdAt".split(" ");
const valuesOf = (rows: readonly Row[]) => rows.map((row) => COLUMNS.map((column) => row[column]));

const CODECS: readonly Codec[] = [
  {
    name: "JSON of lists of values (src/codec)",
    encode: (rows) => JSON.stringify(valuesOf(rows).map((values) => values.map(encodeRaw))),
    decode: (stored) => (JSON.parse(stored.toString()) as unknown[][]).map((values) => values.map(decodeRaw)),
  },
  {
    name: "JSON of objects",
    encode: (rows) => JSON.stringify(rows),
    // Which columns are dates is known by heart: JSON does not say it.
    decode: (stored) =>
      (JSON.parse(stored.toString()) as Row[]).map((row) =>
        COLUMNS.map((column) => (column === "createdAt" ? new Date(row[column] as string) : row[column])),
      ),
  },
  {
    name: "msgpackr, lists of values",
    encode: (rows) => pack(valuesOf(rows)),
    decode: (stored) => unpack(stored) as unknown[][],
  },
  {
    name: "msgpackr, records",
    encode: (rows) => pack(rows),
    decode: (stored) => valuesOf(unpack(stored) as Row[]),
  },
  {
    name: "cbor-x, lists of values",
    encode: (rows) => toCbor(valuesOf(rows)),
    decode: (stored) => fromCbor(stored) as unknown[][],
  },
  {
    name: "v8.serialize, lists of values",
    encode: (rows) => serialize(valuesOf(rows)),
    decode: (stored) => deserialize(stored) as unknown[][],
  },
];

const SHAPES: readonly (readonly [string, Shape])[] = [
  ["1 row of 200 B", { ...MIDDLING, rows: 1 }],
  ["1 row of 2 KB", { ...MIDDLING, rows: 1, text: 2000 }],
  ["1 row of 50 KB", { ...MIDDLING, rows: 1, text: 50_000 }],
  ["50 rows of 200 B", { ...MIDDLING, rows: 50 }],
  ["1,000 rows of 200 B", { ...MIDDLING, rows: 1000 }],
];

/** What formats cost, from rows to what is sent to Redis, and from the bytes that come back to rows. */
export const codecs: Section = {
  name: "codecs",
  run: async ({ rounds }) => ({
    title: "codecs",
    columns: ["", "bytes", "encode", "decode", "decode / ours"],
    rows: SHAPES.flatMap(([label, shape]) => rowsOf(label, shape, rounds)),
    note: "From rows with texts, numbers, a boolean and a date to what is sent, and from a buffer back to equal values.",
  }),
};

function rowsOf(label: string, shape: Shape, rounds: number): string[][] {
  const rows = newProducts(shape).map((product, at) => ({
    id: at + 1,
    ...product,
    active: true,
    createdAt: new Date(),
  }));
  const contenders = CODECS.map((codec) => {
    const stored = Buffer.from(codec.encode(rows));
    deepStrictEqual(codec.decode(stored), valuesOf(rows));
    return { codec, stored, encode: [] as number[], decode: [] as number[] };
  });
  for (let round = -10; round < rounds * 4; round += 1) {
    for (const { codec, stored, encode, decode } of contenders) {
      const times = [microsecondsOf(() => codec.encode(rows)), microsecondsOf(() => codec.decode(stored))] as const;
      // The first rounds warm up.
      if (round < 0) continue;
      encode.push(times[0]);
      decode.push(times[1]);
    }
  }
  const ours = median(contenders[0]!.decode);
  return contenders.map(({ codec, stored, encode, decode }) => [
    `${label}: ${codec.name}`,
    grouped(stored.length),
    `${median(encode).toFixed(2)} µs`,
    `${median(decode).toFixed(2)} µs`,
    (median(decode) / ours).toFixed(2),
  ]);
}
