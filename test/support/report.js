// The end of a test run: what ran against what, and as the very last line how it went.
const { readFileSync } = require("node:fs");
const { dirname, join } = require("node:path");

const installed = (name) => {
  const file = join(dirname(__dirname), "..", "node_modules", name, "package.json");
  return JSON.parse(readFileSync(file, "utf8")).version;
};

class Report {
  constructor() {
    // jest prints its own summary after the reporters are done, so this waits for the end of the process.
    this.lines = ["0 passed, 1 failed"];
    process.once("exit", () => process.stdout.write(`${this.lines.join("\n")}\n`));
  }

  onRunComplete(_contexts, results) {
    const { numPassedTests, numFailedTests, numPendingTests, numTodoTests, numRuntimeErrorTestSuites } = results;
    // A file that does not even load has no tests that could fail, but is a failure.
    const failed = numFailedTests + numRuntimeErrorTestSuites;
    const skipped = numPendingTests + numTodoTests;
    const outcome = `${numPassedTests} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`;
    this.lines = ["", ...this.surroundings(), outcome];
  }

  /** The variables come from setup-redis.mjs and setup-databases.mjs; without them no test needed that service. */
  surroundings() {
    const list = (variable) => JSON.parse(process.env[variable] ?? "[]");
    return [
      `Node ${process.versions.node}`,
      `TypeORM ${installed("typeorm")} with better-sqlite3 ${installed("better-sqlite3")}`,
      `TypeORM ${installed("typeorm-0.3")} with sqlite3 ${installed("sqlite3")}`,
      process.env.TEST_REPORT_REDIS ?? "Redis was not needed",
      ...list("TEST_REPORT_DATABASES"),
      ...list("TEST_REPORT_MISSING").map((line) => `SKIPPED: ${line}`),
    ];
  }
}

module.exports = Report;
