import { databases } from "../support/databases";
import { describeReport } from "./report";
import { torture, type TortureReport } from "./torture";

/** A run that met less than this has proven nothing. */
const TEETH = {
  hits: 150,
  fills: 100,
  writeThroughs: 5,
  outdated: 50,
  locked: 50,
  commits: 40,
  rollbacks: 10,
  kills: 3,
  evictions: 30,
  flushes: 1,
  scriptFlushes: 2,
  cutConnections: 2,
} as const satisfies Partial<TortureReport>;

const SECONDS = 7;
/** For a machine that is slow or busy. */
const MOST_SECONDS = 40;

const missing = (report: TortureReport) =>
  Object.entries(TEETH).flatMap(([name, least]) => {
    const met = report[name as keyof typeof TEETH];
    return met < least ? [`${name} ${met} < ${least}`] : [];
  });

// MariaDB is left out to keep this short; the script takes it (`npm run torture -- --database mariadb`).
for (const database of ["sqlite", "postgres"] as const) {
  const isThere = databases().some(({ name }) => name === database);
  (isThere ? describe : describe.skip)(`torture [${database}]`, () => {
    it("serves nothing stale while writers die and Redis forgets", async () => {
      const report = await torture({
        protocol: "coherent",
        database,
        seconds: MOST_SECONDS,
        isEnough: (soFar) => soFar.stale > 0 || (soFar.seconds >= SECONDS && missing(soFar).length === 0),
      });
      if (report.stale > 0) throw new Error(`Stale reads:\n${describeReport(report)}`);
      expect(missing(report)).toEqual([]);
    }, 90_000);

    it("would find it: naive cache-aside under the same load is stale", async () => {
      const report = await torture({
        protocol: database === "sqlite" ? "delete-after-commit" : "set-after-commit",
        database,
        seconds: MOST_SECONDS,
        isEnough: ({ stale, kills }) => stale >= 3 && kills > 0,
      });
      expect(report.stale).toBeGreaterThan(0);
    }, 90_000);
  });
}
