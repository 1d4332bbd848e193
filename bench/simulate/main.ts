// npm run simulate -- [--processes N] [--reads N] ...: see docs/scaling.md.
import "reflect-metadata";
import { parseArgs } from "node:util";
import { startRedis } from "../../test/support/redis-server";
import { measureCosts, type Costs } from "./costs";
import { simulate, type FleetReport, type FleetSettings } from "./fleet";

const HELP = `npm run simulate -- [options]

Measures what each step of the protocol costs on this machine, and simulates a fleet of processes on a Redis Cluster with these costs.

  --processes N     default 1000
  --reads N         per second, of all processes together; default 1000000
  --writes N        per second; default 1000
  --coarse SHARE    of the writes that do not know their rows; default 0.002
  --tables N        default 20
  --rows N          of each table; default 100000
  --hot SHARE       of all reads and writes that are of one table; default 0.5
  --nodes N,N,...   of the cluster; default 1,3,6,12,24
  --round-trip MS   between process and node; default 0.3
  --database MS     for a load, and for a COMMIT; default 1
  --seconds N       that are simulated; default 1
`;

const { values } = parseArgs({
  options: {
    processes: { type: "string", default: "1000" },
    reads: { type: "string", default: "1000000" },
    writes: { type: "string", default: "1000" },
    coarse: { type: "string", default: "0.002" },
    tables: { type: "string", default: "20" },
    rows: { type: "string", default: "100000" },
    hot: { type: "string", default: "0.5" },
    nodes: { type: "string", default: "1,3,6,12,24" },
    "round-trip": { type: "string", default: "0.3" },
    database: { type: "string", default: "1" },
    seconds: { type: "string", default: "1" },
    help: { type: "boolean", default: false },
  },
});

async function main(): Promise<void> {
  if (values.help) return void process.stdout.write(HELP);
  const settings = settingsOf();
  const server = await startRedis();
  const costs = await measureCosts(server.url).finally(() => server.stop());
  process.stdout.write(`${describeCosts(costs)}\n\n${describeFleet(settings)}\n\n`);
  const rows: string[][] = [];
  for (const near of ["off", "trust"] as const) {
    for (const nodes of values.nodes.split(",").map((text) => positive("nodes", text))) {
      rows.push(rowOf(simulate({ ...settings, nodes, near }, costs), nodes, near));
    }
  }
  const head = [
    "copies",
    "nodes",
    "busiest node",
    "least busy",
    "p50",
    "p99",
    "hits",
    "of them copies",
    "loads/s",
    "a core of a process",
  ];
  process.stdout.write(
    `${[head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n")}\n`,
  );
}

function settingsOf(): Omit<FleetSettings, "nodes" | "near"> {
  return {
    processes: positive("processes", values.processes),
    reads: positive("reads", values.reads),
    writes: positive("writes", values.writes),
    coarse: share("coarse", values.coarse),
    tables: positive("tables", values.tables),
    rows: positive("rows", values.rows),
    hotTable: share("hot", values.hot),
    roundTrip: 1000 * positive("round-trip", values["round-trip"]),
    database: 1000 * positive("database", values.database),
    seconds: positive("seconds", values.seconds),
  };
}

function describeCosts(costs: Costs): string {
  const { hit, prepare, fill, lock, unlock, delivery, readerHit, readerCopy } = costs;
  const of = (name: string, time: number) => `${name} ${time.toFixed(1)} µs`;
  const server = [of("hit", hit), of("PREPARE", prepare), of("fill", fill), of("LOCK", lock), of("UNLOCK", unlock)];
  return [
    `CPU time of the Redis server: ${server.join(", ")}, a message to one who listens ${delivery.toFixed(2)} µs`,
    `CPU time of the process:      ${of("hit", readerHit)}, ${of("trusted copy", readerCopy)}`,
  ].join("\n");
}

function describeFleet({
  processes,
  reads,
  writes,
  coarse,
  tables,
  rows,
  hotTable,
}: Omit<FleetSettings, "nodes" | "near">): string {
  const count = (number: number) => number.toLocaleString("en");
  return `${count(processes)} processes, ${count(reads)} reads/s and ${count(writes)} writes/s (${100 * coarse} % coarse) of ${count(tables)} tables with ${count(rows)} rows each, ${100 * hotTable} % of one table`;
}

function rowOf(report: FleetReport, nodes: number, near: string): string[] {
  const percent = (part: number, digits = 0) => `${(100 * part).toFixed(digits)} %`;
  const busiest = Math.max(...report.nodes);
  const milliseconds = (time: number) => `${(time / 1000).toFixed(2)} ms`;
  // A queue that only grows has no percentiles.
  const isOver = busiest >= 0.98;
  return [
    near === "off" ? "none" : near,
    String(nodes),
    isOver ? `overloaded (${percent(busiest)})` : percent(busiest),
    percent(Math.min(...report.nodes)),
    isOver ? "" : milliseconds(report.p50),
    isOver ? "" : milliseconds(report.p99),
    isOver ? "" : percent(report.hitRatio, 1),
    isOver ? "" : percent(report.copies, 1),
    isOver ? "" : Math.round(report.loads).toLocaleString("en"),
    percent(report.reader),
  ];
}

function positive(option: string, text: string): number {
  const number = Number(text);
  if (!(number > 0)) throw new Error(`--${option} is ${text}, but must be a positive number.`);
  return number;
}

function share(option: string, text: string): number {
  const number = Number(text);
  if (!(number >= 0 && number <= 1)) throw new Error(`--${option} is ${text}, but must be from 0 to 1.`);
  return number;
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
