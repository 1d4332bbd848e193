// loads.cjs <entry>: prints the files that a require of it loads, as JSON.
require("reflect-metadata");
const before = new Set(Object.keys(require.cache));
require(process.argv[2]);
console.log(JSON.stringify(Object.keys(require.cache).filter((file) => !before.has(file))));
