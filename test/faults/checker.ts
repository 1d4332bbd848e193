import { isDeepStrictEqual } from "node:util";
import type { Committed, Row } from "./committed";
import { POISON } from "./entities";
import type { Lookup } from "./lookups";

/**
 * What is wrong with a result, if anything.
 *
 * `before` was committed when the read began, so that nothing older may come back. What a row was while the read ran is not
 * known, unless its version is the same in `before` and `after`: versions only grow, so then it was this all the time, and the
 * result must have it, or must not, as `before` says.
 */
export function wrong(
  lookup: Lookup,
  result: readonly Row[] | number,
  before: Committed,
  after: Committed,
): string | undefined {
  if (typeof result === "number") return wrongCount(lookup, result, before, after);
  return (
    firstOf(result, (row) => wrongRow(lookup, row, before)) ??
    (new Set(result.map(({ id }) => id)).size < result.length ? "a row came twice" : undefined) ??
    (lookup.kind === "top" ? wrongOrder(lookup, result, before, after) : missingRow(lookup, result, before, after))
  );
}

function wrongRow(lookup: Lookup, row: Row, before: Committed): string | undefined {
  if (row.mark === POISON) return `row ${row.id}: from a transaction that was rolled back`;
  if (row.gone) return `row ${row.id}: a soft-deleted row came back`;
  if (!lookup.matches(row)) return `row ${row.id}: does not match`;
  const known = before.get(row.id);
  if (known === undefined) return isGone(row, before) ? `row ${row.id}: was deleted before` : undefined;
  if (row.version < known.version) return `row ${row.id}: version ${row.version}, but ${known.version} was committed`;
  // The same version with another content: two states were mixed.
  const same = row.version > known.version || isDeepStrictEqual(row, known);
  return same ? undefined : `row ${row.id}: not what version ${known.version} is`;
}

/** The rows of a series are inserted one after the other: one that is not there, while a later one is, will never be. */
function isGone({ sku }: Row, before: Committed): boolean {
  const [series, number] = sku.split("-");
  return [...before.values()].some((other) => {
    const [otherSeries, otherNumber] = other.sku.split("-");
    return otherSeries === series && Number(otherNumber) > Number(number);
  });
}

function missingRow(lookup: Lookup, result: readonly Row[], before: Committed, after: Committed): string | undefined {
  const found = new Set(result.map(({ id }) => id));
  return firstOf(unchanged(before, after), (row) =>
    isMeant(lookup, row) && !found.has(row.id) ? `row ${row.id}: is missing` : undefined,
  );
}

function wrongOrder(lookup: Lookup, result: readonly Row[], before: Committed, after: Committed): string | undefined {
  if (changes(before, after) > 0) return undefined;
  const expected = [...before.values()]
    .filter((row) => isMeant(lookup, row))
    .sort((left, right) => right.version - left.version || left.id - right.id)
    .slice(0, 2);
  const ids = (rows: readonly Row[]) => rows.map(({ id }) => id).join(", ");
  return ids(expected) === ids(result) ? undefined : `${ids(result)} instead of ${ids(expected)}`;
}

function wrongCount(lookup: Lookup, result: number, before: Committed, after: Committed): string | undefined {
  const least = unchanged(before, after).filter((row) => isMeant(lookup, row)).length;
  const most = least + changes(before, after);
  return result >= least && result <= most ? undefined : `${result} rows, but there were ${least} to ${most}`;
}

function isMeant(lookup: Lookup, row: Row): boolean {
  return !row.gone && lookup.matches(row);
}

function unchanged(before: Committed, after: Committed): Row[] {
  return [...before.values()].filter(({ id, version }) => after.get(id)?.version === version);
}

/** How many rows were written in between, at least; only rows that are long there get deleted, so none came and went. */
function changes(before: Committed, after: Committed): number {
  const inserted = [...after.keys()].filter((id) => !before.has(id)).length;
  return before.size - unchanged(before, after).length + inserted;
}

/**
 * All of this rests on versions that only grow.
 *
 * @throws Error if one did not
 */
export function checkVersions(before: Committed, after: Committed): void {
  for (const old of before.values()) {
    const row = after.get(old.id);
    if (row === undefined || row.version > old.version || isDeepStrictEqual(row, old)) continue;
    throw new Error(`A write went back in versions: ${JSON.stringify(old)} became ${JSON.stringify(row)}.`);
  }
}

function firstOf<Item>(items: readonly Item[], check: (item: Item) => string | undefined): string | undefined {
  for (const item of items) {
    const problem = check(item);
    if (problem !== undefined) return problem;
  }
  return undefined;
}
