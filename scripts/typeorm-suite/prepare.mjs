// TypeORM's repository with its tests, compiled, in a folder below the temporary one of the system; made once per version.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const GITHUB = "https://github.com/typeorm/typeorm.git";

/** Taken from this project, so that the cache is tested with the drivers that it is tested with everywhere else. */
const DRIVERS = ["better-sqlite3", "mysql2", "pg", "sqlite3"];

/** What TypeORM's tests need of its devDependencies; not all of them, since some of its drivers are large or need a compiler. */
const TOOLS =
  /^(chai|chai-as-promised|class-transformer|mocha|mongodb|pg-query-stream|rimraf|sinon|sinon-chai|source-map-support|sql\.js|ts-node|typescript|@tsconfig\/.*|@types\/.*)$/;

const project = fileURLToPath(new URL("../..", import.meta.url));

/**
 * @param line "1" or "0.3": the version that is installed is the one that is tested
 * @param source a folder or URL to take the repository from; GitHub by default
 * @param ref the tag, or a commit; the tag of the version by default
 * @returns the version, the folder of the clone, and that of its compiled files
 */
export function prepare({ line, source = GITHUB, ref }) {
  const installed = join(project, "node_modules", line === "1" ? "typeorm" : "typeorm-0.3", "package.json");
  const { version } = JSON.parse(readFileSync(installed, "utf8"));
  const folder = join(tmpdir(), "typeorm-coherent-suite", version);
  const repository = join(folder, "repository");
  const compiled = join(repository, "build", "compiled");
  const wanted = JSON.stringify({ source, ref: ref ?? version });
  const stamp = join(folder, "prepared.json");
  if (!existsSync(stamp) || readFileSync(stamp, "utf8") !== wanted) {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(repository, { recursive: true });
    say(`Fetching TypeORM ${version} from ${source} ...`);
    run("git", ["init", "--quiet"], repository);
    run("git", ["fetch", "--quiet", "--depth", "1", source, ref ?? version], repository);
    run("git", ["checkout", "--quiet", "FETCH_HEAD"], repository);
    install(folder, repository);
    compile(folder, repository, compiled);
    writeFileSync(stamp, wanted);
  }
  return { version, folder, repository, compiled };
}

/** Beside the clone and not in it: Node looks there as well, and what TypeORM's package.json says is part of its tests. */
function install(folder, repository) {
  const { dependencies, devDependencies } = JSON.parse(readFileSync(join(repository, "package.json"), "utf8"));
  const tools = Object.entries(devDependencies).filter(([name]) => TOOLS.test(name));
  const wanted = { ...dependencies, ...Object.fromEntries(tools) };
  writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true, dependencies: wanted }));
  say("Installing what its tests need ...");
  run("npm", ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock", "--silent"], folder);
  for (const name of DRIVERS) {
    const place = join(folder, "node_modules", name);
    rmSync(place, { recursive: true, force: true });
    symlinkSync(join(project, "node_modules", name), place, "dir");
  }
}

/** Types of the drivers that are not there are missing, which takes nothing from the code that comes out. */
function compile(folder, repository, compiled) {
  say("Compiling it, which takes a minute or two ...");
  const tsc = join(folder, "node_modules", "typescript", "bin", "tsc");
  const args = [tsc, "-p", "tsconfig.json", "--noEmitOnError", "false", "--declaration", "false"];
  spawnSync(process.execPath, args, { cwd: repository, stdio: "ignore" });
  if (existsSync(join(compiled, "src", "index.js"))) return;
  throw new Error(`Compiling TypeORM has made nothing: run ${args.join(" ")} in ${repository} to see why.`);
}

function run(command, args, cwd) {
  const { status, error } = spawnSync(command, args, { cwd, stdio: ["ignore", 2, 2] });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")} failed${error ? `: ${error.message}` : ""}`);
}

function say(line) {
  process.stderr.write(`${line}\n`);
}
