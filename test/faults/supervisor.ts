import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import type { DataSourceOptions } from "typeorm";
import {
  noCounts,
  type Counts,
  type Protocol,
  type Role,
  type StoreName,
  type Violation,
  type WorkerMessage,
  type WorkerSettings,
} from "./messages";
import { pick } from "./random";

/** Milliseconds that a worker has to end by itself. */
const PATIENCE = 10_000;
/** More are only counted. */
const MOST_VIOLATIONS = 10;

export interface SupervisorOptions {
  readonly workerFile: string;
  readonly protocol: Protocol;
  readonly database: DataSourceOptions;
  readonly store: StoreName;
  readonly near: boolean;
  /** Writers and readers may have different lines to one Redis. */
  readonly redisUrlOf: (role: Role) => string;
}

/** Starts the workers of one run, kills writers and replaces them, and adds up what they report. */
export class Supervisor {
  readonly counts: Counts = noCounts();
  readonly violations: Violation[] = [];
  violationCount = 0;
  kills = 0;
  private readonly running = new Map<ChildProcess, WorkerSettings>();
  private readonly ready = new Set<ChildProcess>();
  private started = 0;
  private ending = false;
  private failure: Error | undefined;

  constructor(private readonly options: SupervisorOptions) {}

  /** Makes the tables. */
  async prepare(): Promise<void> {
    await once(this.start("prepare", 1), "exit");
    this.check();
  }

  /** Resolves when all of them work. */
  async startAll(role: Role, count: number, lanes: number): Promise<void> {
    await Promise.all(
      Array.from({ length: count }, async () => {
        const child = this.start(role, lanes);
        while (!this.ready.has(child) && this.running.has(child))
          await Promise.race([once(child, "message"), once(child, "exit")]);
      }),
    );
    this.check();
  }

  /** kill -9 of a writer at work; another one starts at once. */
  killWriter(): void {
    const writers = [...this.running].filter(([child, { role }]) => role === "writer" && this.ready.has(child));
    if (writers.length === 0) return;
    const [child, { lanes }] = pick(writers);
    this.ready.delete(child);
    this.running.delete(child);
    this.kills += 1;
    child.kill("SIGKILL");
    this.start("writer", lanes);
  }

  /** Ends all workers, and rejects if one of them has failed otherwise than by being killed. */
  async stop(): Promise<void> {
    this.ending = true;
    const children = [...this.running.keys()];
    const timer = setTimeout(() => children.forEach((child) => child.kill("SIGKILL")), PATIENCE);
    await Promise.all(
      children.map(async (child) => {
        const exit = child.exitCode === null && child.signalCode === null ? once(child, "exit") : undefined;
        if (child.connected) child.send("stop");
        await exit;
      }),
    );
    clearTimeout(timer);
    this.check();
  }

  /** A worker has failed; `stop` tells how. */
  hasFailed(): boolean {
    return this.failure !== undefined;
  }

  private check(): void {
    if (this.failure !== undefined) throw this.failure;
  }

  private start(role: Role, lanes: number): ChildProcess {
    const { workerFile, protocol, store, near, database, redisUrlOf } = this.options;
    const name = `${role[0]}${++this.started}`;
    const redisUrl = redisUrlOf(role);
    const settings: WorkerSettings = { role, protocol, store, near, database, redisUrl, name, lanes };
    const child = fork(workerFile, [], { execArgv: [], stdio: ["ignore", "inherit", "inherit", "ipc"] });
    this.running.set(child, settings);
    child.on("message", (message) => this.hear(child, message as WorkerMessage));
    child.on("error", (error) => (this.failure ??= error));
    child.once("exit", (code, signal) => {
      const expected = !this.running.delete(child) || role === "prepare" || this.ending;
      this.ready.delete(child);
      if (!expected || (code ?? 0) !== 0) {
        this.failure ??= new Error(`The worker ${name} ended with ${code ?? signal}.`);
      }
    });
    child.send(settings);
    return child;
  }

  private hear(child: ChildProcess, message: WorkerMessage): void {
    if (message.kind === "ready" && this.running.has(child)) this.ready.add(child);
    if (message.kind === "failed") this.failure ??= new Error(message.error);
    if (message.kind === "violation") {
      this.violationCount += 1;
      if (this.violations.length < MOST_VIOLATIONS) this.violations.push(message.violation);
    }
    if (message.kind === "counts") {
      for (const name of Object.keys(message.counts) as (keyof Counts)[]) this.counts[name] += message.counts[name];
    }
  }
}
