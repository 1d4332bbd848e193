// The site: `node scripts/docs/build.mjs`, or with --dev a server that follows changes. The API by typedoc and the pages that lie outside of
// docs/ are made anew, and git ignores them. A dead link fails the build, with an anchor as without.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, posix } from "node:path";
import { fileURLToPath } from "node:url";
import { deadAnchors } from "./dead-anchors.mjs";
import { OUTSIDE } from "./outside.mjs";

const require = createRequire(import.meta.url);
const root = fileURLToPath(new URL("../..", import.meta.url));
const docs = join(root, "docs");
const isDev = process.argv.includes("--dev");

for (const [link, page] of Object.entries(OUTSIDE)) {
  writeFileSync(join(docs, page), moved(readFileSync(join(docs, link), "utf8"), posix.dirname(link)));
}

rmSync(join(docs, "api"), { recursive: true, force: true });
// Subpaths of the package, each with a folder of its own.
const entries = ["index.ts", "nest/index.ts", "prometheus/index.ts", "opentelemetry/index.ts"]
  .map((file) => join("src", file))
  .filter((file) => existsSync(join(root, file)));
run(require.resolve("typedoc/package.json"), "bin/typedoc", [
  "--options",
  "scripts/docs/typedoc.json",
  ...entries.flatMap((file) => ["--entryPoints", file]),
]);

run(require.resolve("vitepress/package.json"), "bin/vitepress.js", isDev ? ["dev", "docs"] : ["build", "docs"]);
if (!isDev) {
  const dead = deadAnchors(join(docs, ".vitepress", "dist"));
  for (const line of dead) console.error(line);
  if (dead.length > 0) process.exit(1);
}

/** A page whose links began in another folder. What they lead to beyond the pages is not on the site. */
function moved(text, from) {
  return text.replace(/\[([^\]]*)\]\((?![a-z]+:|#|\/)([^)\s]+)\)/g, (_, label, link) => {
    const [path, hash] = link.split("#");
    const target = posix.normalize(posix.join(from, path)).replace(/^\.\.\/docs\//, "");
    const page = OUTSIDE[target] ?? target;
    if (page.startsWith("..")) return label;
    return `[${label}](./${page}${hash === undefined ? "" : `#${hash}`})`;
  });
}

function run(manifest, file, args) {
  const { status } = spawnSync(process.execPath, [join(dirname(manifest), file), ...args], {
    cwd: root,
    stdio: "inherit",
  });
  if (status !== 0) process.exit(status ?? 1);
}
