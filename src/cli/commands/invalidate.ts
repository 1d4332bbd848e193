import { groupBy } from "../../core/group-by";
import { epochTag, group, groupOf, type Tag } from "../../core/tag";
import { createTokenSource } from "../../core/token";
import { CacheConfigError } from "../../errors";
import { encodeChange } from "../../feed/change-message";
import { RedisStore } from "../../store/redis/redis-store";
import { channelOf } from "../../store/redis/spread";
import { json, jsonObject } from "../arguments";
import { EXIT } from "../exit-codes";
import type { Call, Run } from "../program";
import { infoOf } from "../redis/info";
import { keyspaceOf } from "../redis/keyspace";
import type { RedisPlace } from "../redis/client";

/** The options of `invalidate`. */
export interface InvalidateOptions {
  readonly where?: string;
  readonly all?: true;
  readonly table?: string;
  readonly rows?: string;
  readonly tag: readonly string[];
}

/** Milliseconds for one call of the store; a command can wait. */
const TIMEOUT = 2000;

/** `invalidate [entity]` */
export const invalidate: Run<InvalidateOptions, [entity: string | undefined]> = async (call, options, entity) => {
  const { all, table, tag } = options;
  const given = [entity, all, table, tag.length > 0 ? tag : undefined].filter((one) => one !== undefined);
  if (given.length !== 1) throw invalid("Say one of: an entity, --all, --table, --tag.");
  if (options.where !== undefined && entity === undefined) throw invalid("--where goes with an entity.");
  if (options.rows !== undefined && table === undefined) throw invalid("--rows goes with --table.");
  if (entity !== undefined) return ofEntity(call, entity, jsonObject(options.where, "--where"));
  if (all === true && call.target.file !== undefined) return everything(call);
  if (table !== undefined && options.rows !== undefined) return askFor(call, table, json(options.rows, "--rows"));
  const redis = await call.target.connectedRedis();
  const tags = table !== undefined ? [epochTag(group(table))] : all === true ? await epochsOf(call, redis) : tag;
  const odd = tags.find((one) => !/^[^|{}]+\|/.test(one));
  if (odd !== undefined)
    throw invalid(`${odd} is no tag: a tag is <table>|<columns>=<values>, as explain prints them.`);
  await touch(call, redis, tags);
  return done(call, tags);
};

async function ofEntity({ target, terminal }: Call, entity: string, where: object | undefined): Promise<number> {
  const cache = await target.cache("redis");
  try {
    const tags: Tag[] = [];
    cache.on("invalidate", (event) => tags.push(...event.tags));
    if (!target.dataSource.hasMetadata(entity)) throw invalid(`There is no entity ${entity} in the data source.`);
    await cache.invalidate(entity, where);
    return done({ terminal }, tags);
  } finally {
    await cache.close();
  }
}

async function everything({ target, terminal }: Call): Promise<number> {
  const cache = await target.cache("redis");
  try {
    const tags: Tag[] = [];
    cache.on("invalidate", (event) => tags.push(...event.tags));
    await cache.clear();
    return done({ terminal }, tags);
  } finally {
    await cache.close();
  }
}

/** Which other entries depend on these rows only those know who have the entities. */
async function askFor({ target, terminal }: Call, table: string, rows: unknown): Promise<number> {
  if (!Array.isArray(rows)) throw invalid(`--rows must be a list in JSON: '[{"id":1}]'.`);
  if (target.file !== undefined)
    throw invalid("--rows is for doing without --dataSource; with it, say the entity and --where.");
  const { client } = await target.connectedRedis();
  const heard = await client.publish(channelOf(target.namespace), JSON.stringify({ table, rows: rows as unknown[] }));
  terminal.show({ asked: { table, rows: rows as unknown[] }, listeners: heard }, () => [
    heard === 0 ? "Nobody listens, so nothing was invalidated." : `Told ${heard} that listen; they invalidate it.`,
  ]);
  return heard === 0 ? EXIT.no : EXIT.ok;
}

/** The tables that Redis knows, since no data source names them. */
async function epochsOf({ target, terminal }: Call, { client }: RedisPlace): Promise<Tag[]> {
  const { run_id: runId = "" } = await infoOf(client);
  const { namespaces, complete } = await keyspaceOf(client, runId, {
    namespace: target.namespace,
    limit: Infinity,
    onProgress: (scanned, all) => terminal.progress(`${scanned} of ${all} keys looked at`),
  });
  if (!complete) throw invalid("The tables could not be found out.");
  return namespaces.flatMap(({ tables }) => tables.map(({ table }) => epochTag(table)));
}

/** As a cache does it: the tags go, and those who listen are told. */
async function touch({ target }: Call, { client }: RedisPlace, tags: readonly Tag[]): Promise<void> {
  const { namespace, channelSecret: secret } = target;
  const store = new RedisStore(client);
  await store.open({ namespace, lockTtl: 2000, timeout: TIMEOUT, onStateChange: () => undefined }, []);
  const origin = createTokenSource()();
  const messages = Array.from(groupBy(tags, groupOf), ([table, members], at) => {
    const change = { table, group: table, operation: "unknown", rows: null, tags: members } as const;
    return [table, encodeChange(change, epochTag(table), origin, at + 1, secret)] as const;
  });
  try {
    await store.invalidate(tags, new Map(messages));
  } finally {
    await store.close();
  }
}

function done({ terminal }: Pick<Call, "terminal">, tags: readonly Tag[]): number {
  terminal.show({ invalidated: tags }, () => [
    tags.length === 0 ? "There was nothing to invalidate." : `Invalidated what depends on ${tags.join(" ")}`,
  ]);
  return EXIT.ok;
}

function invalid(message: string): CacheConfigError {
  return new CacheConfigError("CONFIG_INVALID", message);
}
