import type { RawRow } from "../codec/row-codec";
import { anyRowTag, epochTag, type Tag } from "../core/tag";
import { keyTag } from "../metadata/cached-query";
import type { Key } from "../metadata/entity-model";
import type { Schema, TableModel } from "../metadata/schema";
import type { Alternative } from "../sql/conditions";
import type { SelectShape, SelectSource } from "../sql/select-shape";
import type { SelectText } from "../sql/select-text";
import type { Operand } from "../sql/token-reader";
import { aliasOf, boundBy, nameOf, partnersOf, reachedFrom } from "./join-conditions";
import type { KeyMembers } from "./key-members";

/** On what the result of a SELECT depends. */
export interface StatementTags {
  /** The groups of the tables that it reads; the first is that of the first table in its text. */
  readonly groups: readonly string[];
  /** What the statement names. */
  readonly tags: readonly Tag[];
  /** The tables of which the rows of the result say more. */
  readonly revealing: readonly string[];
  /** Rows whose tags are to be read before the statement is sent. */
  readonly members: readonly KeyMembers[];
  /** The tags that a result reveals. */
  readonly reveal: (rows: readonly RawRow[]) => readonly Tag[];
}

/** A tag per row of a result: that of a key of a table whose values stand in these of its columns. */
interface Revelation {
  readonly group: string;
  readonly key: Key;
  readonly names: readonly string[];
}

/** What is known of one table in the FROM clause: tags, or what the result will reveal; undefined for all of the table. */
interface Followed {
  readonly tags: readonly Tag[];
  readonly revelations: readonly Revelation[];
  readonly members?: readonly KeyMembers[];
}

const NO_ROWS: Followed = { tags: [], revelations: [] };

/** More tags than this of one table, and the entry depends on all of the table instead. */
const MOST_TAGS = 100;

/**
 * The tags of a statement: of each table as little as is exact.
 *
 * - rows that are named by their primary key: these rows;
 * - all rows with a value of a declared key, all of which the result shows: the value, and the rows that it shows;
 * - rows that are joined to others of the result by a primary key or a declared key: those that the others refer to;
 * - rows with a value of a declared key, whatever else is asked of them, be it a limit or their number: the value and all these rows;
 * - else the whole table.
 *
 * @returns undefined if some table is not followed
 */
export function statementTags(
  schema: Schema,
  { relations, shape }: SelectText,
  parameters: readonly unknown[],
): StatementTags | undefined {
  const read = relations.map((path) => schema.groupsReadAt(path));
  const groups = [...new Set(read.flatMap((some) => some ?? []))];
  if (read.includes(undefined) || groups.length === 0) return undefined;
  const followed = new Map<string, Followed>();
  const places = shape === undefined ? undefined : new Places(schema, shape, parameters);
  for (const group of groups) {
    // Where a table stands twice, one of the two may be in a subquery, which reads it in any way.
    const found = read.filter((some) => some?.includes(group)).length === 1 ? places?.follow(group) : undefined;
    if (found !== undefined && found.tags.length <= MOST_TAGS) followed.set(group, found);
  }
  const revelations = Array.from(followed.values(), (one) => one.revelations).flat();
  const members = Array.from(followed.values(), (one) => one.members ?? []).flat();
  return {
    groups,
    tags: groups.flatMap((group) => [epochTag(group), ...(followed.get(group)?.tags ?? [anyRowTag(group)])]),
    revealing: [...new Set([...revelations.map(({ group }) => group), ...members.map(({ table }) => table.group)])],
    members,
    reveal: (rows) => reveal(revelations, rows),
  };
}

function reveal(revelations: readonly Revelation[], rows: readonly RawRow[]): readonly Tag[] {
  const byGroup = new Map<string, Set<Tag>>();
  for (const { group, key, names } of revelations) {
    const tags = byGroup.get(group) ?? new Set();
    byGroup.set(group, tags);
    for (const row of rows) {
      const values = names.map((name) => row[name]);
      // Of a row that was joined to nothing.
      if (values.includes(null)) continue;
      tags.add(keyTag(group, key, values) ?? anyRowTag(group));
    }
  }
  return Array.from(byGroup, ([group, tags]) => (tags.size > MOST_TAGS ? [anyRowTag(group)] : [...tags])).flat();
}

/** The tables of one FROM clause. */
class Places {
  private readonly tables = new Map<SelectSource, TableModel>();

