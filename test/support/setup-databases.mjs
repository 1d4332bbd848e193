// jest globalSetup of the projects that run on every database; jest runs it once, whatever the number of projects.
import { provideDatabases, provideRedis } from "../../scripts/services/client.mjs";
import { reportMissing } from "./missing.mjs";

export default async function setup() {
  process.env.TEST_REPORT_REDIS = await provideRedis();
  const { report, missing, stop } = await provideDatabases("postgres", "mariadb");
  process.env.TEST_REPORT_DATABASES = JSON.stringify(report);
  reportMissing(missing);
  globalThis.stopTestDatabases = stop;
}
