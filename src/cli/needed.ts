import { createRequire } from "node:module";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type * as Ioredis from "ioredis";
import type * as AttachCache from "../attach-cache";
import { messageOf } from "../core/message-of";
import { CacheConfigError } from "../errors";
import type * as EntityModels from "../metadata/entity-model";
import type * as Schemas from "../metadata/schema";
import type * as MemoryStores from "../store/memory-store";
import type * as RedisStores from "../store/redis/redis-store";

// Loaded only when a command needs it: TypeORM takes longer to load than most commands take altogether.
const own = createRequire(__filename);

/** The library, which knows TypeORM. */
export function library() {
  return {
    ...(own("../attach-cache") as typeof AttachCache),
    ...(own("../store/redis/redis-store") as typeof RedisStores),
    ...(own("../store/memory-store") as typeof MemoryStores),
    ...(own("../metadata/schema") as typeof Schemas),
    ...(own("../metadata/entity-model") as typeof EntityModels),
  };
}

/** Operators of find options, by name. */
export function typeorm(): Readonly<Record<string, unknown>> {
  return own("typeorm") as Readonly<Record<string, unknown>>;
}

/**
 * The client of the user, which is an optional peer.
 *
 * @throws CacheConfigError CONFIG_INVALID if it is not installed
 */
export function ioredis(): new (url: string, options: object) => Ioredis.Redis {
  try {
    return (own("ioredis") as typeof Ioredis).Redis;
  } catch (cause) {
    throw new CacheConfigError(
      "CONFIG_INVALID",
      `ioredis cannot be loaded (${messageOf(cause)}): npm install ioredis.`,
      {
        cause,
      },
    );
  }
}

/** What is read of a package.json. */
export interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly engines: { readonly node: string };
  readonly peerDependencies: Readonly<Record<string, string>>;
}

/** That of this package. */
export function ownManifest(): Manifest {
  return own("../../package.json") as Manifest;
}

/** Where this package begins, as whoever requires it by name gets it. */
export const OWN_ENTRY = join(__dirname, "..", "index");

/**
 * The package that a file gets under a name; undefined if there is none.
 *
 * @param from the file
 */
export function packageFor(
  name: string,
  from: string,
): { readonly version: string; readonly entry: string } | undefined {
  let entry: string;
  try {
    entry = createRequire(from).resolve(name);
  } catch {
    return undefined;
  }
  // Not every package lets one require its package.json.
  for (let folder = dirname(entry); folder !== dirname(folder); folder = dirname(folder)) {
    const file = join(folder, "package.json");
    if (!existsSync(file)) continue;
    const { version } = JSON.parse(readFileSync(file, "utf8")) as Partial<Manifest>;
    if (version !== undefined) return { version, entry };
  }
  return undefined;
}
