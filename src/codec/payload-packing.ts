import * as zlib from "node:zlib";
import { CacheConfigError } from "../errors";
import { UnencodableValue } from "./raw-value";

/**
 * Makes bytes smaller, and gives them back as they were. Called for each large entry that is stored or read, on the main thread.
 *
 * @example
 * import { compressSync, uncompressSync } from "lz4-napi";
 * const lz4: Compressor = {
 *   name: "lz4",
 *   compress: (bytes) => compressSync(bytes),
 *   decompress(bytes, most) {
 *     if (bytes.readUInt32LE(0) > most) throw new RangeError("too large"); // It begins with its length.
 *     return uncompressSync(bytes);
 *   },
 * };
 */
export interface Compressor {
  /** Stands in every entry that it has made; letters, digits and hyphens. Whoever has another one misses. */
  readonly name: string;
  compress(bytes: Buffer): Uint8Array;
  /**
   * Throws if the bytes are none of its own.
   *
   * @param most bytes that may come out: a codec that can should stop there, since a few bytes may ask for a lot of memory
   */
  decompress(bytes: Buffer, most: number): Uint8Array;
}

/** Which payloads are packed, and with what. */
export interface CompressionSettings {
  readonly codec: Compressor;
  /** Bytes; characters beyond ASCII count as one. */
  readonly above: number;
  /** Bytes of a payload at most, when it is unpacked. */
  readonly maxUnpackedBytes: number;
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
    decompress: (bytes, most) => zstdDecompressSync(bytes, { maxOutputLength: most }),
  };
}

/** Packs large payloads. They stay texts, since entries are: Base64 gives back a third of what was saved. */
export class PayloadPacking {
  constructor(private readonly compression: CompressionSettings | undefined) {}

  /** The payload, or something shorter from which {@link unpack} makes it again. */
  pack(payload: string): string {
    const { compression } = this;
    if (compression === undefined || payload.length <= compression.above) return payload;
    const { codec, maxUnpackedBytes } = compression;
    const bytes = Buffer.from(payload);
    // Nobody would unpack it.
    if (bytes.length > maxUnpackedBytes) return payload;
    let packed: string;
    try {
      packed = `${MARK}${codec.name}:${base64(codec.compress(bytes))}`;
    } catch {
      return payload; // Nothing is lost but room.
    }
    return packed.length < payload.length ? packed : payload;
  }

  /** @throws if it was packed by another compressor, or is not what that has made, or becomes larger than may be */
  unpack(payload: string): string {
    if (!payload.startsWith(MARK)) return payload;
    const { codec, maxUnpackedBytes = 0 } = this.compression ?? {};
    const end = payload.indexOf(":");
    if (codec === undefined || payload.slice(1, end) !== codec.name) {
      throw new UnencodableValue(`The payload was packed with ${payload.slice(1, end)}.`);
    }
    const bytes = codec.decompress(Buffer.from(payload.slice(end + 1), "base64"), maxUnpackedBytes);
    if (bytes.byteLength > maxUnpackedBytes) throw new UnencodableValue("The payload unpacks to more than may be.");
    return textOf(bytes);
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
  zstdDecompressSync(bytes: Buffer, options: { readonly maxOutputLength: number }): Buffer;
  readonly constants: Readonly<Record<string, number>>;
}
