// jest globalSetup of the projects that need no database.
import { provideRedis } from "../../scripts/services/client.mjs";

export default async function setup() {
  process.env.TEST_REPORT_REDIS = await provideRedis();
}
