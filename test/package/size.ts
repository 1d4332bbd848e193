import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { entries, manifest, runInApp } from "./packed";

/** size-budget.json: what the package may take at most, and what its parts took when that was last looked at. */
interface Budget {
  /** Bytes of the tarball; bytes and number of the files in it. */
  readonly tarball: { readonly packed: number; readonly unpacked: number; readonly files: number };
  /** Bytes of code that a require of each name loads, of this package alone. */
  readonly entries: Readonly<Record<string, number>>;
  /** Bytes of the files in the tarball, by folder. */
  readonly recorded: Readonly<Record<string, number>>;
}

const file = join(__dirname, "size-budget.json");

/** What one require loads. */
export interface Loaded {
  readonly bytes: number;
  /** Files of this package, from its root. */
  readonly files: readonly string[];
  /** The packages whose files are loaded, this one left out. */
  readonly packages: readonly string[];
}

/** What a tarball takes, and how that compares with what it may take. */
export class PackageSize {
  private readonly budget = JSON.parse(readFileSync(file, "utf8")) as Budget;
  private readonly sizes: ReadonlyMap<string, number>;

  /** @param folder where the package is installed */
  constructor(
    folder: string,
    private readonly tarball: string,
  ) {
    const files = readdirSync(folder, { recursive: true, encoding: "utf8" })
      .map((name) => ({ name, stat: statSync(join(folder, name)) }))
      .filter(({ stat }) => stat.isFile());
    this.sizes = new Map(files.map(({ name, stat }) => [name, stat.size]));
  }

  /** What is over the budget, and then what has grown; empty if nothing is. */
  excess(): string[] {
    const { packed, unpacked, files } = this.budget.tarball;
    const over = [
      ...exceeds("the tarball", statSync(this.tarball).size, packed, "bytes"),
      ...exceeds("what is in it", sum(this.sizes.values()), unpacked, "bytes"),
      ...exceeds("what is in it", this.sizes.size, files, "files"),
    ];
    return over.length === 0 ? [] : [...over, ...this.growth()];
  }

  /** The same for what a require of `entry` loads. */
  excessOf(entry: string, { bytes, files }: Loaded): string[] {
    const allowed = this.budget.entries[entry];
    if (allowed === undefined) return [`${entry} has no budget: it loads ${bytes} bytes. Give it one in ${file}.`];
    const over = exceeds(`what require("${entry}") loads`, bytes, allowed, "bytes");
    const largest = files
      .map((name) => ({ name, size: this.sizes.get(name) ?? 0 }))
      .sort((one, other) => other.size - one.size)
      .slice(0, 10)
      .map(({ name, size }) => `  ${size} bytes: ${name}`);
    return over.length === 0 ? [] : [...over, ...largest, ...this.growth()];
  }

  /** Remembers what the parts take now, for {@link growth}. */
  record(): void {
    const recorded = Object.fromEntries([...this.parts()].sort(([one], [other]) => one.localeCompare(other)));
    writeFileSync(file, `${JSON.stringify({ ...this.budget, recorded }, undefined, 2)}\n`);
  }

  /** What an app in which the package is installed gets with a require of `entry`. */
  loadedBy(entry: string, app: string): Loaded {
    const loaded = (runInApp(app, "loads.cjs", [entry]) as string[]).map((name) => relative(app, name));
    const own = join("node_modules", manifest.name) + sep;
    const files = loaded.filter((name) => name.startsWith(own)).map((name) => name.slice(own.length));
    const packages = loaded
      .filter((name) => !name.startsWith(own))
      .map((name) => /.*node_modules[\\/]((?:@[^\\/]+[\\/])?[^\\/]+)/.exec(name)?.[1] ?? name);
    return { bytes: sum(files.map((name) => this.sizes.get(name) ?? 0)), files, packages: [...new Set(packages)] };
  }

  /** Folders of dist by how much they have grown since {@link record}, the worst first. */
  private growth(): string[] {
    const { recorded } = this.budget;
    return [...this.parts()]
      .map(([part, bytes]) => ({ part, bytes, more: bytes - (recorded[part] ?? 0) }))
      .filter(({ more }) => more > 0)
      .sort((one, other) => other.more - one.more)
      .map(({ part, bytes, more }) => `  ${part} has grown by ${more} to ${bytes} bytes`);
  }

  private parts(): Map<string, number> {
    const parts = new Map<string, number>();
    for (const [name, size] of this.sizes) {
      const folders = dirname(name).split(sep).slice(0, 2).join("/");
      parts.set(folders, (parts.get(folders) ?? 0) + size);
    }
    return parts;
  }
}

/** The folder or file of dist that belongs to an entry other than the first: "dist/nest/". */
export function ownPlace(entry: string): string {
  const target = manifest.exports[entry.replace(manifest.name, ".")];
  if (typeof target !== "object") throw new Error(`${entry} is no entry`);
  return target.default.replace(/^\.\//, "").replace(/index\.js$/, "");
}

/** Entries that one entry has nothing to do with. */
export function othersThan(entry: string): string[] {
  return entries.filter((other) => other !== entry && other !== manifest.name);
}

function exceeds(what: string, now: number, allowed: number, unit: string): string[] {
  return now <= allowed ? [] : [`${what} takes ${now} ${unit}, of ${allowed} allowed in ${file}; since they were set:`];
}

function sum(numbers: Iterable<number>): number {
  let total = 0;
  for (const number of numbers) total += number;
  return total;
}
