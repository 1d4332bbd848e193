// A process that holds the servers of one run. It says on stdout what it has (one line of JSON), and cleans up when its
// stdin ends. Whatever ends the run (its end, a failing test, Ctrl-C, kill -9) closes that pipe, so nothing is left
// behind; a signal handler in the test runner would miss some of these.
import { MissingService } from "./install.mjs";
import { openMariadb } from "./mariadb.mjs";
import { openPostgres } from "./postgres.mjs";

const SERVICES = {
  postgres: { label: "PostgreSQL", variable: "TEST_PG_URL", open: openPostgres },
  mariadb: { label: "MariaDB", variable: "TEST_MYSQL_URL", open: openMariadb },
};

const asked = process.argv.slice(2);
const own = process.env.TEST_SERVICES === "own";

// Listening from the start: a run that ends while a server is still being set up is then seen as soon as it is there.
const runEnded = new Promise((resolve) => {
  process.stdin.resume().once("end", resolve).once("close", resolve).once("error", resolve);
});
process.stdout.on("error", () => undefined);

const opened = [];
const answer = { env: {}, report: [], missing: [], failed: [] };

await Promise.all(
  asked.map(async (name) => {
    const { label, variable, open } = SERVICES[name];
    try {
      const service = await open(own);
      opened.push(service);
      answer.env[variable] = service.url;
      answer.report.push(`${label} ${service.version} (${service.from})`);
    } catch (error) {
      if (error instanceof MissingService) answer.missing.push(error.message);
      else answer.failed.push(`${label}: ${error.stack}`);
    }
  }),
);

process.stdout.write(`${JSON.stringify(answer)}\n`);
await runEnded;

const results = await Promise.allSettled(opened.map((service) => service.close()));
for (const result of results) {
  if (result.status === "rejected") {
    process.stderr.write(`Cleaning up failed: ${String(result.reason)}\n`);
    process.exitCode = 1;
  }
}
