import * as zlib from "node:zlib";
import { CacheConfigError } from "../errors";
import { UnencodableValue } from "./raw-value";

/**
 * Makes bytes smaller, and gives them back as they were. Called for each large entry that is stored or read, on the main thread.
 *
 * @example
 * import { compressSync, uncompressSync } from "lz4-napi";
 * const lz4: Compressor = { name: "lz4", compress: compressSync, decompress: uncompressSync };
 */
export interface Compressor {
  /** Stands in every entry that it has made; letters, digits and hyphens. Whoever has another one misses. */
  readonly name: string;
  compress(bytes: Buffer): Uint8Array;
  /** Throws if the bytes are none of its own. */
  decompress(bytes: Buffer): Uint8Array;
}

/** Which payloads are packed, and with what. */
export interface CompressionSettings {
  readonly codec: Compressor;
  /** Bytes; characters beyond ASCII count as one. */
  readonly above: number;
}

/** What no payload begins with that was not packed. */
const MARK = "~";

/**
 * Zstandard, as it comes with Node.js from 22.15 on.
 *
 * @param level 1 (fast) to 22 (small). Default: 3
 * @throws CacheConfigError `CONFIG_INVALID` if this Node.js has none
 * @example
 * await attachCache(dataSource, { store, compression: { codec: zstd(), above: 4096 } });
 */
export function zstd(level = 3): Compressor {
  const { zstdCompressSync, zstdDecompressSync, constants } = zlib as Partial<Zstd>;
  if (zstdCompressSync === undefined || zstdDecompressSync === undefined) {
    throw new CacheConfigError(
      "CONFIG_INVALID",
      `Node.js ${process.versions.node} has no Zstandard. Use Node.js 22.15 or later, or a codec of your own, such as that of lz4-napi.`,
    );
  }
  const params = { [constants?.["ZSTD_c_compressionLevel"] ?? 100]: level };
  return {
    name: "zstd",
    compress: (bytes) => zstdCompressSync(bytes, { params }),
    decompress: (bytes) => zstdDecompressSync(bytes),
  };
}

/** Packs large payloads. They stay texts, since entries are: Base64 gives back a third of what was saved. */
export class PayloadPacking {
  constructor(private readonly compression: CompressionSettings | undefined) {}

  /** The payload, or something shorter from which {@link unpack} makes it again. */
  pack(payload: string): string {
    const { compression } = this;
    if (compression === undefined || payload.length <= compression.above) return payload;
    const { codec } = compression;
    let packed: string;
    try {
      packed = `${MARK}${codec.name}:${base64(codec.compress(Buffer.from(payload)))}`;
    } catch {
      return payload; // Nothing is lost but room.
    }
    return packed.length < payload.length ? packed : payload;
  }

  /** @throws if it was packed by another compressor, or is not what that has made */
  unpack(payload: string): string {
    if (!payload.startsWith(MARK)) return payload;
    const codec = this.compression?.codec;
    const end = payload.indexOf(":");
    if (codec === undefined || payload.slice(1, end) !== codec.name) {
      throw new UnencodableValue(`The payload was packed with ${payload.slice(1, end)}.`);
    }
    return textOf(codec.decompress(Buffer.from(payload.slice(end + 1), "base64")));
  }
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8");
}

/** Not in the types of the oldest Node.js that is supported. */
interface Zstd {
  zstdCompressSync(bytes: Buffer, options: { readonly params: Record<number, number> }): Buffer;
  zstdDecompressSync(bytes: Buffer): Buffer;
  readonly constants: Readonly<Record<string, number>>;
}
