import ms from "ms";
import { group } from "../../core/tag";
import type { EntityModel } from "../../metadata/entity-model";
import { channelOf } from "../../store/redis/spread";
import { wholeNumber } from "../arguments";
import { EXIT } from "../exit-codes";
import { library } from "../needed";
import type { Run } from "../program";
import { infoOf, serverOf, type RedisInfo } from "../redis/info";
import { keyspaceOf, type Keyspace, type NamespaceKeys, type TableKeys } from "../redis/keyspace";
import type { Target } from "../target";
import { bytes, columns, type Terminal } from "../terminal";

/** The options of `stats`. */
export interface StatsOptions {
  readonly limit: string;
  readonly namespace?: string;
}

/** What is set for an entity. */
interface EntityFigures {
  readonly entity: string;
  readonly table: string;
  readonly strategy: string;
  /** Milliseconds. */
  readonly ttl: number;
  readonly keys: readonly string[];
  readonly near: "verify" | "trust" | null;
}

/** `stats` */
export const stats: Run<StatsOptions> = async ({ target, terminal }, { limit, namespace: given }) => {
  const most = wholeNumber(limit, "--limit");
  const entities = target.file === undefined ? undefined : await entityFigures(target);
  const namespace = given ?? (target.file === undefined ? undefined : target.namespace);
  const { client, address } = await target.connectedRedis();
  const info = await infoOf(client);
  const keyspace = await keyspaceOf(client, info["run_id"] ?? "", {
    namespace,
    limit: most,
    onProgress: (scanned, all) => terminal.progress(`${scanned} of ${all} keys looked at`),
  });
  const listeners = new Map<string, number>();
  for (const one of namespace === undefined ? keyspace.namespaces.map((found) => found.namespace) : [namespace]) {
    listeners.set(one, Number((await client.pubsub("NUMSUB", channelOf(one)))[1] ?? 0));
  }
  const redis = { address, ...redisFigures(info) };
  terminal.show({ redis, ...keyspace, listeners: Object.fromEntries(listeners), ...(entities && { entities }) }, () => [
    `${redis.server} at ${address}: ${bytes(redis.usedMemory)}${redis.maxMemory === 0 ? "" : ` of ${bytes(redis.maxMemory)}`} used, ${redis.policy}, ${redis.evictedKeys} keys evicted, ${redis.expiredKeys} expired since it started`,
    ...keyspaceLines(keyspace, listeners, terminal),
    ...(entities === undefined ? [] : ["", ...entityLines(entities)]),
  ]);
  return EXIT.ok;
};

function redisFigures(info: RedisInfo) {
  const number = (name: string) => Number(info[name] ?? 0);
  const { name, version } = serverOf(info);
  return {
    server: `${name} ${version}`,
    usedMemory: number("used_memory"),
    maxMemory: number("maxmemory"),
    policy: info["maxmemory_policy"] ?? "unknown",
    evictedKeys: number("evicted_keys"),
    expiredKeys: number("expired_keys"),
  };
}

function keyspaceLines(keyspace: Keyspace, listeners: ReadonlyMap<string, number>, { style }: Terminal): string[] {
  const lines = keyspace.namespaces.flatMap((one) => namespaceLines(one, listeners.get(one.namespace) ?? 0, style));
  if (keyspace.namespaces.length === 0) lines.push("", "No cache has left anything here.");
  if (!keyspace.complete) lines.push("", `Only the first ${keyspace.scanned} keys were looked at: see --limit.`);
  return lines;
}

function namespaceLines({ namespace, tables, left }: NamespaceKeys, heard: number, style: Terminal["style"]): string[] {
  const head = ["table", "entries", "bytes", "tags", "loads", "locks"];
  const rows = tables.map((table) => [
    table.table,
    String(table.entries),
    table.entryBytes === undefined ? "" : `~${bytes(table.entryBytes)}`,
    String(table.tags),
    String(table.loads),
    locksOf(table),
  ]);
  const [first = "", ...others] = columns([head, ...rows]);
  return [
    "",
    style("bold", `namespace ${namespace}: ${heard} listen to its changes`),
    style("dim", first),
    ...others,
    ...(left === 0 ? [] : [`${left} keys of a server that was here before; nobody asks for them, and they expire`]),
  ];
}

function locksOf({ locks, quarantined }: TableKeys): string {
  const dead = locks.dead === 0 ? "" : `, ${locks.dead} of writers that died`;
  return `${locks.live}${dead}${quarantined ? ", quarantine" : ""}`;
}

async function entityFigures(target: Target): Promise<EntityFigures[]> {
  const dataSource = await target.initialize();
  const { models } = library().resolveSchema(dataSource, target.options);
  return models.map((model: EntityModel) => ({
    entity: model.name,
    table: group(model.metadata.tablePath),
    strategy: model.settings.strategy,
    ttl: model.settings.ttl,
    keys: model.keys.map(({ columns: parts }) => parts.map(({ databaseName }) => databaseName).join("+")),
    near: model.settings.near?.mode ?? null,
  }));
}

function entityLines(entities: readonly EntityFigures[]): string[] {
  return columns([
    ["entity", "table", "strategy", "ttl", "keys", "near"],
    ...entities.map((one) => [one.entity, one.table, one.strategy, ms(one.ttl), one.keys.join(", "), one.near ?? ""]),
  ]);
}
