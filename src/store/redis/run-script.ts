import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { RedisCommands } from "./redis-client";
import { isUnknownScript } from "./refusals";

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
  readonly release: Script;
}

let loaded: Scripts | undefined;

/** The commands of this package, read once. */
export function scripts(): Scripts {
  loaded ??= {
    prepare: scriptOf("guard", "prepare"),
    lock: scriptOf("guard", "lock"),
    unlock: scriptOf("guard", "unlock"),
    invalidate: scriptOf("guard", "invalidate"),
    release: scriptOf("release"),
  };
  return loaded;
}

/**
 * Runs a script by its digest, and by its text if the server does not know the digest (it was restarted, or its scripts
 * were flushed). A script that is not there has done nothing, so running it again is safe.
 */
export async function runScript(
  client: RedisCommands,
  script: Script,
  keys: readonly string[],
  args: readonly string[],
): Promise<unknown> {
  try {
    return await client.evalsha(script.sha1, keys.length, ...keys, ...args);
  } catch (error) {
    if (!isUnknownScript(error)) throw error;
    return client.eval(script.lua, keys.length, ...keys, ...args);
  }
}

/** A duration as scripts take it: whole milliseconds, at least one. */
export function milliseconds(time: number): string {
  return String(Math.max(1, Math.ceil(time)));
}

function scriptOf(...names: readonly string[]): Script {
  const lua = names.map(source).join("\n");
  return { lua, sha1: createHash("sha1").update(lua).digest("hex") };
}

function source(name: string): string {
  return readFileSync(join(__dirname, "scripts", `${name}.lua`), "utf8");
}
