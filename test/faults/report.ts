import type { TortureReport } from "./torture";

/** A report for people. */
export function describeReport(report: TortureReport): string {
  const { hits, reads } = report;
  const isOurs = report.protocol === "coherent";
  const lines: [string, string][] = [
    ["protocol, place", `${nameOf(report)}, ${report.database}, ${report.seconds.toFixed(0)} s`],
    [
      "reads",
      `${count(reads)} checked, ${count(hits)} hits (of a list of ids each is one), ${count(report.bypasses)} past the cache`,
    ],
    [
      "fills",
      `${count(report.fills)}, written through ${count(report.writeThroughs)}, kept back by a lock ${count(report.locked)}`,
    ],
    ["outdated entries met", `${count(report.outdated)}, none of them served`],
    [
      "writes",
      `${count(report.commits)} committed, ${count(report.rollbacks)} rolled back, ${count(report.refused)} refused`,
    ],
    ["faults", faultsOf(report)],
    ["stale reads", staleOf(report)],
  ];
  if (report.near) lines.splice(2, 0, ["hits from copies", count(report.copies)]);
  const shown = isOurs ? lines : lines.filter(([name]) => name !== "outdated entries met");
  const width = Math.max(...shown.map(([name]) => name.length));
  const violations = report.violations.map(
    (one) => `  ${one.worker} ${one.entity} ${one.lookup}: ${one.problem}\n    ${JSON.stringify(one.details)}`,
  );
  return [...shown.map(([name, text]) => `${name.padEnd(width)}  ${text}`), ...violations].join("\n");
}

/** Several runs side by side, as a table in Markdown. */
export function compareReports(reports: readonly TortureReport[]): string {
  const head = ["protocol", "database", "reads", "hits", "writers killed", "partitions", "stale", "of all reads"];
  const rows = reports.map((report) => [
    nameOf(report),
    report.database,
    count(report.reads),
    count(report.hits),
    count(report.kills),
    count(report.partitions),
    count(report.stale),
    report.stale === 0 ? `< 1 in ${bound(trialsOf(report))}` : `${((100 * report.stale) / report.reads).toFixed(2)} %`,
  ]);
  return [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

function nameOf({ protocol, store, near }: TortureReport): string {
  const where = { memory: " in memory", cluster: " on a cluster", redis: "" }[store];
  return `${protocol}${where}${near ? " with copies" : ""}`;
}

function faultsOf(report: TortureReport): string {
  const { kills, evictions, flushes, scriptFlushes, cutConnections, partitions, moves, failovers } = report;
  const cluster = report.store === "cluster";
  const last = cluster
    ? `${count(moves)} slots moved, ${count(failovers)} primaries killed and replaced by their replicas`
    : `${count(partitions)} times writers were cut off from Redis alone`;
  return `${count(kills)} writers killed, ${count(evictions)} keys evicted, ${count(flushes)} FLUSHALL, ${count(scriptFlushes)} SCRIPT FLUSH, ${count(cutConnections)} connections cut, ${last}`;
}

function staleOf(report: TortureReport): string {
  const { stale, reads } = report;
  if (stale > 0) return `${count(stale)} of ${count(reads)} reads`;
  const trials = trialsOf(report);
  return `0 of ${count(trials)}: less than one in ${bound(trials)}, by the rule of three`;
}

/** A read of several ids is one read and several hits, and writers read without being checked: the smaller number is the honest one. */
function trialsOf({ hits, reads }: TortureReport): number {
  return Math.min(hits, reads);
}

/**
 * No event in N trials: with 95 % confidence its rate is below 3 / N.
 *
 * J. A. Hanley and A. Lippman-Hand, "If nothing goes wrong, is everything all right?", JAMA 249 (1983).
 */
function bound(trials: number): string {
  return trials < 3 ? "1" : count(Math.floor(trials / 3));
}

function count(number: number): string {
  return number.toLocaleString("en");
}
