import type { Redis } from "ioredis";
import { tableGroupOf } from "../../core/stripe";
import { isOfChannels } from "../../store/redis/spread";
import { escapeNamespace, serverIdOf, unescapeNamespace } from "../../store/redis/redis-keys";

/** What Redis holds of one table. */
export interface TableKeys {
  /** The path of the table, escaped as in tags. */
  readonly table: string;
  entries: number;
  tags: number;
  /** Loads that several processes wait for. */
  loads: number;
  /** Tags that a writer holds right now, and locks of writers that died, which the next reader removes. */
  locks: { live: number; dead: number };
  /** Nothing is filled: the guard is new. */
  quarantined: boolean;
  /** What all entries take, from those that were measured; undefined if none was. */
  entryBytes?: number;
}

/** What Redis holds under one namespace. */
export interface NamespaceKeys {
  readonly namespace: string;
  readonly tables: TableKeys[];
  /** Keys of servers that this one has followed: nobody asks for them, and they expire. */
  left: number;
}

export interface Keyspace {
  readonly namespaces: readonly NamespaceKeys[];
  /** Keys that were looked at, those of others included. */
  readonly scanned: number;
  /** False: there are more keys than the limit. */
  readonly complete: boolean;
}

export interface ScanOptions {
  /** Undefined: all. */
  readonly namespace: string | undefined;
  /** Keys of the server to look at. */
  readonly limit: number;
  readonly onProgress: (scanned: number, of: number) => void;
}

/** Keys that one SCAN looks at. */
const BATCH = 1000;
/** Entries per table whose size is asked for. */
const SAMPLE = 50;

/** See redis-keys.ts. A group has no brace and no character that is escaped, an entry's key may be any text. */
const KEY = /^(.*?):v1:(?:([\w-]{16}):)?\{([^{}]*)\}:(g|s|n|t|e|f)(?::|$)/s;

/** Looks through the keys of a server, a bounded number at a time, without stopping it. */
export async function keyspaceOf(client: Redis, runId: string, options: ScanOptions): Promise<Keyspace> {
  const scan = new Scan(client, serverIdOf(runId));
  const all = await client.dbsize();
  const prefix = client.options.keyPrefix ?? "";
  const namespace = options.namespace === undefined ? "*" : glob(escapeNamespace(options.namespace));
  let cursor = "0";
  let scanned = 0;
  do {
    const [next, keys] = await client.scan(cursor, "MATCH", `${glob(prefix)}${namespace}:v1:*`, "COUNT", BATCH);
    cursor = next;
    scanned += BATCH;
    for (const key of keys) scan.note(key.slice(prefix.length));
    await scan.measure();
    options.onProgress(Math.min(scanned, all), all);
  } while (cursor !== "0" && scanned < options.limit);
  return { namespaces: await scan.result(), scanned: Math.min(scanned, all), complete: cursor === "0" };
}

class Scan {
  private readonly namespaces = new Map<string, { left: number; tables: Map<string, TableKeys> }>();
  private readonly guards: { readonly key: string; readonly of: TableKeys }[] = [];
  private readonly measured = new Map<TableKeys, { count: number; bytes: number }>();
  private unmeasured: { readonly key: string; readonly of: TableKeys }[] = [];
  /** SCAN may return a key twice; where this matters. */
  private readonly seen = new Set<string>();

  constructor(
    private readonly client: Redis,
    private readonly serverId: string,
  ) {}

  note(key: string): void {
    const found = KEY.exec(key);
    if (found === null) return;
    const [, name = "", server, group = "", kind] = found;
    const namespace = this.namespaces.get(name) ?? { left: 0, tables: new Map<string, TableKeys>() };
    this.namespaces.set(name, namespace);
    if (server === undefined || kind === "n" || isOfChannels(group)) return;
    if (server !== this.serverId) {
      namespace.left += 1;
      return;
    }
    // On a node of a cluster, of its parts that are there.
    const path = tableGroupOf(group);
    const table = namespace.tables.get(path) ?? emptyTable(path);
    namespace.tables.set(path, table);
    if (kind === "t") table.tags += 1;
    else if (kind === "f") table.loads += 1;
    else if (kind === "g" && !this.seen.has(key)) {
      this.seen.add(key);
      this.guards.push({ key, of: table });
    } else if (kind === "e") {
      table.entries += 1;
      if ((this.measured.get(table)?.count ?? 0) + this.unmeasured.length < SAMPLE)
        this.unmeasured.push({ key, of: table });
    }
  }

  /** Asks how large some of the entries are. Not every server can say. */
  async measure(): Promise<void> {
    const asked = this.unmeasured;
    this.unmeasured = [];
    const sizes = await Promise.all(asked.map(({ key }) => this.client.memory("USAGE", key).catch(() => null)));
    asked.forEach(({ of }, at) => {
      const size = sizes[at];
      if (typeof size !== "number") return;
      const { count, bytes } = this.measured.get(of) ?? { count: 0, bytes: 0 };
      this.measured.set(of, { count: count + 1, bytes: bytes + size });
    });
  }

  async result(): Promise<NamespaceKeys[]> {
    const [seconds, micros] = (await this.client.time()) as [number | string, number | string];
    const now = Number(seconds) * 1000 + Math.floor(Number(micros) / 1000);
    for (const { key, of } of this.guards) readGuard(await this.client.hgetall(key), now, of);
    for (const [table, { count, bytes }] of this.measured)
      table.entryBytes = Math.round((bytes / count) * table.entries);
    return [...this.namespaces]
      .map(([namespace, { left, tables }]) => ({
        namespace: unescapeNamespace(namespace),
        left,
        tables: [...tables.values()].sort((a, b) => a.table.localeCompare(b.table)),
      }))
      .sort((a, b) => a.namespace.localeCompare(b.namespace));
  }
}

/** See scripts/guard.lua. */
function readGuard(guard: Readonly<Record<string, string>>, now: number, table: TableKeys): void {
  table.quarantined = Number(guard["q"] ?? 0) > now;
  for (const [field, record] of Object.entries(guard)) {
    if (!field.startsWith("t:")) continue;
    const isLive = Array.from(record.matchAll(/=(\d+)/g)).some(([, deadline]) => Number(deadline) > now);
    table.locks[isLive ? "live" : "dead"] += 1;
  }
}

function emptyTable(table: string): TableKeys {
  return { table, entries: 0, tags: 0, loads: 0, locks: { live: 0, dead: 0 }, quarantined: false };
}

/** A text that matches nothing but itself. */
function glob(text: string): string {
  return text.replace(/[*?[\]\\^]/g, "\\$&");
}
