// jest globalSetup of the projects that need no database.
import { provideBrowser } from "../../scripts/services/browser.mjs";
import { provideRedis } from "../../scripts/services/client.mjs";
import { reportMissing } from "./missing.mjs";

export default async function setup() {
  process.env.TEST_REPORT_REDIS = await provideRedis();
  const missing = await provideBrowser();
  if (missing !== undefined) reportMissing([missing]);
}
