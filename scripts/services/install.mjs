// The last resorts: install a missing server with apt-get, or say in one line what to install.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, rmSync, writeFileSync } from "node:fs";

const POLICY = "/usr/sbin/policy-rc.d";

/** A service that can neither be found nor installed; its message is the one line to show. */
export class MissingService extends Error {
  constructor(name, packages, variable) {
    super(
      `${name} is missing: install it (Debian: apt-get install ${packages.debian}; macOS: brew install ${packages.brew})` +
        ` or set ${variable}`,
    );
    this.stack = this.message; // where it was noticed helps nobody
  }
}

export const canUseApt = () => process.getuid?.() === 0 && existsSync("/usr/bin/apt-get");

let updated = false;
let turn = Promise.resolve();

/** Installs a Debian package. One at a time: dpkg has one lock, and services are set up concurrently. */
export function installWithApt(name) {
  const mine = turn.then(async () => {
    process.stderr.write(`Installing ${name} with apt-get ...\n`);
    if (!updated) await aptGet("update");
    updated = true;
    await withoutAutostart(() => aptGet("install", "-y", "--no-install-recommends", name));
  });
  turn = mine.catch(() => undefined);
  return mine;
}

async function aptGet(...args) {
  const child = spawn("apt-get", ["-q", ...args], {
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const output = [];
  child.stdout.on("data", (chunk) => output.push(chunk));
  child.stderr.on("data", (chunk) => output.push(chunk));
  const [code] = await once(child, "close");
  if (code !== 0) throw new Error(`apt-get ${args.join(" ")} failed:\n${Buffer.concat(output).toString()}`);
}

/** Debian starts a server as soon as it is installed. We start our own, and nothing may be left running. */
async function withoutAutostart(install) {
  const ours = !existsSync(POLICY);
  if (ours) writeFileSync(POLICY, "#!/bin/sh\nexit 101\n", { mode: 0o755 });
  try {
    await install();
  } finally {
    if (ours) rmSync(POLICY);
  }
}
