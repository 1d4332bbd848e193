import { CacheConfigError } from "../errors";
import type { WatchedTable } from "./change-feed";
import type { PostgresClient } from "./postgres-feed";
import { notifyChannel, quoted, triggersOf, type TableTriggers } from "./postgres-triggers";

/** What all watched tables need. */
export async function allTriggers(
  connect: () => PostgresClient,
  namespace: string,
  tables: readonly WatchedTable[],
): Promise<TableTriggers[]> {
  return withClient(connect, async (client) =>
    (await lookedUp(client, namespace, tables)).map(({ triggers }) => triggers),
  );
}

/**
 * Looks which tables lack their triggers, or have those of another version; with `install` it makes these, in one transaction.
 *
 * @returns the paths of these tables
 */
export async function installTriggers(
  connect: () => PostgresClient,
  namespace: string,
  tables: readonly WatchedTable[],
  install: boolean,
): Promise<readonly string[]> {
  return withClient(connect, async (client) => {
    // One process after the other.
    await client.query("BEGIN");
    await client.query("SELECT pg_advisory_xact_lock(hashtext($1))", [notifyChannel(namespace)]);
    const all = await lookedUp(client, namespace, tables);
    const missing = all.filter(({ isThere }) => !isThere).map(({ triggers }) => triggers);
    if (install) for (const { up } of missing) for (const statement of up) await client.query(statement);
    await client.query("COMMIT");
    return missing.map(({ table }) => table.path);
  });
}

async function withClient<Result>(
  connect: () => PostgresClient,
  work: (client: PostgresClient) => Promise<Result>,
): Promise<Result> {
  const client = connect();
  client.on("error", () => undefined);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** What the tables need, and whether it is there, in this version. */
async function lookedUp(
  client: PostgresClient,
  namespace: string,
  tables: readonly WatchedTable[],
): Promise<{ readonly triggers: TableTriggers; readonly isThere: boolean }[]> {
  const found = [];
  for (const table of tables.filter(({ isCached }) => isCached)) {
    const { rows } = await client.query(
      `SELECT n.nspname AS schema, c.relkind = 'p' AS partitioned FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE c.oid = to_regclass($1)`,
      [[table.schema, table.name].flatMap((part) => (part === undefined ? [] : quoted(part))).join(".")],
    );
    const [place] = rows;
    if (place === undefined) {
      throw new CacheConfigError(
        "CONFIG_INVALID",
        `The PostgreSQL feed: there is no table ${table.path}. Run the migrations first.`,
      );
    }
    const triggers = triggersOf(table, namespace, String(place["schema"]), place["partitioned"] === true);
    const { rows: known } = await client.query(
      `SELECT obj_description(p.oid, 'pg_proc') AS comment, (SELECT count(*)::int FROM pg_trigger t WHERE t.tgfoid = p.oid
         AND t.tgrelid = to_regclass($2) AND t.tgenabled <> 'D') AS count
       FROM pg_proc p WHERE p.oid = to_regproc($1)`,
      [triggers.functionName, `${quoted(String(place["schema"]))}.${quoted(table.name)}`],
    );
    const expected = place["partitioned"] === true ? 2 : 4;
    const isThere = known[0]?.["comment"] === `typeorm-coherent ${triggers.version}` && known[0]["count"] === expected;
    found.push({ triggers, isThere });
  }
  return found;
}
