// npm run bench -- [--quick] [--rounds N] [--only TEXT] [--without-disk] [--typeorm-0.3]: see README.md.
import "reflect-metadata";
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import type { DataSourceOptions } from "typeorm";
import { databases, typeormVersion } from "../test/support/databases";
import { startRedis } from "../test/support/redis-server";
import { withCases } from "./cases";
import { measure, type BenchCase } from "./measure";
import { observerReport } from "./observer";
import { Product } from "./product";
import { aims, table } from "./report";

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    rounds: { type: "string" },
    only: { type: "string", default: "" },
    "without-disk": { type: "boolean", default: false },
    "typeorm-0.3": { type: "boolean", default: false },
  },
});

const rounds = Number(values.rounds ?? (values.quick ? 3 : 15));
const time = values.quick ? 80 : 250;

async function main(): Promise<void> {
  const available = databases();
  const placeIn = (name: string) => {
    const database = available.find((one) => one.name === name);
    return database && (async () => withoutDisk(await database.options([Product])));
  };
  const sqlite = placeIn("sqlite");
  if (sqlite === undefined) throw new Error("SQLite is always there.");
  const redis = await startRedis();
  try {
    await withCases({ redisUrl: redis.url, sqlite, postgres: placeIn("postgres") }, run);
    if ("observer".includes(values.only)) process.stdout.write(`${await observerReport(await sqlite(), rounds)}\n`);
  } finally {
    await redis.stop();
    for (const database of available) await database.cleanup();
  }
}

async function run(all: readonly BenchCase[]): Promise<void> {
  const cases = all.filter(({ name }) => name.includes(values.only));
  if (cases.length === 0) return;
  const series = await measure(cases, {
    inFlight: [1, 64],
    rounds,
    time,
    onRound: (round) => process.stderr.write(`\rround ${round} of ${rounds} `),
  });
  const [cpu] = cpus();
  process.stderr.write("\r");
  process.stdout.write(
    `${table(series)}\n\n${aims(series)}\n\n` +
      `Medians of ${rounds} rounds of ${time} ms. Node ${process.versions.node}, TypeORM ${typeormVersion}, ` +
      `${cpus().length} x ${cpu?.model.trim() ?? "?"}${values["without-disk"] ? ", COMMIT without waiting for the disk" : ""}\n`,
  );
}

/** Waiting for the disk at COMMIT is most of a save; without it one sees what the plugin adds to the rest. */
function withoutDisk(options: DataSourceOptions): DataSourceOptions {
  if (options.type !== "postgres" || !values["without-disk"]) return options;
  const extra = options.extra as { readonly options?: string } | undefined;
  return { ...options, extra: { ...extra, options: `${extra?.options ?? ""} -c synchronous_commit=off` } };
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exitCode = 1;
});
