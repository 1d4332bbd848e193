import type { Alternative, ColumnName } from "../sql/conditions";
import type { SelectShape, SelectSource } from "../sql/select-shape";
import type { Operand } from "../sql/token-reader";

const BOUND = new WeakMap<SelectShape, readonly ReadonlyMap<ColumnName, Operand>[]>();

/** For each alternative of WHERE, what it binds; the same for every read with the text, whatever its parameters. */
export function boundBy(shape: SelectShape): readonly ReadonlyMap<ColumnName, Operand>[] {
  const known = BOUND.get(shape) ?? shape.where.alternatives.map((one) => closure(one, shape.sources));
  BOUND.set(shape, known);
  return known;
}

/**
 * What WHERE says, carried over joins. Where it binds a column of a table, it leaves out rows that were joined to nothing, so that
 * the condition of the join holds. Where only a left join binds it, that says nothing of the other side.
 */
function closure({ equals, pairs }: Alternative, sources: readonly SelectSource[]): ReadonlyMap<ColumnName, Operand> {
  const found = new Map(equals);
  const joins = sources.map(({ alias, join, on }) => ({ alias, join, pairs: on?.length === 1 ? on[0]!.pairs : [] }));
  const certain = [...pairs, ...joins.flatMap((one) => (one.join === "left" ? [] : one.pairs))];
  const optional = joins.filter(({ join }) => join === "left");
  for (let size = -1; size < found.size;) {
    size = found.size;
    for (const [left, right] of certain) {
      carry(found, left, right);
      carry(found, right, left);
    }
    for (const one of optional) for (const [own, other] of orientedAll(one)) carry(found, own, other);
  }
  for (const one of joins) for (const [own, other] of orientedAll(one)) carry(found, other, own);
  return found;
}

/** The aliases of a table and of all that is joined to it, however far. */
export function reachedFrom({ alias }: SelectSource, sources: readonly SelectSource[]): readonly string[] {
  const reached = [alias];
  for (const { alias: other, on } of sources) {
    const [condition, ...more] = on ?? [];
    const isClear = condition?.exact === true && more.length === 0;
    const columns = isClear ? [...condition.equals.keys(), ...condition.nulls, ...condition.pairs.flat()] : [];
    if (other !== alias && (!isClear || columns.some((column) => reached.includes(aliasOf(column)))))
      reached.push(other);
  }
  return reached;
}

function carry(found: Map<ColumnName, Operand>, from: ColumnName, to: ColumnName): void {
  const known = found.get(from);
  if (known !== undefined && !found.has(to)) found.set(to, known);
}

interface Join {
  readonly alias: string;
  readonly pairs: Alternative["pairs"];
}

function orientedAll({ alias, pairs }: Join): [ColumnName, ColumnName][] {
  return pairs.flatMap((pair) => oriented(pair, alias));
}

/** By the columns of a table, the columns of others that they equal; undefined if the condition says more than that. */
export function partnersOf({ pairs }: Alternative, alias: string): ReadonlyMap<string, ColumnName> | undefined {
  const partners = new Map<string, ColumnName>();
  for (const [left, right] of pairs) {
    const [pair] = oriented([left, right], alias);
    if (pair === undefined || partners.has(nameOf(pair[0]))) return undefined;
    partners.set(nameOf(pair[0]), pair[1]);
  }
  return partners.size === 0 ? undefined : partners;
}

/** A pair with the column of this table first; none if neither is, or both are. */
function oriented([left, right]: readonly [ColumnName, ColumnName], alias: string): [ColumnName, ColumnName][] {
  if ((aliasOf(left) === alias) === (aliasOf(right) === alias)) return [];
  return [aliasOf(left) === alias ? [left, right] : [right, left]];
}

/** What a column is qualified by. */
export function aliasOf(column: ColumnName): string {
  return column.slice(0, Math.max(0, column.indexOf(".")));
}

/** A column without what it is qualified by. */
export function nameOf(column: ColumnName): string {
  return column.slice(column.indexOf(".") + 1);
}
