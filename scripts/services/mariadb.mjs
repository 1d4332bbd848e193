// MariaDB (or MySQL): the one of MYSQL_URL, a running one, an installed one, or one that gets installed.
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import mysql from "mysql2/promise";
import { canUseApt, installWithApt, MissingService } from "./install.mjs";
import { findBinary, freePort, startServer, temporaryFolder } from "./server-process.mjs";

const run = promisify(execFile);

/**
 * A database of its own for one run; the tests create more, whose names begin with its name.
 *
 * @param own ignores MYSQL_URL and running servers
 * @returns its URL, and a function that drops all of them and stops what was started
 * @throws MissingService with one line to show
 */
export async function openMariadb(own) {
  if (process.env.MYSQL_URL && !own) return inServer(process.env.MYSQL_URL, "MYSQL_URL");
  for (const url of own ? [] : localServers()) {
    try {
      return await inServer(url, `running at ${url}`);
    } catch {
      // Nobody listens there, or not for us: the next one.
    }
  }
  const { binary, from } = await findOrInstall();
  const server = await start(binary);
  try {
    const database = await inServer(server.url, from);
    return { ...database, close: () => database.close().finally(server.stop) };
  } catch (error) {
    await server.stop();
    throw error;
  }
}

async function inServer(url, from) {
  const name = `coherent_${randomBytes(6).toString("hex")}`;
  const [{ version }] = await query(
    url,
    `CREATE DATABASE ${name} CHARACTER SET utf8mb4`,
    "SELECT version() AS version",
  );
  const database = new URL(url);
  database.pathname = `/${name}`;
  const close = async () => {
    const rows = await query(url, `SELECT schema_name AS name FROM information_schema.schemata`);
    const ours = rows.map((row) => row.name).filter((found) => found.startsWith(name));
    await query(url, ...ours.map((found) => `DROP DATABASE ${found}`));
  };
  return { url: database.href, version, from, close };
}

async function query(url, ...statements) {
  const connection = await mysql.createConnection({ uri: url, connectTimeout: 5000 });
  try {
    let rows = [];
    for (const statement of statements) [rows] = await connection.query(statement);
    return rows;
  } finally {
    await connection.end();
  }
}

function localServers() {
  const sockets = ["/run/mysqld/mysqld.sock", "/tmp/mysql.sock"].filter((path) => existsSync(path));
  return [
    "mysql://root@127.0.0.1:3306/",
    ...sockets.map((path) => `mysql://root@localhost/?socketPath=${encodeURIComponent(path)}`),
  ];
}

async function findOrInstall() {
  const look = () => findBinary(["mariadbd", "mysqld"]);
  const installed = look();
  if (installed !== undefined) return { binary: installed, from: `started from ${installed}` };
  if (canUseApt()) {
    await installWithApt("mariadb-server");
    const binary = look();
    if (binary !== undefined) return { binary, from: "installed with apt-get" };
  }
  throw new MissingService("MariaDB", { debian: "mariadb-server", brew: "mariadb" }, "MYSQL_URL");
}

/** A throw-away server: no durability, no password, TCP on loopback only. */
async function start(binary) {
  const folder = temporaryFolder("mariadb");
  const remove = () => rmSync(folder, { recursive: true, force: true });
  const data = join(folder, "data");
  // Unlike PostgreSQL it runs as root, if told so.
  const user = process.getuid?.() === 0 ? ["--user=root"] : [];
  try {
    await createData(binary, data, user);
    for (let attempt = 1; ; attempt++) {
      const port = await freePort();
      const url = `mysql://root@127.0.0.1:${port}/`;
      const args = ["--no-defaults", `--datadir=${data}`, `--port=${port}`, "--bind-address=127.0.0.1", ...user];
      args.push(`--socket=${join(folder, "server.sock")}`, `--pid-file=${join(folder, "server.pid")}`);
      args.push("--skip-log-bin", "--innodb-flush-log-at-trx-commit=0", "--max-connections=300");
      try {
        const stop = await startServer({ command: binary, args, folder, isReady: () => query(url, "SELECT 1") });
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

/** MariaDB has a script for it, MySQL does it itself. */
async function createData(binary, data, user) {
  const installer = findBinary(["mariadb-install-db", "mysql_install_db"], [dirname(binary)]);
  if (installer === undefined) {
    await run(binary, ["--no-defaults", "--initialize-insecure", `--datadir=${data}`, ...user]);
    return;
  }
  const args = ["--no-defaults", `--datadir=${data}`, "--auth-root-authentication-method=normal", "--skip-test-db"];
  await run(installer, [...args, `--basedir=${dirname(dirname(installer))}`, ...user]);
}
