import { messageOf } from "../../core/message-of";
import type { ResolvedOptions } from "../../options";
import { wholeNumber } from "../arguments";
import { databaseChecks } from "../doctor/database-checks";
import { entityChecks } from "../doctor/entity-checks";
import { finding, type Finding, type Status } from "../doctor/finding";
import { installChecks } from "../doctor/install-checks";
import { redisChecks } from "../doctor/redis-checks";
import { EXIT } from "../exit-codes";
import { library } from "../needed";
import type { Call, Run } from "../program";
import { infoOf } from "../redis/info";
import type { Target } from "../target";
import type { Terminal } from "../terminal";

/** The options of `doctor`. */
export interface DoctorOptions {
  readonly commits: string;
  readonly namespace?: string;
}

/** What `storeTimeout` is, if nobody says. */
const STORE_TIMEOUT = 50;

/** `doctor`: looks, and changes nothing. */
export const doctor: Run<DoctorOptions> = async (call, options) => {
  const commits = wholeNumber(options.commits, "--commits");
  const { target, terminal } = call;
  const findings = installChecks(target.file?.path);
  const database = target.file === undefined ? undefined : await lookAtDatabase(call, commits);
  findings.push(...(database?.findings ?? [finding("database-connection").skip("No --dataSource was given")]));
  const redis = await lookAtRedis(call, database?.resolved, options.namespace);
  findings.push(...redis.findings);
  const count = (status: Status) => findings.filter((one) => one.status === status).length;
  const summary = { ok: count("ok"), warn: count("warn"), fail: count("fail"), skip: count("skip") };
  terminal.show({ ok: summary.fail === 0, summary, checks: findings }, () => [
    ...findings.flatMap((one) => lines(one, terminal)),
    "",
    `${summary.ok} ok, ${summary.warn} to look at, ${summary.fail} failed, ${summary.skip} not checked`,
  ]);
  if (redis.isUnreachable || database?.isUnreachable === true) return EXIT.trouble;
  return summary.fail > 0 ? EXIT.no : EXIT.ok;
};

interface Look {
  readonly findings: readonly Finding[];
  /** It could not be looked at. */
  readonly isUnreachable: boolean;
}

async function lookAtDatabase(
  { target, terminal }: Call,
  commits: number,
): Promise<Look & { readonly resolved?: ResolvedOptions }> {
  const connection = finding("database-connection");
  const options = finding("options");
  let resolved: ResolvedOptions;
  try {
    ({ resolved } = target);
  } catch (error) {
    return { findings: [options.fail(messageOf(error), "Correct cacheOptions.")], isUnreachable: false };
  }
  const findings = [
    options.ok(
      `consistency ${resolved.consistency}, lockTtl ${resolved.lockTtl} ms, storeTimeout ${resolved.storeTimeout} ms`,
    ),
  ];
  try {
    await target.initialize();
  } catch (error) {
    findings.push(connection.fail(messageOf(error), "Look whether the database runs, and who may connect to it."));
    return { findings, isUnreachable: true, resolved };
  }
  const { dataSource } = target;
  findings.push(connection.ok(`${dataSource.options.type}, connected`));
  try {
    findings.push(...entityChecks(dataSource, resolved));
  } catch (error) {
    findings.push(finding("entities").fail(messageOf(error), "Correct the decorators, or cacheOptions."));
  }
  findings.push(
    ...(await databaseChecks(dataSource, resolved, commits, (done) =>
      terminal.progress(`${done} of ${commits} commits`),
    )),
  );
  return { findings, isUnreachable: false, resolved };
}

async function lookAtRedis(
  { target, terminal }: Call,
  resolved: ResolvedOptions | undefined,
  namespace: string | undefined,
): Promise<Look> {
  const connection = finding("redis-connection");
  const { redis } = target;
  if (redis === undefined) {
    return {
      findings: [connection.skip("No Redis is known: --redis, REDIS_URL, or cacheOptions.store")],
      isUnreachable: false,
    };
  }
  terminal.progress(`looking at Redis at ${redis.address}`);
  try {
    await redis.connect();
    const info = await infoOf(redis.client);
    const facts = {
      client: redis.client,
      info,
      namespace: namespace ?? resolved?.namespace,
      storeTimeout: resolved?.storeTimeout ?? STORE_TIMEOUT,
      isOnCluster: target.isOnCluster,
      comparesClocks: comparesClocks(target, resolved),
    };
    return { findings: [connection.ok(redis.address), ...(await redisChecks(facts))], isUnreachable: false };
  } catch (error) {
    const todo = "Look whether Redis runs, and at address, user and password.";
    return { findings: [connection.fail(messageOf(error), todo)], isUnreachable: true };
  }
}

function comparesClocks({ file }: Target, resolved: ResolvedOptions | undefined): boolean {
  if (file === undefined || resolved === undefined || !file.dataSource.isInitialized) return false;
  try {
    const { models } = library().resolveSchema(file.dataSource, resolved.options);
    return models.some(({ settings }) => settings.staleWhileRevalidate !== undefined);
  } catch {
    return false; // The check of the entities says why.
  }
}

const MARKS = { ok: "ok  ", warn: "warn", fail: "FAIL", skip: "-   " } as const;
const STYLES = { ok: "green", warn: "yellow", fail: "red", skip: "dim" } as const;

function lines({ id, status, seen, todo }: Finding, { style }: Terminal): string[] {
  const head = `${style(STYLES[status], MARKS[status])} ${id.padEnd(20)} ${seen}`;
  return todo === undefined ? [head] : [head, `${" ".repeat(26)}${todo}`];
}
