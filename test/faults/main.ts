// npm run torture -- --seconds 60 --database sqlite|postgres|mariadb --protocol coherent|delete-after-commit|set-after-commit
import "reflect-metadata";
import { parseArgs } from "node:util";
import type { TestDatabase } from "../support/databases";
import { PROTOCOLS, type Protocol } from "./messages";
import { describeReport } from "./report";
import { torture } from "./torture";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "60" },
    database: { type: "string", default: "sqlite" },
    protocol: { type: "string", default: "coherent" },
    "typeorm-0.3": { type: "boolean", default: false },
  },
});

async function main(): Promise<void> {
  const protocol = oneOf("protocol", values.protocol, PROTOCOLS);
  const database = oneOf<TestDatabase["name"]>("database", values.database, ["sqlite", "postgres", "mariadb"]);
  const seconds = Number(values.seconds);
  if (!(seconds > 0)) throw new Error(`--seconds is ${values.seconds}, but must be a positive number.`);
  let next = 10;
  const report = await torture({
    protocol,
    database,
    seconds,
    isEnough({ seconds: passed, hits, stale }) {
      if (passed >= next) process.stderr.write(`${passed.toFixed(0)} s: ${hits} hits, ${stale} stale\n`);
      if (passed >= next) next += 10;
      return false;
    },
  });
  process.stdout.write(`${describeReport(report)}\n`);
  // A naive protocol is expected to fail.
  const expected = protocol === "coherent" ? report.stale === 0 : report.stale > 0;
  process.exitCode = expected ? 0 : 1;
}

function oneOf<Name extends Protocol | TestDatabase["name"]>(
  option: string,
  value: string,
  names: readonly Name[],
): Name {
  const found = names.find((name) => name === value);
  if (found === undefined) throw new Error(`--${option} is ${value}, but must be one of ${names.join(", ")}.`);
  return found;
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
