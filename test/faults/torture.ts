import type { DataSourceOptions } from "typeorm";
import { startCluster } from "../support/redis-cluster";
import { startRedis } from "../support/redis-server";
import { databases, type TestDatabase } from "../support/databases";
import { tcpSwitch } from "../support/tcp-switch";
import type { Counts, Protocol, Role, StoreName, Violation } from "./messages";
import { pause } from "./random";
import { ClusterFaults } from "./cluster-faults";
import { RedisFaults, type FaultCounts } from "./redis-faults";
import { Supervisor } from "./supervisor";
import { buildWorker } from "./worker-build";

export interface TortureOptions {
  readonly protocol: Protocol;
  readonly database: TestDatabase["name"];
  /** Default: redis. */
  readonly store?: StoreName;
  /** Whether workers keep copies, which are verified. Default: they do not. */
  readonly near?: boolean;
  /** How many times as rare faults are. Default: 1, at which most reads meet one. */
  readonly calm?: number;
  /** At most. */
  readonly seconds: number;
  /** Asked several times a second; the run ends as soon as the answer is true. */
  readonly isEnough?: (report: TortureReport) => boolean;
}

export interface TortureReport extends Counts {
  readonly protocol: Protocol;
  readonly store: StoreName;
  readonly near: boolean;
  readonly database: string;
  readonly seconds: number;
  readonly kills: number;
  readonly evictions: number;
  readonly flushes: number;
  readonly scriptFlushes: number;
  readonly cutConnections: number;
  /** Times that the writers reached the database and not Redis. */
  readonly partitions: number;
  /** Slots that were moved to another node of the cluster. */
  readonly moves: number;
  /** Primaries of the cluster that were killed, and replaced by their replicas. */
  readonly failovers: number;
  /** Reads that gave something older than what was committed, or what never was. */
  readonly stale: number;
  /** The first of them. */
  readonly violations: readonly Violation[];
}

/** Milliseconds between two of each; kills and flushes cost a start and a quarantine. */
const EVERY = {
  evict: 25,
  kill: 900,
  flush: 3000,
  flushScripts: 1100,
  cut: 1900,
  partition: 8000,
  move: 400,
  failOver: 5000,
};

/**
 * Runs writers and readers on one database and one Redis, both their own, and breaks what can break.
 *
 * @throws Error if the database is missing, or if a worker fails otherwise than by being killed
 */
export async function torture(options: TortureOptions): Promise<TortureReport> {
  const { protocol, seconds, store = "redis", near = false, calm = 1, isEnough = () => false } = options;
  const database = databases().find(({ name }) => name === options.database);
  if (database === undefined) throw new Error(`There is no ${options.database} for this run.`);
  const build = buildWorker();
  const { faults, redisUrlOf, stop } = await (store === "cluster" ? clusterPlace() : redisPlace());
  const { entities: _, ...place } = sessionSettings(await database.options([], PLACE[database.name]));
  const supervisor = new Supervisor({ workerFile: build.file, protocol, store, near, database: place, redisUrlOf });
  let start = performance.now();
  const report = (): TortureReport => ({
    protocol,
    store,
    near,
    database: database.name,
    seconds: (performance.now() - start) / 1000,
    ...supervisor.counts,
    kills: supervisor.kills,
    ...faults.done,
    stale: supervisor.violationCount,
    violations: supervisor.violations,
  });
  try {
    await supervisor.prepare();
    // The SQLite driver has one connection a process: two transactions at a time would be one.
    const lanes = database.name === "sqlite" ? 1 : 2;
    // What is in a process is no other's: there is one, which writes and reads, and nothing to break.
    if (store === "memory") await supervisor.startAll("writer", 1, 2 * lanes);
    else {
      await supervisor.startAll("writer", 2, lanes);
      await supervisor.startAll("reader", 2, 2);
    }
    start = performance.now();
    let over = false;
    const isOver = () => over;
    const troubles: Troubles = { ...faults.troubles, kill: async () => supervisor.killWriter() };
    const names = store === "memory" ? [] : (Object.keys(troubles) as (keyof typeof EVERY)[]);
    await Promise.all([
      ...names.map((name) => every(EVERY[name] * calm, isOver, troubles[name]!)),
      every(200, isOver, async () => {
        over ||= supervisor.hasFailed() || performance.now() - start > seconds * 1000 || isEnough(report());
      }),
    ]);
  } finally {
    await supervisor.stop().finally(async () => {
      await stop();
      await database.cleanup();
      build.remove();
    });
  }
  return report();
}

/** What can break, by its name. */
export type Troubles = { readonly [Name in keyof typeof EVERY]?: () => Promise<void> };

/** The store that workers share. */
interface Place {
  readonly faults: { readonly done: FaultCounts; readonly troubles: Troubles };
  readonly redisUrlOf: (role: Role) => string;
  readonly stop: () => Promise<void>;
}

async function redisPlace(): Promise<Place> {
  const redis = await startRedis();
  const line = await tcpSwitch(redis.port);
  const faults = new RedisFaults(redis.url, line);
  return {
    faults,
    redisUrlOf: (role) => (role === "writer" ? `redis://127.0.0.1:${line.port}` : redis.url),
    async stop() {
      faults.close();
      await line.stop();
      await redis.stop();
    },
  };
}

async function clusterPlace(): Promise<Place> {
  const cluster = await startCluster({ replicas: true, nodeTimeout: 500 });
  const urls = cluster.nodes.map(({ url }) => url).join(" ");
  return { faults: new ClusterFaults(cluster), redisUrlOf: () => urls, stop: () => cluster.stop() };
}

/**
 * A writer must not wait for SQLite's only write lock, its process blocked, until its lock in the cache is void: both drivers'
 * names for the busy timeout, in milliseconds.
 */
const PLACE = {
  sqlite: { file: true, enableWAL: true, timeout: 250, busyTimeout: 250 },
  postgres: {},
  mariadb: {},
};

/**
 * Without waiting for the disk, which would be most of the time: what a killed process has written is safe without it. And with
 * what docs/consistency.md asks for: a statement outside of a transaction that waits for somebody's row must end with the
 * process that sent it, or it would be carried out when nobody holds its lock in the cache any more.
 */
function sessionSettings(options: DataSourceOptions): DataSourceOptions {
  if (options.type !== "postgres") return options;
  const extra = options.extra as { readonly options?: string } | undefined;
  const settings = "-c synchronous_commit=off -c client_connection_check_interval=200";
  return { ...options, extra: { ...extra, options: `${extra?.options ?? ""} ${settings}` } };
}

/** Each pause is half to one and a half of `milliseconds`, so that nothing falls into step. */
async function every(milliseconds: number, isOver: () => boolean, work: () => Promise<void>): Promise<void> {
  for (;;) {
    const end = performance.now() + milliseconds * (0.5 + Math.random());
    while (performance.now() < end) {
      if (isOver()) return;
      await pause(Math.min(50, Math.max(1, end - performance.now())));
    }
    await work();
  }
}
