import { spawnSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

export const root = join(__dirname, "..", "..");

/** What package.json says of the package. */
export const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
  readonly name: string;
  readonly exports: Readonly<Record<string, string | { readonly types: string; readonly default: string }>>;
  readonly peerDependenciesMeta: Readonly<Record<string, { readonly optional: boolean }>>;
};

/** Every name that can be imported: "typeorm-coherent", "typeorm-coherent/nest", … */
export const entries = Object.entries(manifest.exports)
  .filter(([, target]) => typeof target === "object")
  .map(([path]) => path.replace(".", manifest.name));

/** Runs a program and gives back what it printed; that is also the message of the error when it fails. */
export function run(command: string, args: string[], cwd = root): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, encoding: "utf8" });
  if (status !== 0) throw error ?? new Error(`${command} ${args.join(" ")}\n${stdout}\n${stderr}`);
  return stdout;
}

/** Runs one of the programs beside this file as if it were one of the app's, and gives back the JSON that it printed. */
export function runInApp(app: string, program: string, args: readonly string[] = [], node = process.execPath): unknown {
  copyFileSync(join(__dirname, "programs", program), join(app, program));
  return JSON.parse(run(node, [program, ...args], app));
}

/** The version that the project itself has of a package. */
export function installedVersion(name: string): string {
  const file = join(root, "node_modules", name, "package.json");
  return (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version;
}

/** Lets an app have packages of the project, as if they were installed there. */
export function lend(app: string, names: readonly string[]): void {
  for (const name of names) {
    const place = join(app, "node_modules", name);
    mkdirSync(dirname(place), { recursive: true });
    if (!existsSync(place)) symlinkSync(realpathSync(join(root, "node_modules", name)), place);
  }
}

/** Lets an app have the optional peers, in the versions that the project has. */
export function lendOptional(app: string): void {
  lend(
    app,
    Object.entries(manifest.peerDependenciesMeta)
      .filter(([, { optional }]) => optional)
      .map(([name]) => name),
  );
}

const INSTALL = ["install", "--prefer-offline", "--ignore-scripts", "--no-audit", "--no-fund"];

/** The library as npm would publish it, and folders outside of the project that have it installed. */
export class Packed {
  private readonly folder = realpathSync(mkdtempSync(join(tmpdir(), "coherent-package-")));
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

  /** The folder that has it installed next to a TypeORM of this version; at first next to nothing that is optional. */
  install(typeormVersion: string): string {
    const folder = join(this.folder, `typeorm-${typeormVersion}`);
    if (existsSync(folder)) return folder;
    mkdirSync(folder);
    writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "app", private: true }));
    const packages = [`typeorm@${typeormVersion}`, `reflect-metadata@${installedVersion("reflect-metadata")}`];
    run("npm", [...INSTALL, this.tarball, ...packages], folder);
    return folder;
  }

  /** Installs more packages next to it. */
  add(folder: string, packages: readonly string[]): void {
    run("npm", [...INSTALL, ...packages], folder);
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
