import type { Redis } from "ioredis";
import { messageOf } from "../../core/message-of";
import { withoutValues } from "../../store/redis/without-values";
import { isElsewhere } from "../../store/redis/refusals";
import { RedisKeys, serverIdOf } from "../../store/redis/redis-keys";
import { channelOf } from "../../store/redis/spread";
import { serverOf, type RedisInfo } from "../redis/info";
import { bytes } from "../terminal";
import { finding, type Finding } from "./finding";

/** What the checks of Redis need; times in milliseconds. */
export interface RedisFacts {
  readonly client: Redis;
  readonly info: RedisInfo;
  readonly namespace: string | undefined;
  readonly storeTimeout: number;
  /** What the application's client is for; undefined if nobody says. */
  readonly isOnCluster: boolean | undefined;
  /** Some entity compares clocks. */
  readonly comparesClocks: boolean;
}

/** PINGs that are measured. */
const PINGS = 50;
/** Milliseconds by which two clocks may differ that are kept right. */
const CLOCK = 1000;

/** Everything about a Redis that answers. */
export async function redisChecks(facts: RedisFacts): Promise<Finding[]> {
  const { info } = facts;
  return [
    version(info),
    role(info),
    cluster(facts),
    eviction(info),
    memory(info),
    persistence(info),
    await latency(facts),
    await clock(facts),
    await permissions(facts),
  ];
}

function version(info: RedisInfo): Finding {
  const check = finding("redis-version");
  const { name, version: number } = serverOf(info);
  const seen = `${name} ${number}`;
  if (!info["run_id"])
    return check.fail(`${seen}, which tells no run_id`, "Use a server whose INFO has a run_id: Redis or Valkey.");
  const major = Number.parseInt(info["redis_version"] ?? "", 10);
  return major >= 5 ? check.ok(seen) : check.fail(seen, "Use Redis 5 or later.");
}

function role(info: RedisInfo): Finding {
  const check = finding("redis-role");
  return info["role"] === "master"
    ? check.ok(`primary, with ${info["connected_slaves"] ?? "0"} replicas`)
    : check.fail(
        `a ${info["role"] ?? "server without a role"}`,
        "Connect to the primary, through Sentinel for example.",
      );
}

function cluster({ info, isOnCluster }: RedisFacts): Finding {
  const check = finding("redis-cluster");
  const isNode = info["cluster_enabled"] === "1";
  const todo =
    "Give RedisStore a Redis.Cluster for a cluster and a Redis for a single server; see docs/consistency.md.";
  if (isOnCluster === undefined) return isNode ? check.warn("a node of a cluster", todo) : check.ok("no cluster");
  const seen = `${isNode ? "a node of a cluster" : "no cluster"}, and the store's client is for ${isOnCluster ? "a cluster" : "one server"}`;
  return isNode === isOnCluster ? check.ok(seen) : check.fail(seen, todo);
}

function eviction(info: RedisInfo): Finding {
  const check = finding("redis-eviction");
  const policy = info["maxmemory_policy"] ?? "unknown";
  const limit = Number(info["maxmemory"] ?? 0);
  const seen = `${policy}, maxmemory ${limit === 0 ? "not set" : bytes(limit)}, ${info["evicted_keys"] ?? "0"} keys evicted`;
  if (limit === 0) return check.ok(seen);
  if (policy === "noeviction") {
    return check.warn(
      seen,
      "A full Redis then refuses locks (in mode strict, writes) and new entries. Set maxmemory-policy volatile-ttl, or allkeys-lru.",
    );
  }
  return policy.endsWith("-random")
    ? check.warn(
        seen,
        "A guard that is evicted costs its table one lockTtl of misses. Set volatile-ttl, or allkeys-lru.",
      )
    : check.ok(seen);
}

function memory(info: RedisInfo): Finding {
  const check = finding("redis-memory");
  const used = Number(info["used_memory"] ?? 0);
  const limit = Number(info["maxmemory"] ?? 0);
  if (limit === 0) return check.ok(`${bytes(used)} used, without a limit`);
  const seen = `${bytes(used)} of ${bytes(limit)} used`;
  return used > 0.9 * limit ? check.warn(seen, "Raise maxmemory, shorten ttl, or set maxEntryBytes.") : check.ok(seen);
}

