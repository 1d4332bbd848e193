import type { TortureReport } from "./torture";

/** A report for people. */
export function describeReport(report: TortureReport): string {
  const { stale, hits, reads } = report;
  const lines: [string, string][] = [
    ["protocol, database", `${report.protocol}, ${report.database}, ${report.seconds.toFixed(0)} s`],
    ["reads", `${reads}, of these ${hits} hits, ${report.bypasses} past the cache`],
    ["fills", `${report.fills}, written through ${report.writeThroughs}, kept back by a lock ${report.locked}`],
    ["outdated entries met", `${report.outdated}, none of them served`],
    ["writes", `${report.commits} committed, ${report.rollbacks} rolled back, ${report.refused} refused`],
    [
      "faults",
      `${report.kills} writers killed, ${report.evictions} keys evicted, ${report.flushes} FLUSHALL, ${report.scriptFlushes} SCRIPT FLUSH, ${report.cutConnections} connections cut`,
    ],
    [
      "stale reads",
      stale === 0
        ? `0 of ${hits} hits: less than one in ${bound(hits)}, by the rule of three`
        : `${stale} of ${reads} reads`,
    ],
  ];
  if (report.protocol !== "coherent") lines.splice(3, 1);
  const width = Math.max(...lines.map(([name]) => name.length));
  const violations = report.violations.map(
    (one) => `  ${one.worker} ${one.entity} ${one.lookup}: ${one.problem}\n    ${JSON.stringify(one.details)}`,
  );
  return [...lines.map(([name, text]) => `${name.padEnd(width)}  ${text}`), ...violations].join("\n");
}

/** No event in N trials: with 95 % confidence its rate is below 3 / N. */
function bound(trials: number): string {
  return trials < 3 ? "1" : Math.floor(trials / 3).toString();
}
