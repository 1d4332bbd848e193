// npm run bench -- [--quick] [--rounds N] [--only TEXT] [--json FILE] [--svg FILE] ...: see README.md.
import "reflect-metadata";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { dirname } from "node:path";
import { parseArgs } from "node:util";
import type { DataSourceOptions } from "typeorm";
import { databases, typeormVersion } from "../test/support/databases";
import { startRedis } from "../test/support/redis-server";
import { openAll } from "./cases/lazy-case";
import { readCases } from "./cases/reads";
import { saveCases } from "./cases/saves";
import { measure, type Series } from "./measure";
import { Places, type DatabaseName } from "./places";
import { Product } from "./product";
import { verdicts } from "./report/aims";
import { pictureOf } from "./report/picture";
import { mediansOf, type BenchResult, type Table } from "./report/result";
import { textOf } from "./report/text";
import { SECTIONS, type SectionContext } from "./sections";

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    rounds: { type: "string" },
    only: { type: "string", default: "" },
    "without-disk": { type: "boolean", default: false },
    "typeorm-0.3": { type: "boolean", default: false },
    "rows-up-to": { type: "string", default: "100000" },
    json: { type: "string" },
    svg: { type: "string" },
    from: { type: "string" },
  },
});

const rounds = Number(values.rounds ?? (values.quick ? 3 : 15));
const time = values.quick ? 80 : 200;
const isPicked = (name: string) => name.includes(values.only);

async function main(): Promise<void> {
  // A picture of a run that is over.
  const result =
    values.from === undefined ? await run() : (JSON.parse(readFileSync(values.from, "utf8")) as BenchResult);
  process.stdout.write(textOf(result));
  if (values.json !== undefined) write(values.json, `${JSON.stringify(result, undefined, 2)}\n`);
  if (values.svg !== undefined) write(values.svg, pictureOf(result));
}

async function run(): Promise<BenchResult> {
  const available = databases();
  const redis = await startRedis();
  const place = (name: DatabaseName) => {
    const database = available.find((one) => one.name === name);
    return database && { [name]: async () => withoutDisk(await database.options([Product])) };
  };
  const emptyPlaces = () => new Places(redis.url, { ...place("sqlite"), ...place("postgres"), ...place("mariadb") });
  try {
    const series = await runCases(emptyPlaces());
    const tables = await runSections({
      emptyPlaces,
      rounds,
      time,
      quick: values.quick,
      most: Number(values["rows-up-to"]),
    });
    const aims = verdicts({ series, tables });
    return { environment: environment(), series: series.map(mediansOf), tables, aims };
  } finally {
    await redis.stop();
    for (const database of available) await database.cleanup();
  }
}

async function runCases(places: Places): Promise<Series[]> {
  try {
    const picked = [...readCases(places), ...saveCases(places)].filter(({ group, name }) =>
      isPicked(`${group}: ${name}`),
    );
    if (picked.length === 0) return [];
    process.stderr.write("filling caches ");
    const cases = await openAll(picked, fail);
    const onRound = (round: number) => process.stderr.write(`\rround ${round} of ${rounds} `);
    const series = await measure(cases, { inFlight: [1], rounds, time, onRound });
    process.stderr.write("\r");
    for (const complaint of places.complaints()) process.stderr.write(`${complaint}\n`);
    return series;
  } finally {
    await places.close();
  }
}

/** One that fails takes none of the others with it: the whole takes minutes. */
async function runSections(context: SectionContext): Promise<Table[]> {
  const tables: Table[] = [];
  for (const { name, run } of SECTIONS.filter((section) => isPicked(section.name))) {
    process.stderr.write(`${name} …\n`);
    try {
      tables.push(await run(context));
    } catch (error) {
      fail(name, error);
    }
  }
  return tables;
}

function fail(what: string, error: unknown): void {
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  process.stderr.write(`${what} failed: ${text}\n`);
  process.exitCode = 1;
}

function environment(): string {
  const [cpu] = cpus();
  return (
    `Medians of ${rounds} rounds of ${time} ms. Node ${process.versions.node}, TypeORM ${typeormVersion}, ` +
    `${cpus().length} x ${cpu?.model.trim() ?? "?"}${values["without-disk"] ? ", COMMIT without waiting for the disk" : ""}`
  );
}

function write(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}

/** Waiting for the disk at COMMIT is most of a save; without it one sees what the plugin adds to the rest. */
function withoutDisk(options: DataSourceOptions): DataSourceOptions {
  if (options.type !== "postgres") return options;
  const extra = options.extra as { readonly options?: string } | undefined;
  const commit = values["without-disk"] ? "off" : "on";
  return { ...options, extra: { ...extra, options: `${extra?.options ?? ""} -c synchronous_commit=${commit}` } };
}

// So that what hangs on the end of the process happens.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));

main().catch((error: unknown) => {
  fail("The run", error);
  // What could not be closed must not keep the run alive.
  process.exit(1);
});
