import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import autocannon, { type Request } from "autocannon";
import { until } from "../../test/support/redis-server";
import { median } from "../measure";
import type { Places } from "../places";
import { grouped } from "../report/text";
import { inPlaces, type Section } from "./section";

const CONNECTIONS = 32;
/** Requests between where one connection begins and where the next one does; prime to their number. */
const STRIDE = 123;
const ROOT = join(__dirname, "..", "..");

/** The shop of the example behind its HTTP API, under the same requests with and without its cache. */
export const wholeApp: Section = {
  name: "whole app",
  run: (context) =>
    inPlaces(context, async (places) => {
      const [rounds, seconds] = context.quick ? [1, 1] : [3, 3];
      const ways = [
        { name: "without a cache", args: ["--no-cache"] },
        { name: "MemoryStore", args: [] },
        { name: "RedisStore", args: ["--redis", places.redisUrl] },
      ];
      const runs = await Promise.all(
        ways.map(async ({ name, args }) => ({ name, url: await serve(places, args), samples: [] as Sample[] })),
      );
      for (const { url } of runs) await load(url, 1);
      for (let round = 0; round < rounds; round += 1) {
        for (let at = 0; at < runs.length; at += 1) {
          const { url, samples } = runs[(at + round) % runs.length]!;
          samples.push(await load(url, seconds));
        }
      }
      const of = (samples: readonly Sample[], figure: keyof Sample) => median(samples.map((sample) => sample[figure]));
      const without = of(runs[0]!.samples, "perSecond");
      return {
        title: `whole app: the example's API on SQLite in memory, ${CONNECTIONS} connections, one write to 19 reads`,
        columns: ["", "requests/s", "p50", "p99", "/ without"],
        rows: runs.map(({ name, samples }) => [
          name,
          grouped(of(samples, "perSecond")),
          `${of(samples, "p50").toFixed(0)} ms`,
          `${of(samples, "p99").toFixed(0)} ms`,
          (of(samples, "perSecond") / without).toFixed(2),
        ]),
      };
    }),
};

interface Sample {
  readonly perSecond: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
}

/** @returns the address of the example's API, in a process of its own */
async function serve(places: Places, args: readonly string[]): Promise<string> {
  const child = spawn(
    process.execPath,
    ["scripts/run-ts.cjs", "example-app/main.ts", "--serve", "--no-tour", "--port", "0", ...args],
    { cwd: ROOT, stdio: ["ignore", "pipe", "inherit"] },
  );
  const exit = once(child, "exit");
  // A run that is ended early leaves no server behind.
  process.on("exit", () => child.kill());
  places.onClose(async () => {
    child.kill("SIGTERM");
    await exit;
  });
  let output = "";
  child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
  await until(() => {
    if (child.exitCode !== null) throw new Error(`The example ended:\n${output}`);
    return output.includes("The API is up at ");
  }, 120_000);
  return /http:\/\/[\d.:]+/.exec(output)![0];
}

async function load(url: string, duration: number): Promise<Sample> {
  let connection = 0;
  const result = await autocannon({
    url,
    duration,
    connections: CONNECTIONS,
    requests: REQUESTS,
    // Each begins elsewhere: in step they would all write the same row at the same time, and then none for a while.
    setupClient: (client) => client.setRequests(rotated(REQUESTS, (connection++ * STRIDE) % REQUESTS.length)),
  });
  if (result.non2xx + result.errors + result.timeouts > 0) throw new Error(`${result.non2xx} answers were no good.`);
  const { requests, latency } = result;
  return { perSecond: requests.average, p50: latency.p50, p99: latency.p99 };
}

function rotated<Item>(items: readonly Item[], by: number): Item[] {
  return [...items.slice(by), ...items.slice(0, by)];
}

let price = 0;

/** What each connection sends over and over: products by id and sku, lists, orders with all that they show, and a price that changes. */
const REQUESTS: Request[] = Array.from({ length: 20 }, (_, block) => block + 1).flatMap((block): Request[] => {
  const ids = Array.from({ length: 12 }, (_, at) => ((block * 12 + at) % 100) + 1);
  return [
    ...ids.map((id) => ({ method: "GET" as const, path: `/products/${id}` })),
    ...[1, 2, 3].map((at) => ({
      method: "GET" as const,
      path: `/products/by-sku/KIT-${String(((block + at) % 17) + 1).padStart(3, "0")}`,
    })),
    { method: "GET", path: `/categories/${(block % 5) + 1}/products` },
    { method: "GET", path: `/categories/${((block + 2) % 5) + 1}/products` },
    { method: "GET", path: `/customers/${block}/orders` },
    { method: "GET", path: `/customers/${block + 20}/orders` },
    {
      method: "PATCH",
      path: `/products/${block}`,
      headers: { "content-type": "application/json" },
      // What is as it was would not be written.
      setupRequest: (request) => ({ ...request, body: JSON.stringify({ priceCents: 1000 + (price += 1) }) }),
    },
  ];
});
