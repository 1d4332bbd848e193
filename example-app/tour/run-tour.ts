import { typeorm } from "../database";
import type { OpenShop } from "../open-shop";
import { api } from "./api";
import { busy } from "./busy";
import { limits } from "./limits";
import { describeShop, passQuarantine, prepareShop } from "./prepare";
import { reading } from "./reading";
import { type Report, whole } from "./report";
import { Tour } from "./tour";
import { transactions } from "./transactions";
import { writing } from "./writing";

/** @returns whether every step did what the tour says */
export async function runTour(open: OpenShop, database: string, report: Report): Promise<boolean> {
  const tour = new Tour(open, report);
  report.title("A shop with a cache that is never stale", {
    Database: `SQLite ${database}, ${typeorm}`,
    Cache: open.store,
    Shop: await describeShop(open),
  });
  report.line();
  report.paragraph(
    "Every read below is also made past the cache: ✓ says that both gave the same, and that the step did what it is said to do.",
  );
  await passQuarantine(open, report);
  await prepareShop(open);
  for (const section of [reading, writing, transactions, limits, api, busy]) await section(tour);
  summarise(tour);
  return tour.failures.length === 0;
}

const MEMORY_NOTE =
  "SQLite runs in this process, so even a miss is quick here. With a database server, each miss waits for the network too; a hit does not.";
const REDIS_NOTE =
  "Redis is a process of its own and SQLite is not, so a plain read is about as quick as a hit here. A database server is further away than either: then each miss waits for it, and a hit does not.";

function summarise({ figures, failures, steps, report, open }: Tour): void {
  const micros = (of: "hit" | "miss" | "bypass" | "plain") => `${whole(figures.median(of))} µs`;
  report.section("Summary", "All reads of the tour, but for those of several rows at once.");
  report.table([
    ["reads", whole(figures.reads), "each compared with the database"],
    ["hits", whole(figures.count("hit")), `${(100 * figures.hitRatio).toFixed(1)} % of what the cache takes part in`],
    ["misses", whole(figures.count("miss")), "not read before, or invalidated by a write"],
    ["bypasses", whole(figures.count("bypass")), "left to the database"],
    ["median time of a hit", micros("hit"), ""],
    ["median time of a miss", micros("miss"), "asks the cache, the database, fills"],
    ["median time without a cache", micros("plain"), "the same reads, by TypeORM alone"],
    ["statements spared", whole(figures.statementsSpared), "that the hits would have sent"],
  ]);
  report.line();
  report.paragraph(open.usesRedis ? REDIS_NOTE : MEMORY_NOTE);
  report.line();
  if (failures.length === 0) report.paragraph(`All ${steps} steps did what they are said to do.`, "green");
  else report.paragraph(`${failures.length} of ${steps} steps failed: ${failures.join("; ")}.`, "red");
}
