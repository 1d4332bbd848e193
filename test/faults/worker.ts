// A process of the torture test: a writer, a reader, or the one that makes the tables. See supervisor.ts.
import "reflect-metadata";
import { setImmediate } from "node:timers/promises";
import { DataSource } from "typeorm";
import { checkVersions, wrong } from "./checker";
import { committedRows, rowOf, type Committed } from "./committed";
import { CATEGORIES, HOT_ROWS, ITEMS } from "./entities";
import { randomLookup } from "./lookups";
import { noCounts, type Counts, type Violation, type WorkerMessage, type WorkerSettings } from "./messages";
import { below, pause, pick } from "./random";
import { openSubject, type Subject } from "./subjects";
import { writeSomething } from "./writes";

/** Longer than any hiccup of a busy machine, short enough for several quarantines a run. */
const LOCK_TTL = 1000;
const STORE_TIMEOUT = 300;
const MOST_AT_ONCE = 40;
/** Milliseconds between two reports: what a killed writer has not reported is lost. */
const REPORT_EVERY = 100;

let stopping = false;
const tell = (message: WorkerMessage) => void process.send?.(message);

process.once("message", (settings: WorkerSettings) => {
  process.on("message", () => (stopping = true));
  run(settings).catch((error: unknown) => {
    tell({ kind: "failed", error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
    process.exitCode = 1;
    process.disconnect?.();
  });
});
// The supervisor is gone.
process.on("disconnect", () => process.exit());

async function run(settings: WorkerSettings): Promise<void> {
  const plain = await connect(settings, settings.role === "prepare");
  if (settings.role === "prepare") await seed(plain);
  else await work(settings, plain);
  await plain.destroy();
  process.disconnect?.();
}

async function work(settings: WorkerSettings, plain: DataSource): Promise<void> {
  const { protocol, store, near, redisUrl, role, lanes, name } = settings;
  const dataSource = await connect(settings, false);
  const subject = await openSubject(protocol, {
    dataSource,
    store,
    near,
    redisUrl,
    lockTtl: LOCK_TTL,
    storeTimeout: STORE_TIMEOUT,
  });
  const counts = noCounts();
  const report = reporter(counts, subject);
  tell({ kind: "ready" });
  const timer = setInterval(report, REPORT_EVERY);
  await Promise.all(
    Array.from({ length: lanes }, async (_, lane) => {
      let number = 0;
      const freshSku = () => `${name}.${lane}-${++number}`;
      while (!stopping) {
        if (role === "writer") await write(subject, counts, freshSku);
        // Writers are there to write.
        await read(subject, plain, counts, name, role === "writer" ? 1 : 1 + below(5));
        // Without a store all is synchronous on better-sqlite3, and a connection would never get its turn to come back.
        await setImmediate();
      }
    }),
  );
  clearInterval(timer);
  report();
  await subject.close();
  await dataSource.destroy();
}

async function write(subject: Subject, counts: Counts, freshSku: () => string): Promise<void> {
  const item = pick(ITEMS);
  try {
    await writeSomething({ subject, item, repository: subject.repository(item), counts, freshSku });
  } catch {
    // Busy, in conflict with another, or not lockable: as in an application, another try comes sooner or later.
    counts.refused += 1;
    await pause(below(10));
  }
}

/** Reads several things between two looks at what is committed: all of them begin after the one and end before the other. */
async function read(subject: Subject, plain: DataSource, counts: Counts, worker: string, times: number): Promise<void> {
  const item = pick(ITEMS);
  let before = await committedRows(plain, item);
  for (let left = times; left > 0 && !stopping; left -= 1) {
    const lookups = Array.from({ length: 1 + below(MOST_AT_ONCE) }, () => randomLookup(before));
    // Only another protocol fails with its Redis.
    const found = await Promise.all(lookups.map((lookup) => subject.read(item, lookup).catch(() => undefined)));
    const after = await committedRows(plain, item);
    checkVersions(before, after);
    for (const [at, lookup] of lookups.entries()) {
      const one = found[at];
      if (one === undefined) continue;
      counts.reads += 1;
      const result = typeof one === "number" ? one : one.map(rowOf);
      const problem = wrong(lookup, result, before, after);
      if (problem === undefined) continue;
      const concerned = (rows: Committed) =>
        [...rows.values()].filter(
          (row) => lookup.matches(row) || (typeof result !== "number" && result.some(({ id }) => id === row.id)),
        );
      const violation: Violation = {
        problem,
        entity: item.name,
        lookup: lookup.name,
        worker,
        details: { before: concerned(before), result, after: concerned(after) },
      };
      tell({ kind: "violation", violation });
    }
    before = after;
  }
}

/** Sends what has been counted since the last time. */
function reporter(counts: Counts, subject: Subject): () => void {
  let last = noCounts();
  return () => {
    const now = { ...counts, ...subject.counts() };
    const names = Object.keys(now) as (keyof Counts)[];
    const sum = noCounts();
    for (const each of names) sum[each] = now[each] - last[each];
    last = now;
    tell({ kind: "counts", counts: sum });
  };
}

async function connect({ database }: WorkerSettings, synchronize: boolean): Promise<DataSource> {
  const dataSource = new DataSource({ ...database, entities: [...ITEMS], synchronize });
  await dataSource.initialize();
  // As in torture.ts for PostgreSQL.
  if (/sqlite/.test(database.type)) await dataSource.query("PRAGMA synchronous = OFF");
  return dataSource;
}

async function seed(plain: DataSource): Promise<void> {
  for (const item of ITEMS) {
    for (let row = 1; row <= HOT_ROWS; row += 1) {
      await plain.getRepository(item).insert({ sku: `h${row}`, mark: "first", category: pick(CATEGORIES) });
    }
  }
}
