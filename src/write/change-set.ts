import { anyRowTag, epochTag, type Tag } from "../core/tag";
import { keyTag } from "../metadata/cached-query";
import type { KeyColumn } from "../metadata/entity-model";
import type { Schema, TableModel } from "../metadata/schema";
import type { Binding, Operand, RowTarget } from "../sql/row-target";
import type { SqlStatement } from "../sql/statement";

/** A written row: its primary key as the database has it, and whether lookups may find it now that did not before. */
export interface WrittenRow {
  readonly values: readonly unknown[];
  readonly decided: boolean;
}

/** More rows than this in one table and transaction, and the epoch takes their place: LOCK must stay short. */
const MOST_ROWS = 1000;

/** What a transaction, or one statement, did to one table. */
export class TableChanges {
  /** Everything of the table is touched; nothing finer counts any more. */
  wholeTable = false;
  /** By the tag of their primary key. */
  readonly rows = new Map<Tag, WrittenRow>();
  /** Tags of unique keys that these rows had when they were last read: a guess, for entries that are written through. */
  readonly suspected = new Set<Tag>();
  /** Rows that statements inserted without saying which. */
  inserted = 0;
  /** Rows that events said were inserted. */
  announced = 0;

  constructor(readonly table: TableModel) {}

  /** @returns the tag of the row, or undefined if its primary key has none: then nothing was added */
  addRow(values: readonly unknown[], decided: boolean): Tag | undefined {
    const { primaryKey, group } = this.table;
    const tag = primaryKey === undefined ? undefined : keyTag(group, primaryKey, values);
    if (tag === undefined || this.wholeTable) return tag;
    this.rows.set(tag, { values, decided: decided || this.rows.get(tag)?.decided === true });
    if (this.rows.size > MOST_ROWS) this.touchAll();
    return tag;
  }

  /** Rows were written that are not known, or too many. */
  touchAll(): void {
    this.wholeTable = true;
    this.rows.clear();
    this.suspected.clear();
  }

  /** Whether the epoch stands for all of it. */
  isCoarse(): boolean {
    return this.wholeTable || this.inserted > this.announced;
  }

  /** The tags of rows; those of declared keys come from the rows themselves, see row-reader.ts. */
  tags(): Tag[] {
    const { group } = this.table;
    if (this.isCoarse()) return [epochTag(group)];
    return this.rows.size === 0 ? [] : [anyRowTag(group), ...this.rows.keys()];
  }

  merge(other: TableChanges): void {
    this.inserted += other.inserted;
    this.announced += other.announced;
    if (other.wholeTable) this.touchAll();
    for (const { values, decided } of other.rows.values()) this.addRow(values, decided);
    if (!this.wholeTable) for (const tag of other.suspected) this.suspected.add(tag);
  }
}

/** What changed, as data; nothing here touches a database or a store. */
export class ChangeSet {
  readonly tables = new Map<string, TableChanges>();
  /** Words for events and logs: what wrote. */
  readonly causes = new Set<string>();

  constructor(private readonly schema: Schema) {}

  isEmpty(): boolean {
    return this.tables.size === 0;
  }

  table(model: TableModel): TableChanges {
    const known = this.tables.get(model.group);
    if (known !== undefined) return known;
    const created = new TableChanges(model);
    this.tables.set(model.group, created);
    return created;
  }

  merge(other: ChangeSet): void {
    for (const changes of other.tables.values()) this.table(changes.table).merge(changes);
    for (const cause of other.causes) if (this.causes.size < 5) this.causes.add(cause);
  }

  /** Everything that any entry depends on. */
  touchEverything(cause: string): void {
    for (const group of this.schema.groups) this.touchGroup(group);
    this.causes.add(cause);
  }

  /** What a statement writes, by its text and parameters. */
  addStatement(statement: SqlStatement, parameters: readonly unknown[]): void {
    if (statement.kind !== "write") return;
    const { names, target } = statement;
    if (names === "unknown" || [...names].some((name) => this.schema.views.has(name))) {
      this.touchEverything("a statement whose tables are not known");
      return;
    }
    const tables = [...names].flatMap((name) => this.schema.tablesNamed(name));
    const [only, ...others] = target === undefined ? [] : this.schema.tablesNamed(target.table);
    // The exact form writes one table, whatever else is named in it.
    if (target !== undefined && only !== undefined && others.length === 0) {
      this.causes.add(`${target.operation} ${only.group}`);
      this.addTarget(only, target, parameters);
    } else if (tables.length > 0) {
      this.causes.add(`statement on ${tables.map(({ group }) => group).join(", ")}`);
      for (const table of tables) this.touchTable(table);
    }
  }

