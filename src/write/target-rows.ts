import type { DeleteCascade } from "../metadata/cascades";
import type { Key, KeyColumn } from "../metadata/entity-model";
import type { Schema, TableModel } from "../metadata/schema";
import type { Binding, RowTarget } from "../sql/row-target";
import type { Operand } from "../sql/token-reader";
import type { ChangeSet, Condition, ConditionValue, Findable, TableChanges } from "./change-set";

/** A row that a statement names: by its primary key, or by the values of a declared key, and then there may be several. */
type NamedRow = { readonly primaryKey: readonly ConditionValue[] } | { readonly condition: Condition };

/** More conditions than this in one statement, and the table is touched as a whole: the search would be slow. */
const MOST_CONDITIONS = 200;

/** Adds the rows that a statement writes by its text, and those that the database changes because of them. */
export function addTarget(
  changes: ChangeSet,
  schema: Schema,
  table: TableModel,
  target: RowTarget,
  parameters: readonly unknown[],
): void {
  if (table.primaryKey !== undefined) changes.table(table).operations.add(target.operation);
  if (target.operation === "insert") {
    if (table.primaryKey !== undefined) insertRows(changes.table(table), target, parameters);
    return;
  }
  const rows = namedRows(table, target, parameters);
  if (target.operation === "delete") {
    for (const cascade of table.cascades.onDelete) addCascade(changes, schema, table, cascade, rows);
  } else {
    for (const { columns, groups } of table.cascades.onUpdate)
      if ([...columns].some((column) => target.sets.has(column))) for (const group of groups) changes.touchGroup(group);
  }
  if (table.primaryKey !== undefined) addRows(changes.table(table), rows, effectOf(table, target).findable);
}

function addRows(changes: TableChanges, rows: readonly NamedRow[] | undefined, findable: Findable): void {
  const conditions: Condition[] = [];
  for (const row of rows ?? []) {
    if ("condition" in row) conditions.push(row.condition);
    else if (changes.addRow(row.primaryKey.map(plain), findable) === undefined) return changes.touchAll();
  }
  if (rows === undefined || conditions.length > MOST_CONDITIONS) changes.touchAll();
  else if (conditions.length > 0 && findable === "anew") changes.touchAll();
  else if (findable !== "anew") changes.addSearch({ conditions, findable });
}

/** Undefined if some row is named neither way. A condition that compares with NULL names none. */
function namedRows(
  table: TableModel,
  target: RowTarget,
  parameters: readonly unknown[],
): readonly NamedRow[] | undefined {
  if (effectOf(table, target).moves) return undefined;
  const rows: NamedRow[] = [];
  for (const row of target.rows) {
    const primaryKey = primaryKeyIn(table, row, parameters);
    const condition = primaryKey === undefined ? conditionIn(table, row, parameters) : undefined;
    if (primaryKey !== undefined) rows.push({ primaryKey });
    else if (condition === undefined) return undefined;
    else if (!condition.values.some(isNull)) rows.push({ condition });
  }
  return rows;
}

function conditionIn(
  { keys, partKeys }: TableModel,
  row: Binding,
  parameters: readonly unknown[],
): Condition | undefined {
  for (const key of [...keys, ...partKeys]) {
    const values = valuesIn(key, row, parameters);
    if (values !== undefined) return { columns: key.columns.map(({ databaseName }) => databaseName), values };
  }
  return undefined;
}

/**
 * The children of rows that are deleted by primary key can be found by their foreign key, if that is a declared one. The children
 * of others cannot: a row that joins those which a condition names, after the search, has children that nobody has written.
 */
