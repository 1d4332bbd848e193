import { encodeRaw } from "../../src/codec/raw-value";
import { encodeEntry } from "../../src/core/entry";
import { EntrySignatures } from "../../src/core/entry-signature";
import { createTokenSource } from "../../src/core/token";
import { median, microsecondsOf } from "../measure";
import { MIDDLING, newProducts, type Shape } from "../product";
import { grouped } from "../report/text";
import type { Section } from "./section";

const SHAPES: readonly (readonly [string, Shape])[] = [
  ["1 row of 200 B", { ...MIDDLING, rows: 1 }],
  ["1 row of 2 KB", { ...MIDDLING, rows: 1, text: 2000 }],
  ["1 row of 50 KB", { ...MIDDLING, rows: 1, text: 50_000 }],
  ["50 rows of 200 B", { ...MIDDLING, rows: 50 }],
];

const PLACE = { namespace: "postgres.shop", group: "product", key: "Product@1a2b3c4d row id=1" };

/** What the option `entrySecret` adds to a hit and to a fill: all of it is this, on the main thread. */
export const signatures: Section = {
  name: "signatures",
  run: async ({ rounds }) => ({
    title: "signatures (entrySecret)",
    columns: ["", "characters", "more", "adds to a fill", "adds to a hit"],
    rows: SHAPES.map(([label, shape]) => rowOf(label, shape, rounds)),
    note: "HMAC-SHA256 over the whole entry and its place. Without the option nothing is called.",
  }),
};

function rowOf(label: string, shape: Shape, rounds: number): string[] {
  const mint = createTokenSource();
  const payload = JSON.stringify(newProducts(shape).map((product) => Object.values(product).map(encodeRaw)));
  const entry = { query: PLACE.key, tokens: [mint(), mint()], rowTags: [], payload };
  const signer = new EntrySignatures(["a secret of thirty-two bytes, 01"]);
  const text = encodeEntry(entry);
  const signed = signer.sign(PLACE, text);
  const found = { ...entry, payload: payload + signed.slice(text.length) };
  if (signer.payloadOf(PLACE, found) !== payload) throw new Error("The signature is not good.");
  const times = { sign: [] as number[], verify: [] as number[] };
  for (let round = -10; round < rounds * 4; round += 1) {
    const sign = microsecondsOf(() => signer.sign(PLACE, text));
    const verify = microsecondsOf(() => signer.payloadOf(PLACE, found));
    // The first rounds warm up.
    if (round < 0) continue;
    times.sign.push(sign);
    times.verify.push(verify);
  }
  const more = signed.length - text.length;
  const added = [times.sign, times.verify].map((all) => `${median(all).toFixed(2)} µs`);
  return [label, grouped(text.length), String(more), ...added];
}
