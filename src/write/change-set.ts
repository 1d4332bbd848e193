import type { Operation } from "../core/change";
import { anyRowTag, epochTag, type Tag } from "../core/tag";
import { keyTag } from "../metadata/cached-query";
import type { Schema, TableModel } from "../metadata/schema";
import type { SqlStatement } from "../sql/statement";
import { addTarget } from "./target-rows";

/**
 * Which lookups may find a written row now that did not before: none, those by the keys that it had all along (it was restored),
 * or those by keys that it has only now.
 */
export type Findable = "as before" | "again" | "anew";

/** A written row: its primary key as the database has it, and whether lookups may find it now that did not before. */
export interface WrittenRow {
  readonly values: readonly unknown[];
  readonly findable: Findable;
}

/** Rows that a statement will write and that only the database can name; see row-search.ts. */
export interface RowSearch {
  /** Each of the rows meets one of these: its columns equal these values. */
  readonly conditions: readonly Condition[];
  readonly findable: Exclude<Findable, "anew">;
}

/** Columns by their database names, and what they equal. */
export interface Condition {
  readonly columns: readonly string[];
  readonly values: readonly ConditionValue[];
}

/** A parameter, or a number that stood in the text: SQLite compares a text with 5 otherwise than with a parameter 5. */
export type ConditionValue = { readonly bound: unknown } | { readonly inline: number };

/** More rows than this in one table and transaction, and the epoch takes their place: LOCK must stay short. */
export const MOST_ROWS = 1000;

const ORDER: readonly Findable[] = ["as before", "again", "anew"];

/** What a transaction, or one statement, did to one table. */
export class TableChanges {
  /** Everything of the table is touched; nothing finer counts any more. */
  wholeTable = false;
  /** By the tag of their primary key. */
  readonly rows = new Map<Tag, WrittenRow>();
  private readonly restoredTags = new Set<Tag>();
  /** Tags of unique keys that these rows had when they were last read: a guess, for entries that are written through. */
  readonly suspected = new Set<Tag>();
  /** Rows that are still to be found: until then nothing finer than the epoch tells what was written. */
  searches: readonly RowSearch[] = [];
  /**
   * Under whose lock of the barrier rows were found. While it lasts, those that a search has missed are seen to by the writers who
   * brought them in; afterwards only the epoch does.
   */
  searchedBy: string | undefined;
  /** Rows that statements inserted without saying which. */
  inserted = 0;
  /** Rows that events said were inserted. */
  announced = 0;
  /** What was done to the table, for those who are told of it; nothing is invalidated by it. */
  readonly operations = new Set<Operation>();

  constructor(readonly table: TableModel) {}

  /** @returns the tag of the row, or undefined if its primary key has none: then nothing was added */
  addRow(values: readonly unknown[], findable: Findable): Tag | undefined {
    const { primaryKey, group } = this.table;
    const tag = primaryKey === undefined ? undefined : keyTag(group, primaryKey, values);
    if (tag !== undefined) this.keep(tag, { values, findable });
    return tag;
  }

  private keep(tag: Tag, row: WrittenRow): void {
    if (this.wholeTable) return;
    const known = this.rows.get(tag);
    const wins = known === undefined || ORDER.indexOf(row.findable) >= ORDER.indexOf(known.findable);
    this.rows.set(tag, wins ? row : { values: row.values, findable: known.findable });
    if (this.rows.size > MOST_ROWS) this.touchAll();
  }

  /** Rows were written that are not known, or too many. */
  touchAll(): void {
    this.wholeTable = true;
    this.rows.clear();
    this.suspected.clear();
    this.searches = [];
  }

  /** Writes whichever rows meet a condition. */
  addSearch(search: RowSearch): void {
    if (!this.wholeTable && search.conditions.length > 0) this.searches = [...this.searches, search];
  }

