// src -> dist: CommonJS with types and source maps, and the Lua scripts beside the code that reads them.
import { spawnSync } from "node:child_process";
import { chmodSync, cpSync, readdirSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));

// A file that was renamed in src must not live on in the package.
rmSync("dist", { recursive: true, force: true });

// The sources go into the maps, since the package does not carry src.
const tsc = createRequire(import.meta.url).resolve("typescript/bin/tsc");
const { status } = spawnSync(process.execPath, [tsc, "--noEmitOnError", "--inlineSources"], { stdio: "inherit" });
if (status !== 0) process.exit(status ?? 1);

for (const file of readdirSync("src", { recursive: true })) {
  if (file.endsWith(".lua")) cpSync(join("src", file), join("dist", file));
}

// Nobody imports the program, so its types and maps would be weight alone.
for (const file of readdirSync("dist/cli", { recursive: true })) {
  if (/\.(d\.ts|js\.map)$/.test(file)) rmSync(join("dist/cli", file));
}

// npm sees to that when it installs the package; this is for who runs it from here.
chmodSync("dist/cli/main.js", 0o755);
