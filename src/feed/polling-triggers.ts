import { createHash } from "node:crypto";
import type { WatchedTable } from "./change-feed";

/** The databases whose changes are polled. */
export type PolledDialect = "sqlite" | "mysql";

/** One trigger: statements to run as they are. */
export interface PolledTrigger {
  readonly name: string;
  readonly up: string;
  readonly down: string;
}

const OPERATIONS = ["insert", "update", "delete"] as const;

/** The table that the triggers write into. */
export function changeTable(dialect: PolledDialect, name: string): { readonly up: string; readonly down: string } {
  const table = quoted(dialect, name);
  const id = quoted(dialect, "id");
  const message = quoted(dialect, "message");
  const columns =
    dialect === "sqlite"
      ? `${id} INTEGER PRIMARY KEY AUTOINCREMENT, ${message} TEXT NOT NULL`
      : `${id} BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, ${message} MEDIUMTEXT NOT NULL`;
  // InnoDB, or a change that is rolled back would be told.
  const engine = dialect === "mysql" ? " ENGINE=InnoDB" : "";
  return {
    up: `CREATE TABLE IF NOT EXISTS ${table} (${columns})${engine}`,
    down: `DROP TABLE IF EXISTS ${table}`,
  };
}

/**
 * Triggers that write a message for each row into the change table, in the transaction of the writer. The name of each has a digest of
 * its text, so that one of another version is not taken for it.
 */
export function pollingTriggers(
  dialect: PolledDialect,
  table: WatchedTable,
  changes: string,
): readonly PolledTrigger[] {
  const prefix = triggerPrefix(table, changes);
  return OPERATIONS.map((operation) => {
    const rows = { insert: ["NEW"], update: ["OLD", "NEW"], delete: ["OLD"] }[operation].map(
      (row) =>
        `json_object(${table.primaryKey.map((name) => `${literal(dialect, name)}, ${row}.${quoted(dialect, name)}`).join(", ")})`,
    );
    const message = `json_object('table', ${literal(dialect, table.path)}, 'operation', '${operation}', 'rows', json_array(${rows.join(", ")}))`;
    const insert = `INSERT INTO ${quoted(dialect, changes)} (${quoted(dialect, "message")}) VALUES (${message})`;
    const body = dialect === "sqlite" ? `BEGIN ${insert}; END` : insert;
    const name = `${prefix}${operation}_${digest(body)}`;
    const on = `AFTER ${operation.toUpperCase()} ON ${quoted(dialect, table.name)} FOR EACH ROW`;
    return {
      name,
      up: `CREATE TRIGGER ${quoted(dialect, name)} ${on} ${body}`,
      down: `DROP TRIGGER IF EXISTS ${quoted(dialect, name)}`,
    };
  });
}

/** What the names of all triggers of a table begin with, whatever their version. */
export function triggerPrefix(table: WatchedTable, changes: string): string {
  return `coherent_${digest(`${changes} ${table.path}`)}_`;
}

/** A name in quotes. */
export function quoted(dialect: PolledDialect, name: string): string {
  return dialect === "sqlite" ? `"${name.replaceAll('"', '""')}"` : `\`${name.replaceAll("`", "``")}\``;
}

function literal(dialect: PolledDialect, text: string): string {
  const escaped = dialect === "mysql" ? text.replaceAll("\\", "\\\\") : text;
  return `'${escaped.replaceAll("'", "''")}'`;
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 10);
}
