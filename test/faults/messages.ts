import type { DataSourceOptions } from "typeorm";

/** The protocol under test, and others that show that the test finds what it looks for; see subjects.ts. */
export const PROTOCOLS = ["coherent", "delete-after-commit", "set-after-commit", "lease", "typeorm-cache"] as const;
export type Protocol = (typeof PROTOCOLS)[number];

/** Where entries are: in a Redis or a Redis Cluster that all workers share, or in the only worker there is. Only the protocol under test has all. */
export const STORES = ["redis", "cluster", "memory"] as const;
export type StoreName = (typeof STORES)[number];

/** prepare: makes the tables and the hot rows, and ends. */
export type Role = "prepare" | "writer" | "reader";

/** The first message to a worker. The only other one is "stop". */
export interface WorkerSettings {
  readonly role: Role;
  readonly protocol: Protocol;
  readonly store: StoreName;
  /** Copies in the worker, which are verified. */
  readonly near: boolean;
  /** Without entities. */
  readonly database: DataSourceOptions;
  /** Of each node of a cluster, with blanks between them. */
  readonly redisUrl: string;
  /** Unique among all workers of a run. */
  readonly name: string;
  /** How many things a worker does at the same time. */
  readonly lanes: number;
}

/** What is counted, in the worker that does it. */
export interface Counts {
  reads: number;
  hits: number;
  /** Of the hits, those that came from a copy in the worker. */
  copies: number;
  fills: number;
  writeThroughs: number;
  /** Reads that went past the cache. */
  bypasses: number;
  /** Loads that filled nothing because a writer held a tag, or a quarantine ran. */
  locked: number;
  /** Entries that were there and were not served. */
  outdated: number;
  commits: number;
  /** Transactions and savepoints that were rolled back on purpose. */
  rollbacks: number;
  /** Writes that were refused: by the database (busy, a conflict), or because the cache could not be locked. */
  refused: number;
}

export function noCounts(): Counts {
  return {
    reads: 0,
    hits: 0,
    copies: 0,
    fills: 0,
    writeThroughs: 0,
    bypasses: 0,
    locked: 0,
    outdated: 0,
    commits: 0,
    rollbacks: 0,
    refused: 0,
  };
}

/** A read that gave what it must not give. */
export interface Violation {
  readonly problem: string;
  readonly entity: string;
  readonly lookup: string;
  readonly worker: string;
  /** What was served, and what was committed before and after it of the rows concerned. */
  readonly details: unknown;
}

export type WorkerMessage =
  | { readonly kind: "ready" }
  /** Since the last such message. */
  | { readonly kind: "counts"; readonly counts: Counts }
  | { readonly kind: "violation"; readonly violation: Violation }
  | { readonly kind: "failed"; readonly error: string };
