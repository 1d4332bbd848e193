import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const root = join(__dirname, "..", "..");

/** Runs a program and gives back what it printed; that is also the message of the error when it fails. */
export function run(command: string, args: string[], cwd = root): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, encoding: "utf8" });
  if (status !== 0) throw error ?? new Error(`${command} ${args.join(" ")}\n${stdout}\n${stderr}`);
  return stdout;
}

/** The version that the project itself has of a package. */
export function installedVersion(name: string): string {
  const file = join(root, "node_modules", name, "package.json");
  return (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version;
}

/** The library as npm would publish it, and folders outside of the project that have it installed. */
export class Packed {
  private readonly folder = mkdtempSync(join(tmpdir(), "coherent-package-"));
  readonly tarball: string;

  constructor() {
    try {
      run("npm", ["pack", "--pack-destination", this.folder]);
      const [tarball] = readdirSync(this.folder).filter((name) => name.endsWith(".tgz"));
      if (tarball === undefined) throw new Error("npm pack left no tarball");
      this.tarball = join(this.folder, tarball);
    } catch (error) {
      // Nobody gets an object on which to call it.
      this.remove();
      throw error;
    }
  }

  /** Installs it into an empty folder, next to a TypeORM of this version, and of what is optional only what is named. */
  install(typeormVersion: string, optional: readonly string[] = []): string {
    const folder = join(this.folder, `typeorm-${typeormVersion}`);
    mkdirSync(folder);
    writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "app", private: true }));
    const packages = [`typeorm@${typeormVersion}`, `reflect-metadata@${installedVersion("reflect-metadata")}`];
    packages.push(...optional.map((name) => `${name}@${installedVersion(name)}`));
    const flags = ["--prefer-offline", "--ignore-scripts", "--no-audit", "--no-fund"];
    run("npm", ["install", ...flags, this.tarball, ...packages], folder);
    return folder;
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
