import type { QueryRunner } from "typeorm";
import { barrierTag } from "../core/tag";
import type { WritePath } from "../events";
import type { ChangeSet, TableChanges, WrittenRow } from "./change-set";
import { MOST_ROWS } from "./change-set";
import type { CommitProtocol, HeldLock } from "./commit-protocol";
import { findRows, readKeyTags, type Ask } from "./row-reader";
import type { TransactionJournal } from "./transaction-journal";

/**
 * Finds the rows of a statement that names them by a declared key, which only the database can tell, and only until somebody brings
 * others in. So the barrier of the table is locked first, then the rows are looked up, then the statement goes out. A row that it
 * hits and that was not found was brought in since, by a writer who touches its tags himself; and as nothing of the table is filled
 * behind the barrier, nobody has it in the cache as it was between that write and this. docs/consistency.md tells it at length.
 */
export class RowSearch {
  constructor(private readonly protocol: CommitProtocol) {}

  /**
   * For a statement inside of a transaction; the barrier stays locked until that ends.
   *
   * @throws what the database says, where its transaction is lost by that
   */
  async inside(runner: QueryRunner, journal: TransactionJournal, changes: ChangeSet, ask: Ask): Promise<void> {
    const tables = [...changes.tables.values()].filter(({ searches }) => searches.length > 0);
    const hold = await this.hold(tables, "transaction", journal.hold);
    if (hold === undefined) return;
    journal.hold = hold;
    const { type } = runner.connection.options;
    const lock = type === "mysql" || type === "mariadb";
    try {
      for (const table of tables) await this.find(runner, table, hold, ask, lock);
    } catch (error) {
      if (lock || type === "postgres") throw error;
    }
  }

  /** For a statement that commits by itself; its caller ends the lock. */
  async alone(
    runner: QueryRunner,
    journal: TransactionJournal,
    changes: ChangeSet,
    ask: Ask,
  ): Promise<HeldLock | undefined> {
    const tables = [...changes.tables.values()].filter(
      (table) => table.searches.length > 0 || (table.restored.length > 0 && !table.isCoarse()),
    );
    if (tables.length === 0 || journal.isOpen() || journal.ending > 0) return undefined;
    const { begun, turns } = journal;
    const hold = await this.hold(tables, "statement");
    if (hold === undefined) return undefined;
    try {
      for (const table of tables) {
        await this.find(runner, table, hold, ask, false);
        const { restored } = table;
        if (restored.length > 0 && !table.isCoarse()) table.restore(await readKeyTags(runner, table, restored, ask));
      }
    } catch {
      // The statement will hear it from the database too, or go through.
      for (const table of tables) table.touchAll();
    }
    // On a shared connection somebody else's transaction shows rows that it may never commit.
    if (journal.isOpen() || journal.ending > 0 || journal.begun !== begun || journal.turns !== turns) {
      for (const table of tables) table.touchAll();
    }
    return hold;
  }

  private async hold(tables: readonly TableChanges[], path: WritePath, held?: HeldLock): Promise<HeldLock | undefined> {
    const barriers = tables.map(({ table }) => barrierTag(table.group));
    return barriers.length === 0 ? undefined : this.protocol.hold(barriers, path, held);
  }

  private async find(
    runner: QueryRunner,
    table: TableChanges,
    { holder }: HeldLock,
    ask: Ask,
    lock: boolean,
  ): Promise<void> {
    const rows: WrittenRow[] = [];
    for (const { conditions, findable } of table.searches) {
      const found = await findRows(runner, table.table, conditions, ask, { most: MOST_ROWS, lock });
      if (found === undefined) return table.touchAll();
      rows.push(...found.map((values) => ({ values, findable })));
    }
    table.found(holder, rows);
  }
}
