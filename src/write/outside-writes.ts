import type { DataSource } from "typeorm";
import type { Change, OutsideChange, RowKey } from "../core/change";
import { epochTag, group, type Tag } from "../core/tag";
import type { WritePath } from "../events";
import type { Key } from "../metadata/entity-model";
import type { Schema, TableModel } from "../metadata/schema";
import type { Store } from "../store/store";
import type { CacheReporter } from "../telemetry/cache-reporter";
import { changeOf } from "./change-of";
import { ChangeSet } from "./change-set";
import type { Announce } from "./commit-protocol";
import type { PendingInvalidations } from "./pending-invalidations";
import { sendInvalidation } from "./send-invalidation";
import { tagsOfRows } from "./tags-of-row";

/** What is needed of the cache around it. */
export interface OutsideWritesOptions {
  readonly dataSource: DataSource;
  readonly store: Store;
  readonly pending: () => PendingInvalidations;
  readonly schema: () => Schema | undefined;
  readonly reporter: CacheReporter;
  /** Undefined if others are told by the same message, or nobody is. */
  readonly announce: Announce | undefined;
  /** Whether the connection of this process shows rows that are not committed, and how many transactions have begun on it. */
  readonly transactions: () => { readonly open: boolean; readonly begun: number };
  readonly cause: string;
  readonly path: WritePath;
}

/**
 * Invalidates what others have written and committed already. Whatever comes in while the tags of one batch are looked up makes the
 * next one: a program that writes row by row and tells of each costs as many look-ups as there is time for, not as many as rows.
 */
export class OutsideWrites {
  private waiting: OutsideChange[] = [];
  private running: Promise<unknown> = Promise.resolve();
  private next: Promise<readonly Tag[]> | undefined;

  constructor(private readonly options: OutsideWritesOptions) {}

  /** Whether the data source has such a table; nothing depends on others. */
  knows(table: string): boolean {
    const schema = this.options.schema();
    return schema !== undefined && tablesOf(schema, table).length > 0;
  }

  /**
   * Invalidates what depends on these rows.
   *
   * @returns the tags of the whole batch, when that is done
   * @throws StoreError if the store does not answer; the invalidation is then made up for as soon as it does
   */
  changed(changes: readonly OutsideChange[]): Promise<readonly Tag[]> {
    this.waiting.push(...changes);
    this.next ??= this.running
      .catch(() => undefined)
      .then(() => {
        this.next = undefined;
        const batch = this.invalidate(this.waiting.splice(0));
        this.running = batch;
        return batch;
      });
    return this.next;
  }

  /**
   * Invalidates tags, whatever rows they are of.
   *
   * @throws StoreError if the store does not answer; the invalidation is then made up for as soon as it does
   */
  async invalidateTags(tags: readonly Tag[], told: readonly Change[] = []): Promise<void> {
    const { pending, reporter, cause, path } = this.options;
    try {
      await sendInvalidation(this.options, { tags, cause, path, told });
    } catch (error) {
      reporter.emit("storeError", { operation: "invalidate", error });
      pending().add(tags);
      throw error;
    }
  }

  private async invalidate(changes: readonly OutsideChange[]): Promise<readonly Tag[]> {
    const schema = this.options.schema();
    if (schema === undefined) return [];
    const all = changeSet(schema, changes);
    const tags: Tag[] = [];
    const told: Change[] = [];
    for (const table of all.tables.values()) {
      const own = await this.tagsOf(table);
      tags.push(...own);
      told.push(changeOf(table, own));
    }
    if (tags.length > 0) await this.invalidateTags(tags, told);
    return tags;
  }

  /** The epoch where the database cannot be asked, or shows what is not committed. */
  private async tagsOf(table: Parameters<typeof tagsOfRows>[1]): Promise<readonly Tag[]> {
    const { dataSource, transactions } = this.options;
    const before = transactions();
    try {
      const tags = await tagsOfRows(dataSource, table);
      const after = transactions();
      if (!before.open && !after.open && before.begun === after.begun) return tags;
    } catch {
      // What was written is known only by half.
    }
    return [epochTag(table.table.group)];
  }
}

function changeSet(schema: Schema, changes: readonly OutsideChange[]): ChangeSet {
  const all = new ChangeSet(schema);
  for (const { table: name, operation, rows, isAll } of changes) {
    for (const table of tablesOf(schema, name)) {
      if (isAll !== true) all.touchChildren(table, operation);
      if (!table.tracked) continue;
      const written = all.table(table);
      written.operations.add(operation);
      for (const row of rows ?? []) {
        const values = valuesOf(table.primaryKey, row);
        if (values === undefined || written.addRow(values, "anew") === undefined) written.touchAll();
      }
      if (rows === null) written.touchAll();
    }
  }
  return all;
}

/** By path, or by name in whatever schema. */
function tablesOf(schema: Schema, name: string): readonly TableModel[] {
  const exact = schema.tableOf(group(name));
  return exact === undefined ? schema.tablesNamed(name.slice(name.lastIndexOf(".") + 1).toLowerCase()) : [exact];
}

/** Undefined if the row does not name the whole key. */
function valuesOf(key: Key | undefined, row: RowKey): unknown[] | undefined {
  if (key === undefined) return undefined;
  const [only, ...others] = key.columns;
  if (only !== undefined && others.length === 0 && "" in row) return [row[""]];
  const values = key.columns.map(({ databaseName, column }) => row[databaseName] ?? row[column.propertyName]);
  return values.includes(undefined) ? undefined : values;
}
