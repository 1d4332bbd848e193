import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { RedisClient } from "./redis-client";

/** One of the Lua commands in scripts/. */
export interface Script {
  readonly lua: string;
  readonly sha1: string;
}

/** The commands; read from disk when the first store is opened, since a process without Redis needs none. */
export interface Scripts {
  readonly prepare: Script;
  readonly lock: Script;
  readonly unlock: Script;
  readonly invalidate: Script;
}

let loaded: Scripts | undefined;

/** The commands of this package, read once. */
export function scripts(): Scripts {
  loaded ??= {
    prepare: load("prepare"),
    lock: load("lock"),
    unlock: load("unlock"),
    invalidate: load("invalidate"),
  };
  return loaded;
}

/**
 * Runs a script by its digest, and by its text if the server does not know the digest (it was restarted, or its scripts
 * were flushed). A script that is not there has done nothing, so running it again is safe.
 */
export async function runScript(
  client: RedisClient,
  script: Script,
  keys: readonly string[],
  args: readonly string[],
): Promise<unknown> {
  try {
    return await client.evalsha(script.sha1, keys.length, ...keys, ...args);
  } catch (error) {
    if (!(error instanceof Error && error.message.startsWith("NOSCRIPT"))) throw error;
    return client.eval(script.lua, keys.length, ...keys, ...args);
  }
}

function load(name: string): Script {
  const lua = `${source("guard")}\n${source(name)}`;
  return { lua, sha1: createHash("sha1").update(lua).digest("hex") };
}

function source(name: string): string {
  return readFileSync(join(__dirname, "scripts", `${name}.lua`), "utf8");
}
