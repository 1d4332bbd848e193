// Runs one server binary for as long as it is needed, in a folder of its own that goes with it.
import { execFileSync, spawn } from "node:child_process";
import { chownSync, mkdtempSync, openSync, closeSync, readFileSync, rmSync, existsSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";

const START_TIMEOUT = 60_000;
const STOP_TIMEOUT = 10_000;

/** Folders that a non-interactive PATH often lacks: Debian's sbin and Homebrew's two homes. */
const MORE_FOLDERS = ["/usr/local/bin", "/usr/local/sbin", "/usr/bin", "/usr/sbin", "/opt/homebrew/bin"];

/** The first of `names` that exists in `folders`, the PATH or the usual places; undefined if there is none. */
export function findBinary(names, folders = []) {
  const path = [...folders, ...(process.env.PATH ?? "").split(delimiter), ...MORE_FOLDERS];
  for (const name of names) {
    for (const folder of path) {
      if (folder !== "" && existsSync(join(folder, name))) return join(folder, name);
    }
  }
  return undefined;
}

/** A port that was free a moment ago. Another process may take it first: callers try again with a new one. */
export async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

/** Who to run a server as that refuses to run as root: {} for the current user, else the ids of the first that exists. */
export function unprivilegedUser(names) {
  if (process.getuid?.() !== 0) return {};
  for (const name of names) {
    try {
      const id = (flag) => Number(execFileSync("id", [flag, name], { stdio: ["ignore", "pipe", "ignore"] }));
      return { uid: id("-u"), gid: id("-g") };
    } catch {
      // No such user: the next one.
    }
  }
  throw new Error(`none of the users ${names.join(", ")} exists`);
}

/** An empty folder that `user` owns. As another user /tmp is taken, since root's TMPDIR may be closed to that user. */
export function temporaryFolder(name, user = {}) {
  const folder = mkdtempSync(join(user.uid === undefined ? tmpdir() : "/tmp", `coherent-${name}-`));
  if (user.uid !== undefined) chownSync(folder, user.uid, user.gid);
  return folder;
}

/**
 * Starts a server and waits until `isReady` no longer rejects.
 *
 * @returns a function that stops it, by `stopSignal` and in the end by force
 */
export async function startServer({ command, args, user, folder, isReady, stopSignal = "SIGTERM" }) {
  const logFile = `${folder}.log`;
  const log = openSync(logFile, "w");
  const child = spawn(command, args, { stdio: ["ignore", log, log], cwd: folder, ...user });
  closeSync(log);
  let ended = false;
  const end = new Promise((resolve) => {
    child.once("error", resolve).once("exit", resolve);
  }).then(() => {
    ended = true;
  });

  const stop = async () => {
    child.kill(stopSignal);
    const timer = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT);
    await end;
    clearTimeout(timer);
    rmSync(logFile, { force: true });
  };

  const deadline = Date.now() + START_TIMEOUT;
  for (;;) {
    let cause;
    try {
      await isReady();
      return stop;
    } catch (error) {
      cause = error;
    }
    if (ended || Date.now() > deadline) {
      const output = readFileSync(logFile, "utf8").trim().split("\n").slice(-10).join("\n");
      await stop();
      throw new Error(`${command} did not start: ${String(cause)}\n${output}`, { cause });
    }
    await Promise.race([end, delay(50)]);
  }
}
