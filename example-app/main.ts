// A small shop with a cache: a tour of what the cache does, and an API to try it. `npm run example -- --help`
import "reflect-metadata";
import { HELP, parseFlags, UsageError } from "./flags";
import { openShop, openUncachedApi } from "./open-shop";
import { serve } from "./serve";
import { Report } from "./tour/report";
import { runTour } from "./tour/run-tour";

async function main(args: readonly string[]): Promise<number> {
  const flags = parseFlags(args);
  if (flags.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const report = new Report(process.stdout);
  if (!flags.cache) {
    const { api, close } = await openUncachedApi(flags.database);
    await serve(api, flags.port, report).finally(close);
    return 0;
  }
  const shop = await openShop(flags);
  try {
    const database = flags.database === undefined ? "in memory" : `in ${flags.database}`;
    if (flags.tour && !(await runTour(shop, database, report))) return 1;
    if (flags.serve) await serve(shop.api, flags.port, report);
    return 0;
  } finally {
    await shop.close();
  }
}

// Somebody who reads only the beginning (`| head`) is no error.
process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1));

main(process.argv.slice(2)).then(
  (exitCode) => (process.exitCode = exitCode),
  (error: unknown) => {
    const isUsage = error instanceof UsageError;
    process.stderr.write(`${isUsage ? `${error.message}` : error instanceof Error ? error.stack : String(error)}\n`);
    process.exitCode = isUsage ? 2 : 1;
  },
);
