import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

type Names = Readonly<Record<string, readonly string[]>>;

const file = join(__dirname, "public-names.json");

/** With PACKAGE=record the tests remember names and sizes as they are, instead of being measured by them. */
export const isRecording = process.env["PACKAGE"] === "record";

/** By entry, the names that a require of it has had; see docs/versioning.md. */
export function publicNames(): Names {
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Names) : {};
}

export function recordNames(names: Names): void {
  writeFileSync(file, `${JSON.stringify(names, undefined, 2)}\n`);
}
