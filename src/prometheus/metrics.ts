import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import type { CacheStats } from "../events";

/** Seconds. A hit in Redis takes tenths of a millisecond, and a call is given up after `storeTimeout`, 50 ms by default. */
const CALL = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5];
/** Seconds. A copy in the process takes microseconds; a miss takes what the database does. */
const READ = [0.00001, 0.000025, 0.00005, ...CALL, 1, 2.5, 5];
/** Seconds, up to where locks run out. */
const HELD = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5];

/** Every metric with its labels; docs/telemetry.md says what each means. Labels have few values each, and are no values of rows. */
export const METRICS = {
  hits: { type: "counter", name: "hits_total", help: "Entries served from the cache.", labels: ["entity"] },
  staleHits: {
    type: "counter",
    name: "stale_hits_total",
    help: "Stale entries served, as staleWhileRevalidate says.",
    labels: ["entity"],
  },
  nearHits: {
    type: "counter",
    name: "near_hits_total",
    help: "Hits that came from a copy in the process.",
    labels: ["mode"],
  },
  misses: {
    type: "counter",
    name: "misses_total",
    help: "Entries that were not served, by why.",
    labels: ["entity", "reason"],
  },
  bypasses: {
    type: "counter",
    name: "bypasses_total",
    help: "Reads that went past the cache, by why.",
    labels: ["entity", "reason"],
  },
  fills: { type: "counter", name: "fills_total", help: "Entries stored after a miss.", labels: ["entity"] },
  unfilled: {
    type: "counter",
    name: "unfilled_total",
    help: "Entries not stored after a miss, by why.",
    labels: ["entity", "reason"],
  },
  writeThroughs: {
    type: "counter",
    name: "write_throughs_total",
    help: "Entries stored by the write of their row.",
    labels: ["entity"],
  },
  invalidations: {
    type: "counter",
    name: "invalidations_total",
    help: "Invalidations by the way of the write, once per table.",
    labels: ["path", "table"],
  },
  reads: {
    type: "histogram",
    name: "read_seconds",
    help: "Reads that ask the cache, with the load if it was a miss.",
    labels: ["entity", "outcome"],
    buckets: READ,
  },
  lockWaits: {
    type: "histogram",
    name: "lock_wait_seconds",
    help: "How long a write waits for its LOCK.",
    labels: ["path", "outcome"],
    buckets: CALL,
  },
  locksHeld: {
    type: "histogram",
    name: "lock_held_seconds",
    help: "From the first LOCK of a write to the end of its UNLOCK.",
    labels: ["path"],
    buckets: HELD,
  },
  storeCalls: {
    type: "histogram",
    name: "store_seconds",
    help: "Calls of the store.",
    labels: ["operation", "outcome"],
    buckets: CALL,
  },
  storeErrors: {
    type: "counter",
    name: "store_errors_total",
    help: "Operations that failed because of the store.",
    labels: ["operation"],
  },
  outages: { type: "counter", name: "store_outages_total", help: "How often the circuit breaker opened.", labels: [] },
  breaker: {
    type: "gauge",
    name: "breaker_open",
    help: "1 while the store is not asked, else 0.",
    labels: [],
    of: ({ storeState }: CacheStats) => Number(storeState === "down"),
  },
  pending: {
    type: "gauge",
    name: "pending_invalidations",
    help: "Invalidations that wait for the store.",
    labels: [],
    of: ({ pending }: CacheStats) => pending,
  },
  nearCopies: {
    type: "gauge",
    name: "near_copies",
    help: "Copies in the process.",
    labels: [],
    of: ({ near }: CacheStats) => near.copies,
  },
  nearBytes: {
    type: "gauge",
    name: "near_bytes",
    help: "What the copies in the process take.",
    labels: [],
    of: ({ near }: CacheStats) => near.bytes,
  },
  heard: {
    type: "counter",
    name: "heard_changes_total",
    help: "Changes told of over the channel, own ones included.",
    labels: ["operation", "own"],
  },
  gaps: { type: "counter", name: "gaps_total", help: "How often events may have been missed.", labels: ["reason"] },
  rejected: {
    type: "counter",
    name: "rejected_messages_total",
    help: "Messages that were ignored, by why.",
    labels: ["reason"],
  },
  checks: {
    type: "counter",
    name: "checked_hits_total",
    help: "Hits that consistencyCheck took up, by what came of it.",
    labels: ["outcome"],
  },
} as const;

type Description = (typeof METRICS)[keyof typeof METRICS];
type MetricOf<Described extends Description> = Described["type"] extends "counter"
  ? Counter
  : Described["type"] extends "gauge"
    ? Gauge
    : Histogram;

/** The metrics by what they are called here. */
export type Metrics = { readonly [Key in keyof typeof METRICS]: MetricOf<(typeof METRICS)[Key]> };

const PREFIX = "typeorm_coherent_";

/** Names as they are exported. */
export const NAMES: readonly string[] = Object.values(METRICS).map(({ name }) => `${PREFIX}${name}`);

/** What is needed of a cache: a `CoherentCache` is one. */
export interface MeteredCache {
  readonly namespace: string;
  stats(): CacheStats;
}

/** @param caches where the gauges are read; of those that share a namespace they are added up */
export function createMetrics(registry: Registry, caches: readonly MeteredCache[]): Metrics {
  const made = Object.entries<Description>(METRICS).map(([key, description]) => {
    const { name, help, labels } = description;
    const configuration = { name: PREFIX + name, help, labelNames: ["cache", ...labels], registers: [registry] };
    if (description.type === "counter") return [key, new Counter(configuration)];
    if (description.type === "histogram")
      return [key, new Histogram({ ...configuration, buckets: [...description.buckets] })];
    const { of } = description;
    const collect = (gauge: Gauge) => {
      gauge.reset();
      for (const cache of caches) gauge.inc({ cache: cache.namespace }, of(cache.stats()));
    };
    const gauge: Gauge = new Gauge({ ...configuration, collect: () => collect(gauge) });
    return [key, gauge];
  });
  return Object.fromEntries(made) as Metrics;
}
