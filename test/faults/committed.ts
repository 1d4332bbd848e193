import type { DataSource } from "typeorm";
import type { Item, ItemClass } from "./entities";

/** A row as the database has it, soft-deleted ones included. */
export interface Row {
  readonly id: number;
  readonly sku: string;
  readonly category: number;
  readonly mark: string;
  readonly amount: number;
  readonly version: number;
  readonly gone: boolean;
}

/** All committed rows of one table at one moment, by id. */
export type Committed = ReadonlyMap<number, Row>;

/** Asks the database itself; `plain` is a data source that no cache knows of. */
export async function committedRows(plain: DataSource, item: ItemClass): Promise<Committed> {
  const table = plain.getMetadata(item).tableName;
  const rows: readonly Item[] = await plain.query(
    `SELECT id, sku, category, mark, amount, version, gone FROM ${table}`,
  );
  return new Map(rows.map((row) => [row.id, rowOf(row)]));
}

export function rowOf({ id, sku, category, mark, amount, version, gone }: Item): Row {
  return { id, sku, category, mark, amount, version, gone: gone !== null };
}
