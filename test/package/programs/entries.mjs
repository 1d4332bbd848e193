// entries.mjs <entry>...: requires and imports each, and prints the names that they have, as JSON by entry.
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
require("reflect-metadata");

const names = {};
for (const entry of process.argv.slice(2)) {
  const required = require(entry);
  const imported = await import(entry);
  // One registry of decorators, whichever way an entity's file came by them; and `import { name }` finds every name.
  for (const name of Object.keys(required)) {
    if (required[name] !== imported[name]) throw new Error(`import cannot name ${name} of ${entry}`);
  }
  names[entry] = Object.keys(required).sort();
}
console.log(JSON.stringify(names));