  constructor(
    schema: Schema,
    private readonly shape: SelectShape,
    private readonly parameters: readonly unknown[],
  ) {
    for (const source of shape.sources) {
      // Of a view not even the names of its columns mean what they mean in its tables.
      const [table, ...others] = schema.tablesNamed(source.path.at(-1)!);
      const groups = schema.groupsReadAt(source.path);
      if (table?.primaryKey === undefined || others.length > 0) continue;
      if (groups?.length === 1 && groups[0] === table.group) this.tables.set(source, table);
    }
  }

  /** What the one place where a table stands says of it. */
  follow(group: string): Followed | undefined {
    const source = this.shape.sources.find((one) => this.tables.get(one)?.group === group);
    const table = source === undefined ? undefined : this.tables.get(source);
    if (source === undefined || table?.primaryKey === undefined) return undefined;
    for (const key of [table.primaryKey, ...table.partKeys]) {
      const tags = this.valuesOf(source, key)?.map((values) => keyTag(group, key, values));
      if (tags !== undefined && !tags.includes(undefined)) return { tags: distinct(tags), revelations: [] };
    }
    const shown = source.join === "from" ? this.listed(source, table) : this.joined(source, table);
    return shown ?? this.members(source, table);
  }

  /** All rows with given values of a declared key: whoever comes to be one of them touches the tag of the values. */
  private listed(source: SelectSource, table: TableModel): Followed | undefined {
    const { shape } = this;
    const shown = this.shown(source, table);
    const complete =
      shape.plain &&
      !shape.limited &&
      shape.where.alternatives.every((one) => one.exact && one.pairs.length === 0 && decides(one, source, table)) &&
      this.othersLoseNothing();
    if (shown === undefined || !complete) return undefined;
    for (const key of table.keys) {
      const tags = this.valuesOf(source, key)?.map((values) => keyTag(table.group, key, values));
      if (tags !== undefined && !tags.includes(undefined)) return { tags: distinct(tags), revelations: [shown] };
    }
    return undefined;
  }

  /** All rows with given values of a declared key, shown or not. */
  private members(source: SelectSource, table: TableModel): Followed | undefined {
    for (const key of table.keys) {
      const values = this.valuesOf(source, key);
      const tags = values?.map((one) => keyTag(table.group, key, one));
      if (values === undefined || tags === undefined || tags.includes(undefined)) continue;
      return { tags: distinct(tags), revelations: [], members: [{ table, key, values }] };
    }
    return undefined;
  }

  /** Rows that are joined to those of another table: by the values that the other has, which are part of the result. */
  private joined(source: SelectSource, table: TableModel): Followed | undefined {
    const { shape } = this;
    const reached = reachedFrom(source, shape.sources);
    const mentioned = reached.some(
      (alias) => shape.where.mentions(alias) || (shape.limited && shape.order.mentions(alias)),
    );
    // A join that leaves rows out may do so because of what is joined here.
    if (mentioned || !this.othersLoseNothing()) return undefined;
    const { kept } = shape;
    // The ids of the other tables are the same, whatever is joined to them.
    if (kept !== undefined && ![...kept].some((column) => reached.includes(aliasOf(column)))) return NO_ROWS;
    if (!shape.plain) return undefined;
    const [on, ...others] = source.on ?? [];
    if (on?.exact !== true || others.length > 0 || on.equals.size > 0 || !decides(on, source, table)) return undefined;
    const partners = partnersOf(on, source.alias);
    if (partners === undefined) return undefined;
    const { primaryKey, group } = table;
    const revealed = (key: Key): Revelation | undefined => {
      const names = key.columns.map(({ databaseName }) =>
        shape.items.get(partners.get(databaseName.toLowerCase()) ?? ""),
      );
      const isAll = key.columns.length === partners.size && names.every((name) => name !== undefined);
      return isAll ? { group, key, names } : undefined;
    };
    const byPrimaryKey = primaryKey === undefined ? undefined : revealed(primaryKey);
    if (byPrimaryKey !== undefined) return { tags: [], revelations: [byPrimaryKey] };
    const byPart = table.partKeys.map(revealed).find((one) => one !== undefined);
    if (byPart !== undefined && !shape.limited) return { tags: [], revelations: [byPart] };
    const shown = this.shown(source, table);
    // What the others refer to is there, so that what is there is shown.
    if (shown !== undefined && this.reference(source) !== undefined) return { tags: [], revelations: [shown] };
    // Several rows may be joined to one: a limit may cut some of them off.
    const byKey = table.keys.map(revealed).find((one) => one !== undefined);
    return byKey === undefined || shown === undefined || shape.limited
      ? undefined
      : { tags: [], revelations: [byKey, shown] };
  }