/** What comes back after a restart is under the id of a server that is no more, and is not asked for. */
function persistence(info: RedisInfo): Finding {
  const check = finding("redis-persistence");
  const failed = [
    ...(info["rdb_last_bgsave_status"] === "err" ? ["the last snapshot failed"] : []),
    ...(info["aof_last_write_status"] === "err" ? ["the last write of the append-only file failed"] : []),
  ];
  const seen = info["aof_enabled"] === "1" ? "append-only file" : "no append-only file";
  return failed.length > 0
    ? check.fail(
        `${seen}; ${failed.join(", ")}`,
        "Redis refuses writes (MISCONF) until it can save. Look at its log and its disk.",
      )
    : check.ok(`${seen}; a cache needs none, and is right with any`);
}

async function latency({ client, storeTimeout }: RedisFacts): Promise<Finding> {
  const check = finding("redis-latency");
  const times: number[] = [];
  for (let count = 0; count < PINGS; count += 1) {
    const start = performance.now();
    await client.ping();
    times.push(performance.now() - start);
  }
  times.sort((a, b) => a - b);
  const slowest = times.at(-1)!;
  const seen = `PING takes ${times[PINGS / 2]!.toFixed(2)} ms, the slowest of ${PINGS} ${slowest.toFixed(2)} ms; storeTimeout is ${storeTimeout} ms`;
  return slowest < storeTimeout / 2
    ? check.ok(seen)
    : check.warn(seen, "Bring Redis nearer, or raise storeTimeout, and lockTtl to more than twice as much.");
}

async function clock({ client, comparesClocks }: RedisFacts): Promise<Finding> {
  const check = finding("redis-clock");
  const before = Date.now();
  const [seconds, micros] = (await client.time()) as [number | string, number | string];
  const here = (before + Date.now()) / 2;
  const offset = Number(seconds) * 1000 + Number(micros) / 1000 - here;
  const seen = `${Math.round(offset)} ms from the clock here`;
  if (Math.abs(offset) < CLOCK) return check.ok(seen);
  const why = comparesClocks
    ? "staleWhileRevalidate counts on equal clocks"
    : "a clock that is put right by a step may end locks";
  return check.warn(seen, `Keep both clocks right by NTP, without steps: ${why}.`);
}

/** Of a key that never is, so that nothing changes. */
async function permissions({ client, info, namespace }: RedisFacts): Promise<Finding> {
  const check = finding("redis-permissions");
  if (namespace === undefined) return check.skip("No namespace is known: --namespace, or --dataSource");
  const key = new RedisKeys(namespace, serverIdOf(info["run_id"] ?? "")).nothing("");
  const refused: string[] = [];
  for (const [name, attempt] of [
    ["MGET", () => client.mget(key)],
    ["SET", () => client.set(key, "", "PX", 1, "XX")],
    ["UNLINK", () => client.unlink(key)],
    ["EVAL", () => client.eval("return redis.call('HGET', KEYS[1], 'q')", 1, key)],
    ["SUBSCRIBE", () => subscribe(client, channelOf(namespace))],
  ] as const) {
    try {
      await attempt();
    } catch (error) {
      // The key is at another node of the cluster.
      if (isElsewhere(error)) continue;
      refused.push(`${name} (${messageOf(withoutValues(error)).split(" ", 1)[0]!})`);
    }
  }
  if (refused.length === 0) return check.ok("reads, writes, scripts and the channel are allowed");
  return check.fail(
    `refused: ${refused.join(", ")}`,
    `Give the user of the application ~${namespace}:* &${channelOf(namespace)} and the commands; see docs/security.md.`,
  );
}

async function subscribe(source: Redis, channel: string): Promise<void> {
  const client = source.duplicate();
  client.on("error", () => undefined);
  try {
    await client.connect();
    await client.subscribe(channel);
  } finally {
    client.disconnect();
  }
}
