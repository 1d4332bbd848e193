import { resolve } from "node:path";
import { inspect } from "node:util";
import type { DataSource } from "typeorm";
import type { CompressionSettings } from "./codec/payload-packing";
import { CoherentCache } from "./coherent-cache";
import { createTokenSource } from "./core/token";
import { CacheConfigError, CacheStateError } from "./errors";
import { milliseconds } from "./metadata/entity-settings";
import type { CacheLogger, CacheOptions, CompressionOptions, ResolvedOptions } from "./options";
import { DIALECTS } from "./sql/dialects";
import { MemoryStore } from "./store/memory-store";
import type { Store } from "./store/store";
import type { ChannelSettings } from "./write/change-hub";

const attached = new WeakSet<DataSource>();

/**
 * Attaches a cache to a data source, before or after `initialize()`. From then on every write through the data source keeps
 * the cache right; reads are cached where they go through `cache.repository(Entity)`.
 *
 * @returns the cache, ready to use; if the data source is not initialised yet, ready when it is
 * @throws CacheConfigError for options or decorators that cannot be meant; for a data source that is initialised later, its
 *   `initialize()` rejects with it
 * @throws CacheStateError `ALREADY_ATTACHED` on a second call for the same data source
 * @example
 * const cache = await attachCache(dataSource, { store: new RedisStore(new Redis(url)) });
 * await cache.repository(Product).findOneBy({ id: 1 });
 */
export async function attachCache(dataSource: DataSource, options: CacheOptions = {}): Promise<CoherentCache> {
  if (attached.has(dataSource)) {
    throw new CacheStateError(
      "ALREADY_ATTACHED",
      "This data source has a cache already. Close that one first, or use it.",
    );
  }
  const cache = new CoherentCache(dataSource, resolvedOptions(dataSource, options), () => attached.delete(dataSource));
  attached.add(dataSource);
  try {
    await cache.attach();
  } catch (error) {
    await cache.close().catch(() => undefined); // The reason why attaching failed is what counts.
    throw error;
  }
  return cache;
}

/**
 * What `attachCache()` makes of these options for this data source.
 *
 * @throws CacheConfigError for options that cannot be meant, and `DRIVER_UNSUPPORTED`
 */
export function resolvedOptions(dataSource: DataSource, options: CacheOptions): ResolvedOptions {
  const dialect = DIALECTS[dataSource.options.type];
  if (dialect === undefined) {
    throw new CacheConfigError(
      "DRIVER_UNSUPPORTED",
      `The driver "${dataSource.options.type}" is not supported; these are: ${Object.keys(DIALECTS).join(", ")}.`,
    );
  }
  return { ...checked(options), dialect, namespace: namespaceOf(dataSource, options) };
}

/** Options with their defaults, times in milliseconds. */
function checked(options: CacheOptions) {
  if (typeof options !== "object" || options === null) throw invalid("attachCache() takes an object of options.");
  const consistency = options.consistency ?? "available";
  if (!["strict", "available", "relaxed"].includes(consistency)) {
    throw invalid(`consistency is ${inspect(consistency)}, but must be "strict", "available" or "relaxed".`);
  }
  if (options.transparent !== undefined && typeof options.transparent !== "boolean") {
    throw invalid(`transparent is ${inspect(options.transparent)}, but must be true or false.`);
  }
  if (options.debug !== undefined && typeof options.debug !== "function") {
    throw invalid("debug must be a function that takes a line of text.");
  }
  const store = options.store ?? new MemoryStore();
  if (!isStore(store))
    throw invalid("store must be a Store, such as new RedisStore(new Redis(url)) or new MemoryStore().");
  const lockTtl = milliseconds(options.lockTtl ?? 2000, "lockTtl", 20);
  const storeTimeout = milliseconds(options.storeTimeout ?? Math.min(50, Math.floor(lockTtl / 2) - 1), "storeTimeout");
  if (storeTimeout >= lockTtl / 2) {
    throw invalid(
      `storeTimeout (${storeTimeout} ms) must be below half of lockTtl (${lockTtl} ms), or a lock could be too old by the time it is answered.`,
    );
  }
  const { entities, consistencyCheck } = options;
  const rate: unknown = consistencyCheck === undefined ? 1 : consistencyCheck?.sampleRate;
  if (typeof rate !== "number" || !(rate > 0 && rate <= 1)) {
    throw invalid(
      `consistencyCheck is ${inspect(consistencyCheck)}, but must be { sampleRate }, above 0 and at most 1.`,
    );
  }
  if (
    entities !== undefined &&
    entities !== "all" &&
    entities !== "decorated" &&
    (typeof entities !== "object" || entities === null || Array.isArray(entities))
  ) {
    throw invalid(
      `entities is ${inspect(entities)}, but must be "decorated", "all" or an object by entity name: { Product: { ttl: "10m" } }.`,
    );
  }
  return {
    channel: channelSettings(options.channel),
    compression: compressionSettings(options.compression),
    entrySecrets: entrySecrets(options.entrySecret),
    consistency,
    store,
    lockTtl,
    storeTimeout,
    logger: harmless(options.logger ?? console),
    options: { ...options, consistency },
  };
}