  /** The rows of a table that the result shows, by their primary keys. */
  private shown({ alias }: SelectSource, { primaryKey, group }: TableModel): Revelation | undefined {
    if (primaryKey === undefined) return undefined;
    const names = primaryKey.columns.map(({ databaseName }) =>
      this.shape.items.get(`${alias}.${databaseName.toLowerCase()}`),
    );
    return names.every((name) => name !== undefined) ? { group, key: primaryKey, names } : undefined;
  }

  /** Whether every row of the first table that WHERE lets through is in the result, whatever is joined to it. */
  private othersLoseNothing(): boolean {
    return this.shape.sources.every((source) => source.join === "from" || this.losesNothing(source));
  }

  /** Whether joining a table leaves out no row of the others. */
  private losesNothing(source: SelectSource): boolean {
    if (source.join === "left") return true;
    return source.join === "inner" && this.reference(source)?.always === true;
  }

  /**
   * The foreign key along which a table is joined by its primary key, with no other condition.
   * Always: it is not null, so that there is a row for each of the others.
   */
  private reference({ alias, on }: SelectSource): { readonly always: boolean } | undefined {
    const [condition, ...others] = on ?? [];
    if (condition?.exact !== true || others.length > 0) return undefined;
    const partners = condition.equals.size + condition.nulls.length > 0 ? undefined : partnersOf(condition, alias);
    const own = this.tableAt(alias)?.metadata;
    const [owner, ...owners] = new Set(Array.from(partners?.values() ?? [], aliasOf));
    const table = owner === undefined || owners.length > 0 ? undefined : this.tableAt(owner);
    if (partners === undefined || own === undefined || table === undefined) return undefined;
    const key = table.metadata.foreignKeys.find(
      ({ columns, referencedColumns, referencedEntityMetadata }) =>
        referencedEntityMetadata.tablePath === own.tablePath &&
        columns.length === partners.size &&
        columns.every(({ databaseName }, at) => {
          const partner = partners.get(referencedColumns[at]!.databaseName.toLowerCase());
          return partner === `${owner}.${databaseName.toLowerCase()}`;
        }),
    );
    const isOptional = this.shape.sources.some((one) => one.alias === owner && one.join === "left");
    return key && { always: !isOptional && key.columns.every(({ isNullable }) => !isNullable) };
  }

  private tableAt(alias: string): TableModel | undefined {
    const source = this.shape.sources.find((one) => one.alias === alias);
    return source === undefined ? undefined : this.tables.get(source);
  }

  /**
   * The values of a key that rows of a table must have one of to count for the result: as WHERE says, or as follows from that
   * and the conditions of joins. Undefined if it may be any.
   */
  private valuesOf({ alias, on }: SelectSource, key: Key): readonly (readonly unknown[])[] | undefined {
    const found: (readonly unknown[])[] = [];
    for (const bound of boundBy(this.shape)) {
      const equals = new Map([...(on?.length === 1 ? on[0]!.equals : []), ...bound]);
      const values = key.columns.map(({ databaseName }) => {
        const operand = equals.get(`${alias}.${databaseName.toLowerCase()}`);
        return operand === undefined ? undefined : { value: this.valueOf(operand) };
      });
      if (values.includes(undefined)) return undefined;
      const plain = values.map((one) => one?.value);
      // Nothing equals NULL.
      if (!plain.some((value) => value === null || value === undefined)) found.push(plain);
      if (found.length > MOST_TAGS) return undefined;
    }
    return found;
  }

  private valueOf(operand: Operand): unknown {
    return "literal" in operand ? operand.literal : this.parameters[operand.parameter];
  }
}

/**
 * Whether a condition looks at nothing but columns that decide which lookups find a row: then every write that makes a row meet it
 * touches the tags of all of the row's keys.
 */
function decides({ equals, nulls }: Alternative, { alias }: SelectSource, table: TableModel): boolean {
  return [...equals.keys(), ...nulls].every(
    (column) => aliasOf(column) === alias && table.deciding.has(nameOf(column)),
  );
}

function distinct(tags: readonly (Tag | undefined)[]): readonly Tag[] {
  return [...new Set(tags.flatMap((tag) => tag ?? []))];
}
