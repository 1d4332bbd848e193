// A mocha reporter that writes a line of JSON per test, as it ends: what a run that is cut off has found is kept.
const { appendFileSync } = require("node:fs");
const { nameOf } = require("./settings.cjs");

module.exports = class LineReporter {
  constructor(runner, { reporterOptions: { output } }) {
    const said = new Map();
    const write = (test, state, error) => {
      const name = nameOf(test);
      // Some tests share their name.
      const times = (said.get(name) ?? 0) + 1;
      said.set(name, times);
      const line = {
        name: times === 1 ? name : `${name} (${times})`,
        state,
        error: error && String(error.stack ?? error),
      };
      appendFileSync(output, `${JSON.stringify(line)}\n`);
    };
    runner.on("pass", (test) => write(test, "passed"));
    runner.on("pending", (test) => write(test, "pending"));
    // Also a hook that failed, which takes the tests after it along.
    runner.on("fail", (test, error) => write(test, "failed", error));
  }
};
