import "reflect-metadata";
import { parseArgs } from "node:util";
import { databases, type TestDatabase } from "../support/databases";
import { PROTOCOLS, STORES } from "./messages";
import { compareReports, describeReport } from "./report";
import { torture, type TortureOptions, type TortureReport } from "./torture";

const HELP = `npm run torture -- [options]

  --seconds N            how long at most; default 60, with --reads without end
  --reads N              how many reads
  --database NAME        sqlite (default), postgres, mariadb, or all that are there, one after the other
  --protocol NAME        ${PROTOCOLS.join(", ")}
  --store NAME           ${STORES.join(", ")}; in memory there is one process, and nothing is broken
  --near                 with copies in each process, which are verified
  --calm N               faults come so many times as seldom, so that more reads are hits
  --compare              all protocols, and the first one with copies and in memory as well, one after the other
  --typeorm-0.3
`;

const { values } = parseArgs({
  options: {
    seconds: { type: "string" },
    reads: { type: "string" },
    database: { type: "string", default: "sqlite" },
    protocol: { type: "string", default: "coherent" },
    store: { type: "string", default: "redis" },
    near: { type: "boolean", default: false },
    calm: { type: "string", default: "1" },
    compare: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
    "typeorm-0.3": { type: "boolean", default: false },
  },
});

async function main(): Promise<void> {
  if (values.help) return void process.stdout.write(HELP);
  const reports: TortureReport[] = [];
  for (const subject of subjects()) {
    const report = await torture({ ...subject, ...limits(), calm: positive("calm", values.calm) });
    process.stdout.write(`${describeReport(report)}\n\n`);
    reports.push(report);
  }
  if (reports.length > 1) process.stdout.write(`${compareReports(reports)}\n`);
  // The others are expected to fail.
  process.exitCode = reports.every(({ protocol, stale }) => (protocol === "coherent") === (stale === 0)) ? 0 : 1;
}

type Subject = Pick<TortureOptions, "protocol" | "database" | "store" | "near">;

function subjects(): Subject[] {
  const all = ["sqlite", "postgres", "mariadb"] as const;
  const there =
    values.database === "all"
      ? all.filter((name) => databases().some((one) => one.name === name))
      : [oneOf<TestDatabase["name"]>("database", values.database, all)];
  const store = oneOf("store", values.store, STORES);
  const protocol = oneOf("protocol", values.protocol, PROTOCOLS);
  if (store === "memory" && protocol !== "coherent") throw new Error("Only coherent has a store in memory.");
  return there.flatMap((database): Subject[] => {
    if (!values.compare) return [{ protocol, database, store, near: values.near }];
    const ours = { protocol: "coherent", database, store: "redis" } as const;
    const others = PROTOCOLS.filter((name) => name !== "coherent").map((name) => ({
      ...ours,
      protocol: name,
    }));
    return [ours, { ...ours, near: true }, { ...ours, store: "memory" }, ...others];
  });
}

function limits(): Pick<TortureOptions, "seconds" | "isEnough"> {
  const reads = values.reads === undefined ? Infinity : positive("reads", values.reads);
  const seconds =
    values.seconds === undefined ? (reads === Infinity ? 60 : Infinity) : positive("seconds", values.seconds);
  let next = 10;
  return {
    seconds,
    isEnough(soFar) {
      if (soFar.seconds >= next) {
        process.stderr.write(
          `${soFar.seconds.toFixed(0)} s: ${soFar.reads} reads, ${soFar.hits} hits, ${soFar.stale} stale\n`,
        );
        next += soFar.seconds < 120 ? 10 : 60;
      }
      // One is one too many, and its details are wanted now.
      return soFar.reads >= reads || (soFar.protocol === "coherent" && soFar.stale > 0);
    },
  };
}

function positive(option: string, text: string): number {
  const number = Number(text);
  if (!(number > 0)) throw new Error(`--${option} is ${text}, but must be a positive number.`);
  return number;
}

function oneOf<Name extends string>(option: string, value: string, names: readonly Name[]): Name {
  const found = names.find((name) => name === value);
  if (found === undefined) throw new Error(`--${option} is ${value}, but must be one of ${names.join(", ")}.`);
  return found;
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