function addCascade(
  changes: ChangeSet,
  schema: Schema,
  parent: TableModel,
  { group, columns, vanishes, beyond }: DeleteCascade,
  rows: readonly NamedRow[] | undefined,
): void {
  for (const one of beyond) changes.touchGroup(one);
  const child = schema.tableOf(group);
  if (child?.tracked !== true) return;
  const names = new Set(columns.map((column) => column.child));
  const isKey = [...child.keys, ...child.partKeys, ...(child.primaryKey === undefined ? [] : [child.primaryKey])].some(
    (key) => key.columns.length === names.size && key.columns.every(({ databaseName }) => names.has(databaseName)),
  );
  const conditions = isKey && vanishes ? rows?.map((row) => childrenOf(parent, row, columns)) : undefined;
  if (conditions === undefined || conditions.length > MOST_CONDITIONS) return changes.touchGroup(group);
  const known = conditions.flatMap((condition) => condition ?? []);
  if (known.length < conditions.length) changes.touchGroup(group);
  else {
    changes.table(child).operations.add("unknown");
    changes.table(child).addSearch({ conditions: known, findable: "as before" });
  }
}

function childrenOf(parent: TableModel, row: NamedRow, columns: DeleteCascade["columns"]): Condition | undefined {
  if (!("primaryKey" in row)) return undefined;
  const names = (parent.primaryKey?.columns ?? []).map(({ databaseName }) => databaseName);
  const values = columns.flatMap((column) => row.primaryKey[names.indexOf(column.parent)] ?? []);
  return values.length < columns.length ? undefined : { columns: columns.map(({ child }) => child), values };
}

/** What the text of an update or delete says, whatever its parameters are. */
interface Effect {
  /** Primary keys may change. */
  readonly moves: boolean;
  readonly findable: Findable;
}

/** Applications send few texts very often, and the analyzer gives the same target for the same text. */
const effects = new WeakMap<TableModel, WeakMap<RowTarget, Effect>>();

function effectOf(table: TableModel, target: RowTarget): Effect {
  let ofTable = effects.get(table);
  if (ofTable === undefined) effects.set(table, (ofTable = new WeakMap()));
  let effect = ofTable.get(target);
  if (effect === undefined) {
    const moves = target.operation === "update" && movesRows(table, target);
    ofTable.set(target, (effect = { moves, findable: findableAfter(table, target) }));
  }
  return effect;
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

/** Which lookups find a row after an update or delete that did not find it before. */
function findableAfter({ keys, deciding }: TableModel, { operation, sets }: RowTarget): Findable {
  if (operation === "delete") return "as before";
  const columns = keys.flatMap((key) => key.columns);
  if (columns.some(({ column, databaseName }) => isComputed(column) || sets.has(databaseName.toLowerCase())))
    return "anew";
  return [...sets].some((column) => deciding.has(column)) ? "again" : "as before";
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
    const values = primaryKeyIn(table, row, parameters)?.map(plain);
    const known = values !== undefined && !asksForId(table, values);
    if (known && changes.addRow(values, table.deciding.size > 0 ? "anew" : "as before") !== undefined) continue;
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

function primaryKeyIn(
  { primaryKey }: TableModel,
  row: Binding,
  parameters: readonly unknown[],
): readonly ConditionValue[] | undefined {
  const values = primaryKey === undefined ? undefined : valuesIn(primaryKey, row, parameters);
  return values?.some(isNull) === true ? undefined : values;
}

/** What all columns of a key are compared with, or set to; undefined if one of them is not. */
function valuesIn(key: Key, row: Binding, parameters: readonly unknown[]): readonly ConditionValue[] | undefined {
  const operands = key.columns.flatMap(({ databaseName }) => row.get(databaseName.toLowerCase()) ?? []);
  return operands.length < key.columns.length ? undefined : operands.map((operand) => valueOf(operand, parameters));
}

function valueOf(operand: Operand, parameters: readonly unknown[]): ConditionValue {
  if (!("literal" in operand)) return { bound: parameters[operand.parameter] };
  return typeof operand.literal === "number" ? { inline: operand.literal } : { bound: operand.literal };
}

function isNull(value: ConditionValue): boolean {
  return "bound" in value && (value.bound === null || value.bound === undefined);
}

function plain(value: ConditionValue): unknown {
  return "bound" in value ? value.bound : value.inline;
}
