// What run.mjs tells the files that mocha loads before TypeORM's tests: in TYPEORM_SUITE, as JSON.
const Module = require("node:module");
const { writeFileSync } = require("node:fs");
const { relative } = require("node:path");

/** The compiled sources under test and their tests, the folder of the built library, whether and how it is attached, and the file to report to. */
const { typeorm, tests, library, withCache, options, output } = JSON.parse(process.env.TYPEORM_SUITE);

// The library must meet the classes that the tests have, not those of the TypeORM that is installed beside it.
const resolveFilename = Module._resolveFilename;
Module._resolveFilename = function (request, parent, ...rest) {
  const asked = parent?.filename?.startsWith(library) ? request.replace(/^typeorm(?=\/|$)/, () => typeorm) : request;
  return resolveFilename.call(this, asked, parent, ...rest);
};

const reported = {};
process.on("exit", () => writeFileSync(output, JSON.stringify(reported)));

module.exports = {
  library,
  withCache,
  options,
  inTypeorm: () => require(typeorm),
  /** What a test is called, after its file. */
  nameOf: (test) => `${relative(tests, test.file ?? "").replace(/\.[jt]s$/, "")} > ${test.titlePath().join(" > ")}`,
  /** Keeps something under a name that is written when the process ends, as it is then. */
  report(name, value) {
    reported[name] = value;
  },
};
