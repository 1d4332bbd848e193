import { realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { OWN_ENTRY, ownManifest, packageFor } from "../needed";
import { finding, type Finding } from "./finding";
import { isInRange } from "./version-range";

/**
 * What runs: Node.js, and the packages as the application gets them.
 *
 * @param file the module of the data source; undefined: a file in the working directory stands in for it
 */
export function installChecks(file: string | undefined): Finding[] {
  const { engines, peerDependencies } = ownManifest();
  const from = file ?? join(process.cwd(), "index.js");
  const node = finding("node");
  return [
    isInRange(process.versions.node, engines.node)
      ? node.ok(`Node.js ${process.versions.node}`)
      : node.fail(`Node.js ${process.versions.node}`, `Use a version in ${engines.node}.`),
    ...["typeorm", "ioredis"].map((name) => peer(name, peerDependencies[name] ?? "", from)),
    ...(file === undefined ? [] : [oneCopy(file)]),
  ];
}

function peer(name: string, range: string, from: string): Finding {
  const check = finding(name);
  const found = packageFor(name, from);
  if (found === undefined) {
    return check.skip(`${name} is not installed beside ${dirname(from)}`);
  }
  return isInRange(found.version, range)
    ? check.ok(`${name} ${found.version}`)
    : check.fail(`${name} ${found.version}`, `Install a version in ${range}.`);
}

/** Decorators write into the memory of the copy that they come from. */
function oneCopy(file: string): Finding {
  const check = finding("one-copy");
  const theirs = packageFor("typeorm-coherent", file)?.entry;
  if (theirs === undefined) return check.skip("The module of the data source does not find typeorm-coherent");
  const isSame = realpathSync(theirs).replace(/\.[jt]s$/, "") === join(realpathSync(dirname(OWN_ENTRY)), "index");
  return isSame
    ? check.ok("Application and command line share one typeorm-coherent")
    : check.fail(
        `The application has another copy, at ${theirs}`,
        "Run the one that is installed in the project: npx typeorm-coherent.",
      );
}
