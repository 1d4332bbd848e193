import { expect, it } from "@jest/globals";
import { describeReport } from "../faults/report";
import { torture, type TortureReport } from "../faults/torture";

/** A run that met less than this has proven nothing. */
const TEETH = {
  hits: 300,
  fills: 100,
  writeThroughs: 2,
  outdated: 50,
  commits: 20,
  kills: 3,
  cutConnections: 2,
  moves: 5,
  failovers: 1,
} as const satisfies Partial<TortureReport>;

const missing = (report: TortureReport) =>
  Object.entries(TEETH).flatMap(([name, least]) => {
    const met = report[name as keyof typeof TEETH];
    return met < least ? [`${name} ${met} < ${least}`] : [];
  });

it("a cluster serves nothing stale while its slots move, its primaries die and come back, and writers die", async () => {
  const report = await torture({
    protocol: "coherent",
    database: "sqlite",
    store: "cluster",
    seconds: 70,
    isEnough: (soFar) => soFar.stale > 0 || missing(soFar).length === 0,
  });
  if (report.stale > 0) throw new Error(`Stale reads:\n${describeReport(report)}`);
  expect(missing(report)).toEqual([]);
}, 120_000);