  /** The searches are over: these rows are what they found. */
  found(holder: string, rows: readonly WrittenRow[]): void {
    this.searches = [];
    this.searchedBy = holder;
    for (const { values, findable } of rows) if (this.addRow(values, findable) === undefined) this.touchAll();
  }

  /** Rows that will be findable again, under keys that were read behind the barrier. */
  get restored(): WrittenRow[] {
    return this.table.keys.length === 0 ? [] : [...this.rows.values()].filter(({ findable }) => findable === "again");
  }

  /** The tags of the keys of {@link restored} rows; undefined if some key has none. */
  restore(tags: readonly Tag[] | undefined): void {
    if (tags === undefined) return this.touchAll();
    for (const tag of tags) this.restoredTags.add(tag);
    for (const [tag, row] of this.rows)
      if (row.findable === "again") this.rows.set(tag, { ...row, findable: "as before" });
  }

  /** Whether the epoch stands for all of it. */
  isCoarse(): boolean {
    return this.wholeTable || this.searches.length > 0 || this.inserted > this.announced;
  }

  /** The tags of rows; those of declared keys come from the rows themselves, see row-reader.ts. */
  tags(): Tag[] {
    const { group } = this.table;
    if (this.isCoarse()) return [epochTag(group)];
    if (this.rows.size === 0 && this.searchedBy === undefined) return [];
    return [anyRowTag(group), ...this.rows.keys(), ...this.partTags(), ...this.restoredTags];
  }

  /** What cannot be told apart by a tag of its own is among the tags of all rows. */
  private partTags(): Set<Tag> {
    const { group, partKeys, primaryKey } = this.table;
    const names = (primaryKey?.columns ?? []).map(({ databaseName }) => databaseName);
    const tags = new Set<Tag>();
    for (const key of partKeys) {
      const places = key.columns.map(({ databaseName }) => names.indexOf(databaseName));
      for (const { values } of this.rows.values()) {
        const tag = keyTag(
          group,
          key,
          places.map((at) => values[at]),
        );
        if (tag !== undefined) tags.add(tag);
      }
    }
    return tags;
  }

  merge(other: TableChanges): void {
    this.inserted += other.inserted;
    this.announced += other.announced;
    for (const operation of other.operations) this.operations.add(operation);
    if (other.wholeTable || (this.searchedBy ?? other.searchedBy) !== (other.searchedBy ?? this.searchedBy))
      this.touchAll();
    this.searchedBy ??= other.searchedBy;
    for (const search of other.searches) this.addSearch(search);
    for (const tag of other.restoredTags) this.restoredTags.add(tag);
    for (const [tag, row] of other.rows) this.keep(tag, row);
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

  /** Some rows are still to be found. */
  isSearching(): boolean {
    for (const { searches } of this.tables.values()) if (searches.length > 0) return true;
    return false;
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
      addTarget(this, this.schema, only, target, parameters);
    } else if (tables.length > 0) {
      this.causes.add(`statement on ${tables.map(({ group }) => group).join(", ")}`);
      for (const table of tables) this.touchTable(table);
    }
  }

  /** Unknown rows of a table, and whatever the database may change because of them. */
  touchTable(table: TableModel): void {
    this.touchGroup(table.group);
    this.touchChildren(table, "unknown");
  }

  /** What the database may change because of rows of this table. */
  touchChildren({ cascades }: TableModel, operation: Operation): void {
    const [deleted, updated] = [
      ["delete", "mixed", "unknown"],
      ["update", "mixed", "unknown"],
    ];
    if (deleted.includes(operation))
      for (const { group, beyond } of cascades.onDelete) for (const one of [group, ...beyond]) this.touchGroup(one);
    if (updated.includes(operation))
      for (const { groups } of cascades.onUpdate) for (const group of groups) this.touchGroup(group);
  }

  /** Unknown rows of a table alone. */
  touchGroup(group: string): void {
    const table = this.schema.tableOf(group);
    if (table?.tracked !== true) return;
    const changes = this.table(table);
    changes.operations.add("unknown");
    changes.touchAll();
  }
}
