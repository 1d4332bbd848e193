import type { DataSource } from "typeorm";
import { messageOf } from "../../core/message-of";
import type { ResolvedOptions } from "../../options";
import { commitTimes } from "./commit-times";
import { finding, type Finding } from "./finding";

/** Everything about a database that answers. */
export async function databaseChecks(
  dataSource: DataSource,
  resolved: ResolvedOptions,
  commits: number,
  onProgress: (done: number) => void,
): Promise<Finding[]> {
  return [
    await lockTtl(dataSource, resolved, commits, onProgress),
    ...(dataSource.options.type === "postgres" ? [await pausedProcess(dataSource, resolved)] : []),
    replication(dataSource),
  ];
}

/** A lock that ends before its COMMIT does protects nothing; it is renewed only while the process can. */
async function lockTtl(
  dataSource: DataSource,
  { lockTtl: ttl }: ResolvedOptions,
  commits: number,
  onProgress: (done: number) => void,
): Promise<Finding> {
  const check = finding("lock-ttl");
  try {
    const { median, slowest, count, how } = await commitTimes(dataSource, commits, onProgress);
    const seen = `COMMIT takes ${median.toFixed(2)} ms, the slowest of ${count} ${slowest.toFixed(2)} ms, ${how}; lockTtl is ${ttl} ms`;
    const todo = `Set lockTtl to ${Math.ceil((4 * slowest) / 100) * 100} or more, or look why COMMIT is slow.`;
    if (slowest >= ttl / 2) return check.fail(seen, todo);
    return slowest >= ttl / 4 ? check.warn(seen, todo) : check.ok(seen);
  } catch (error) {
    return check.skip(`COMMIT could not be measured: ${messageOf(error)}`);
  }
}

async function pausedProcess(dataSource: DataSource, { consistency, lockTtl: ttl }: ResolvedOptions): Promise<Finding> {
  const check = finding("paused-process");
  const [row] = await dataSource.query<{ setting: string }[]>(
    "SELECT setting FROM pg_settings WHERE name = 'idle_in_transaction_session_timeout'",
  );
  const limit = Number(row?.setting ?? 0);
  const seen = `idle_in_transaction_session_timeout is ${limit === 0 ? "off" : `${limit} ms`}`;
  if ((limit > 0 && limit <= ttl / 2) || consistency !== "strict") return check.ok(seen);
  return check.warn(
    seen,
    `A process that is stopped between LOCK and COMMIT can commit after its lock has ended. Set it to at most ${ttl / 2} ms for this user.`,
  );
}

function replication({ options }: DataSource): Finding {
  const check = finding("replica-reads");
  const { replication: setting } = options as {
    readonly replication?: { slaves?: readonly unknown[]; defaultMode?: string };
  };
  if (setting === undefined) return check.ok("one database, no replicas");
  const count = setting.slaves?.length ?? 0;
  const isOnPrimary = setting.defaultMode === "master";
  return isOnPrimary
    ? check.ok(`${count} replicas, defaultMode master: all reads go to the primary`)
    : check.warn(
        `${count} replicas: what fills the cache is read from the primary, reads that bypass it from replicas`,
        "A read that bypasses may be as old as its replica: see the event bypass for which these are, or set defaultMode to master.",
      );
}
