import type { Tag } from "./tag";

/** What a write did to the rows of a table; mixed: several of these; unknown: its text does not say. */
export type Operation = "insert" | "update" | "delete" | "mixed" | "unknown";

/** The primary key of a row, by the names of its columns in the database. */
export type RowKey = Readonly<Record<string, string | number | boolean>>;

/** What a write outside of this cache has changed in one table. */
export interface OutsideChange {
  /** The name of the table, or its path. */
  readonly table: string;
  readonly operation: Operation;
  /** Primary keys, or null if it may be any row. A name "" stands for the only column of the key. */
  readonly rows: readonly RowKey[] | null;
  /** Rows of other tables that the database changes because of it are told of apart. */
  readonly isAll?: boolean;
}

/** What one write has changed in one table. */
export interface Change {
  /** The path of the table: its name, after that of its schema if it has one. */
  readonly table: string;
  /** The group of the table; see core/tag.ts. */
  readonly group: string;
  readonly operation: Operation;
  /** The rows, or null if it may be any row of the table. */
  readonly rows: readonly RowKey[] | null;
  /** The tags that were invalidated. */
  readonly tags: readonly Tag[];
}
