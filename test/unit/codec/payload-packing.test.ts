import fc from "fast-check";
import { deflateRawSync, inflateRawSync } from "node:zlib";
import { compressSync, uncompressSync } from "lz4-napi";
import * as zlib from "node:zlib";
import { PayloadPacking, zstd, type Compressor } from "../../../src/codec/payload-packing";

const lz4: Compressor = {
  name: "lz4",
  compress: (bytes) => compressSync(bytes),
  decompress(bytes, most) {
    if (bytes.readUInt32LE(0) > most) throw new RangeError("too large");
    return uncompressSync(bytes);
  },
};
const deflate: Compressor = {
  name: "deflate",
  compress: (bytes) => deflateRawSync(bytes),
  decompress: (bytes, most) => inflateRawSync(bytes, { maxOutputLength: most }),
};
/** Looks at no limit. */
const careless: Compressor = { ...deflate, decompress: (bytes) => inflateRawSync(bytes) };
const MOST = 10_000_000;
const hasZstd = "zstdCompressSync" in zlib;
const CODECS = { lz4, deflate, ...(hasZstd ? { zstd: zstd() } : {}) };

const json = fc.array(fc.json()).map((values) => JSON.stringify(values));
const repeated = fc
  .tuple(fc.string({ unit: "binary" }), fc.nat(200))
  .map(([text, times]) => `[${JSON.stringify(text.repeat(times))}]`);

describe("a packed payload", () => {
  it.each(Object.entries(CODECS))("comes back as it was, with %s", (_, codec) => {
    const packing = new PayloadPacking({ codec, above: 64, maxUnpackedBytes: MOST });
    fc.assert(
      fc.property(fc.oneof(json, repeated), (payload) => {
        // JSON escapes what UTF-8 cannot hold.
        const packed = packing.pack(payload);
        expect(packing.unpack(packed)).toBe(payload);
        expect(packed.length).toBeLessThanOrEqual(payload.length);
        if (payload.length <= 64) expect(packed).toBe(payload);
      }),
    );
  });

  it("is smaller", () => {
    const payload = JSON.stringify(["A thing that one can buy, and what it is good for. ".repeat(100)]);
    const packed = new PayloadPacking({ codec: lz4, above: 1024, maxUnpackedBytes: MOST }).pack(payload);
    expect(packed.length).toBeLessThan(payload.length / 10);
    expect(packed).toMatch(/^~lz4:[\w+/=]+$/);
  });

  it("is refused by whoever has another codec, or none, or if it is broken", () => {
    const packing = new PayloadPacking({ codec: lz4, above: 0, maxUnpackedBytes: MOST });
    const packed = packing.pack(`["${"x".repeat(500)}"]`);
    for (const other of [undefined, { codec: deflate, above: 0, maxUnpackedBytes: MOST }]) {
      expect(() => new PayloadPacking(other).unpack(packed)).toThrow("packed with lz4");
    }
    for (const broken of ["~", "~lz4", "~:", `~lz4:${packed.slice(-20)}`])
      expect(() => packing.unpack(broken)).toThrow();
  });

  it.each(Object.entries({ ...CODECS, careless }))("becomes no larger than may be, with %s", (_, codec) => {
    const payload = `["${"x".repeat(2_000_000)}"]`;
    const bomb = new PayloadPacking({ codec, above: 0, maxUnpackedBytes: MOST }).pack(payload);
    expect(bomb.length).toBeLessThan(payload.length / 50);
    const careful = new PayloadPacking({ codec, above: 0, maxUnpackedBytes: 1_000_000 });
    expect(() => careful.unpack(bomb)).toThrow();
    // What it would not unpack it does not pack.
    expect(careful.pack(payload)).toBe(payload);
  });

  it("is left as it is by a codec that fails", () => {
    const codec: Compressor = {
      ...lz4,
      compress: () => {
        throw new Error("no memory");
      },
    };
    const payload = `["${"x".repeat(500)}"]`;
    expect(new PayloadPacking({ codec, above: 0, maxUnpackedBytes: MOST }).pack(payload)).toBe(payload);
  });

  it("of Zstandard needs a Node.js that has it", () => {
    if (hasZstd) expect(zstd().name).toBe("zstd");
    else expect(() => zstd()).toThrow(/has no Zstandard.*22\.15/);
  });
});