  private addTarget(table: TableModel, target: RowTarget, parameters: readonly unknown[]): void {
    for (const group of cascadesOf(table, target)) this.touchGroup(group);
    if (table.primaryKey === undefined) return;
    const changes = this.table(table);
    if (target.operation === "insert") return insertRows(changes, target, parameters);
    const moves = target.operation === "update" && movesRows(table, target);
    const decided = target.operation === "update" && decides(table, target);
    for (const row of target.rows) {
      const values = moves ? undefined : primaryKeyIn(table, row, parameters);
      if (values === undefined || changes.addRow(values, decided) === undefined) changes.touchAll();
    }
  }

  /** Unknown rows of a table, and whatever the database may change because of them. */
  private touchTable(table: TableModel): void {
    this.touchGroup(table.group);
    for (const group of table.cascades.onDelete) this.touchGroup(group);
    for (const { groups } of table.cascades.onUpdate) for (const group of groups) this.touchGroup(group);
  }

  private touchGroup(group: string): void {
    const table = this.schema.tableOf(group);
    if (table?.tracked === true) this.table(table).touchAll();
  }
}

/** SQLite's other names for an integer primary key. */
const ROW_ID = ["rowid", "oid", "_rowid_"];

/** Whether an update may change primary keys, so that rows appear under keys which its text does not say. */
function movesRows({ primaryKey }: TableModel, { sets }: RowTarget): boolean {
  return (
    ROW_ID.some((name) => sets.has(name)) ||
    (primaryKey?.columns ?? []).some(
      ({ column, databaseName }) => isComputed(column) || sets.has(databaseName.toLowerCase()),
    )
  );
}

/** Whether an update may make a lookup find a row that it did not find before. */
function decides({ keys, deciding }: TableModel, { sets }: RowTarget): boolean {
  return (
    [...sets].some((column) => deciding.has(column)) ||
    keys.some((key) => key.columns.some(({ column }) => isComputed(column)))
  );
}

/** The database makes it of other columns. */
function isComputed({ asExpression }: KeyColumn["column"]): boolean {
  return asExpression !== undefined;
}

/**
 * Rows whose primary key stands in the statement are known; the others wait for their afterInsert event. Ids that a driver
 * reckons from the first or last of several rows are not believed: an increment other than one makes them wrong.
 */
function insertRows(changes: TableChanges, target: RowTarget, parameters: readonly unknown[]): void {
  const { table } = changes;
  for (const row of target.rows) {
    const values = primaryKeyIn(table, row, parameters);
    const known = values !== undefined && !asksForId(table, values);
    if (known && changes.addRow(values, table.deciding.size > 0) !== undefined) continue;
    changes.inserted += 1;
    if (target.rows.length > 1 && !target.returning) changes.touchAll();
  }
}

/** MySQL takes a 0 for "give me the next one". */
function asksForId({ primaryKey }: TableModel, values: readonly unknown[]): boolean {
  return (primaryKey?.columns ?? []).some(
    ({ column, canonical }, at) => column.isGenerated && canonical(values[at]) === "0",
  );
}

function cascadesOf(table: TableModel, target: RowTarget): string[] {
  if (target.operation === "delete") return [...table.cascades.onDelete];
  return table.cascades.onUpdate
    .filter(({ columns }) => [...columns].some((column) => target.sets.has(column)))
    .flatMap(({ groups }) => [...groups]);
}

function primaryKeyIn(table: TableModel, row: Binding, parameters: readonly unknown[]): unknown[] | undefined {
  const values: unknown[] = [];
  for (const { databaseName } of table.primaryKey?.columns ?? []) {
    const operand = row.get(databaseName.toLowerCase());
    const value = operand === undefined ? undefined : valueOf(operand, parameters);
    if (value === undefined || value === null) return undefined;
    values.push(value);
  }
  return values;
}

function valueOf(operand: Operand, parameters: readonly unknown[]): unknown {
  return "literal" in operand ? operand.literal : parameters[operand.parameter];
}
