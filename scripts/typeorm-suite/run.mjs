// One run of TypeORM's tests on one database, with the cache or without.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createConnection } from "mysql2/promise";

const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const LIBRARY = here("../../dist");

/** A run that hangs is ended after this, in milliseconds. */
const PATIENCE = 3_600_000;

/**
 * @param prepared what prepare() returned
 * @param database "sqlite", "postgres" or "mariadb"
 * @param folders of TypeORM's tests, such as "functional"
 * @param grep part of the titles of the tests to run; all by default
 * @param options for attachCache(); undefined for a run without the cache
 * @returns the tests by name, each with its state and error, and what the files that mocha loads have reported
 */
export async function runTests({ prepared, database, folders, grep, options }) {
  const { folder, repository, compiled } = prepared;
  const results = join(folder, "results");
  mkdirSync(results, { recursive: true });
  // TypeORM's tests write into a folder of that name, and some count on it.
  mkdirSync(join(repository, "temp"), { recursive: true });
  if (database === "mariadb") await createDatabase(process.env.TEST_MYSQL_URL);
  writeFileSync(join(repository, "ormconfig.json"), JSON.stringify(ormconfig(database, prepared)));
  const name = `${database}.${options === undefined ? "without" : "with"}`;
  const [lines, output] = [join(results, `${name}.jsonl`), join(results, `${name}.json`)];
  for (const file of [lines, output]) rmSync(file, { force: true });

  const withCache = options !== undefined;
  const preloaded = withCache ? ["attach.cjs", "reads.cjs"] : ["reads.cjs"];
  const args = [
    ...[join(folder, "node_modules", "mocha", "bin", "mocha.js"), "--no-config", "--no-package", "--exit"],
    ...["--timeout", "60000", "--file", join(compiled, "test", "utils", "test-setup.js")],
    ...preloaded.flatMap((file) => ["--require", here(file)]),
    ...["--reporter", here("reporter.cjs"), "--reporter-option", `output=${lines}`],
    ...(grep === undefined ? [] : ["--grep", grep]),
    ...folders.flatMap((name) => testFiles(join(compiled, "test", name), folder)),
  ];
  const under = { typeorm: join(compiled, "src"), tests: join(compiled, "test") };
  const settings = { ...under, library: LIBRARY, withCache, options, output };
  // Where TypeORM 0.3 looks for files; else it takes the folder that the packages are in.
  const env = { ...process.env, APP_ROOT_PATH: repository, TYPEORM_SUITE: JSON.stringify(settings) };
  const log = join(results, `${name}.log`);
  const child = spawn(process.execPath, args, { cwd: repository, env, stdio: ["ignore", "pipe", "pipe"] });
  const said = [];
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => said.push(chunk));
  const timer = setTimeout(() => child.kill("SIGKILL"), PATIENCE);
  await once(child, "close");
  clearTimeout(timer);
  writeFileSync(log, Buffer.concat(said));
  if (!existsSync(lines) || !existsSync(output)) throw new Error(`mocha has not run to its end: see ${log}`);
  const tests = readFileSync(lines, "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  return {
    tests: new Map(tests.map((test) => [test.name, test])),
    ...JSON.parse(readFileSync(output, "utf8")),
  };
}

/**
 * All of a folder but those that need a package that is not there, Docker mostly, and those that start programs: the one that does
 * so has npm install drivers for minutes.
 */
function testFiles(folder, installed) {
  const resolver = createRequire(join(installed, "package.json"));
  const isThere = (name) => {
    try {
      return resolver.resolve(name) !== undefined;
    } catch {
      return false;
    }
  };
  const canLoad = (file) =>
    Array.from(readFileSync(file, "utf8").matchAll(/\brequire\("([^."][^"]*)"\)/g)).every(
      ([, name]) => name !== "child_process" && isThere(name),
    );
  return readdirSync(folder, { recursive: true })
    .filter((name) => name.endsWith(".test.js"))
    .sort()
    .map((name) => join(folder, name))
    .filter(canLoad);
}

/** The URL names a place where databases may be made, which goes away with what is in it. */
async function createDatabase(url) {
  const { pathname, username: user, ...server } = parts(url);
  const connection = await createConnection({ ...server, user });
  await connection.query(`CREATE DATABASE IF NOT EXISTS \`${pathname.slice(1)}\``);
  await connection.end();
}

function parts(url) {
  const { hostname, port, username, password, pathname, searchParams } = new URL(url);
  return {
    host: searchParams.get("host") ?? hostname,
    port: port === "" ? undefined : Number(port),
    socketPath: searchParams.get("socketPath") ?? undefined,
    username: decodeURIComponent(username),
    password: decodeURIComponent(password),
    pathname,
  };
}

/** Where TypeORM's tests find their databases. */
function ormconfig(database, { folder, version }) {
  if (database === "sqlite") {
    const types = version.startsWith("0.") ? ["better-sqlite3", "sqlite"] : ["better-sqlite3"];
    return types.map((type) => ({ name: type, type, database: join(folder, `${type}.db`), logging: false }));
  }
  const postgres = database === "postgres";
  const { pathname, ...server } = parts(postgres ? process.env.TEST_PG_URL : process.env.TEST_MYSQL_URL);
  const place = { name: database, type: database, database: pathname.slice(1), logging: false };
  return [{ ...place, ...server, ...(postgres ? {} : { connectorPackage: "mysql2" }) }];
}