/** Undefined: no channel. */
function channelSettings(channel: CacheOptions["channel"] = true): ChannelSettings | undefined {
  if (channel === false) return undefined;
  if (channel !== true && (typeof channel !== "object" || channel === null)) {
    throw invalid(`channel is ${inspect(channel)}, but must be true, false, or { secret, heartbeat }.`);
  }
  const { secret, heartbeat = 1000 } = channel === true ? {} : channel;
  if (secret !== undefined && (typeof secret !== "string" || secret === "")) {
    throw invalid("channel.secret must be a text that is not empty; leave it out for a channel without one.");
  }
  return { secret, heartbeat: milliseconds(heartbeat, "channel.heartbeat", 60) };
}

/** Undefined: nothing is packed. */
function compressionSettings(compression: CacheOptions["compression"]): CompressionSettings | undefined {
  if (compression === undefined) return undefined;
  const {
    codec,
    above = 4096,
    maxUnpackedBytes = 16 * 1024 * 1024,
  } = (compression ?? {}) as Partial<CompressionOptions>;
  const isCodec =
    typeof codec === "object" &&
    codec !== null &&
    /^[\w-]+$/.test(codec.name) &&
    typeof codec.compress === "function" &&
    typeof codec.decompress === "function";
  if (!isCodec) throw invalid("compression.codec must be a Compressor: { name, compress, decompress }.");
  if (!Number.isSafeInteger(above) || above < 0) {
    throw invalid(`compression.above is ${inspect(above)}, but must be a number of bytes.`);
  }
  if (!Number.isSafeInteger(maxUnpackedBytes) || maxUnpackedBytes < 1) {
    throw invalid(
      `compression.maxUnpackedBytes is ${inspect(maxUnpackedBytes)}, but must be a number of bytes above 0.`,
    );
  }
  return { codec, above, maxUnpackedBytes };
}

/** RFC 2104, section 3: shorter than the hash, and a secret is weaker than the signature. */
const SHORTEST_SECRET = 32;

/** Undefined: nothing is signed. */
function entrySecrets(given: CacheOptions["entrySecret"]): readonly [string, ...string[]] | undefined {
  if (given === undefined) return undefined;
  const [first, ...others] = typeof given === "string" ? [given] : Array.isArray(given) ? (given as unknown[]) : [];
  if (first === undefined || ![first, ...others].every(isSecret)) {
    throw invalid(
      `entrySecret must be a text of at least ${SHORTEST_SECRET} bytes, or a list of such texts. \`openssl rand -base64 32\` makes a good one.`,
    );
  }
  return [first, ...others] as [string, ...string[]];
}

function isSecret(secret: unknown): boolean {
  return typeof secret === "string" && Buffer.byteLength(secret) >= SHORTEST_SECRET;
}

/** No read and no write may fail because a message could not be written. */
function harmless(logger: CacheLogger): CacheLogger {
  if (typeof logger?.warn !== "function")
    throw invalid("logger must have a method warn(message, details), as console has.");
  return {
    warn(message, details) {
      try {
        logger.warn(message, details);
      } catch {
        // The logger's fault stays the logger's.
      }
    },
  };
}

function isStore(store: unknown): store is Store {
  const methods = ["open", "read", "prepare", "fill", "lock", "unlock", "invalidate", "close"];
  return (
    typeof store === "object" &&
    store !== null &&
    methods.every((name) => typeof (store as Record<string, unknown>)[name] === "function")
  );
}

/** What tells this database from others; see `namespace` in options.ts. */
function namespaceOf(dataSource: DataSource, { namespace }: CacheOptions): string {
  if (namespace !== undefined) {
    if (typeof namespace === "string" && namespace !== "") return namespace;
    throw invalid("namespace must be a text that is not empty.");
  }
  const { type, database } = dataSource.options;
  const file = typeof database === "string" ? database : "";
  if (!type.includes("sqlite")) return `${type}.${dataSource.driver.database ?? file}`;
  return file === "" || file.includes(":memory:") ? `sqlite.${createTokenSource()()}` : `sqlite.${resolve(file)}`;
}

function invalid(message: string): CacheConfigError {
  return new CacheConfigError("CONFIG_INVALID", message);
}
