import type { WatchedTable } from "./change-feed";
import type { PolledConnection } from "./polling-feed";
import { changeTable, pollingTriggers, quoted, triggerPrefix, type PolledDialect } from "./polling-triggers";

/** The change table, if nobody says otherwise. */
export const CHANGE_TABLE = "coherent_changes";

const TRIGGERS = {
  sqlite: "SELECT name FROM sqlite_master WHERE type = 'trigger'",
  mysql: "SELECT TRIGGER_NAME AS name FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = DATABASE()",
};

const TABLES = {
  sqlite: "SELECT count(*) AS count FROM sqlite_master WHERE type = 'table' AND name = ?",
  mysql: "SELECT count(*) AS count FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ?",
};

/**
 * Looks whether the change table is there, and which tables lack their triggers or have those of another version; with `install` it
 * makes these.
 *
 * @returns what is missing, in words
 */
export async function installPolling(
  { dialect, query }: Pick<PolledConnection, "dialect" | "query">,
  tables: readonly WatchedTable[],
  changes: string,
  install: boolean,
): Promise<readonly string[]> {
  const names = new Set((await query(TRIGGERS[dialect])).map((row) => String(row["name"])));
  const [{ count } = { count: 0 }] = await query(TABLES[dialect], [changes]);
  const wanted = watchedBy(dialect, tables).map((table) => ({
    table,
    triggers: pollingTriggers(dialect, table, changes),
  }));
  const lacking = wanted.filter(({ triggers }) => triggers.some(({ name }) => !names.has(name)));
  const isThere = Number(count) > 0;
  const missing = [...(isThere ? [] : [changes]), ...lacking.map(({ table }) => `the triggers of ${table.path}`)];
  if (!install || missing.length === 0) return missing;
  await query(changeTable(dialect, changes).up);
  for (const { table, triggers } of lacking) {
    const prefix = triggerPrefix(table, changes);
    for (const { name, up } of triggers) {
      if (names.has(name)) continue;
      // Another process may be doing the same.
      await query(up).catch((cause: unknown) => {
        if (!/already exists/i.test(String(cause))) throw cause;
      });
    }
    const own = new Set(triggers.map(({ name }) => name));
    for (const old of names)
      if (old.startsWith(prefix) && !own.has(old)) await query(`DROP TRIGGER IF EXISTS ${quoted(dialect, old)}`);
  }
  return missing;
}

/** All statements that a start would run, for a migration. */
export function pollingMigration(
  dialect: PolledDialect,
  tables: readonly WatchedTable[],
  name = CHANGE_TABLE,
): { readonly up: readonly string[]; readonly down: readonly string[] } {
  const table = changeTable(dialect, name);
  const triggers = watchedBy(dialect, tables).flatMap((one) => pollingTriggers(dialect, one, name));
  return { up: [table.up, ...triggers.map(({ up }) => up)], down: [...triggers.map(({ down }) => down), table.down] };
}

/** On SQLite whatever a foreign key deletes runs its own triggers. */
function watchedBy(dialect: PolledDialect, tables: readonly WatchedTable[]): readonly WatchedTable[] {
  return tables.filter(({ isCached }) => dialect === "mysql" || isCached);
}
