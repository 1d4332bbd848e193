import { FindOptionsUtils, type EntityMetadata, type FindManyOptions, type ObjectLiteral } from "typeorm";

/** Options that change nothing in what an entry holds, or that cacheable-query.ts looks at. */
const KNOWN = new Set(["where", "order", "skip", "take", "cache", "comment", "withDeleted", "loadEagerRelations"]);
/** Options of which an empty object says nothing; of the others even that may say something, as with loadRelationIds. */
const MAY_BE_EMPTY = new Set(["relations", "select"]);
/** TypeORM 1 takes no list of relations or columns, not even an empty one. */
const REFUSES_LISTS = "rejectStringArrayRelations" in FindOptionsUtils;

/** Whether some option changes the result in a way that no entry expresses. */
export function asksForMore(options: FindManyOptions<ObjectLiteral>): boolean {
  return entriesOf(options).some(([name, value]) => {
    if (KNOWN.has(name) || value === undefined || value === false) return false;
    return !MAY_BE_EMPTY.has(name) || !isNothing(value) || (REFUSES_LISTS && Array.isArray(value));
  });
}

const DIRECTION: ReadonlyMap<unknown, string> = new Map<unknown, string>([
  ...(["ASC", "asc", 1] as const).map((direction) => [direction, "asc"] as const),
  ...(["DESC", "desc", -1] as const).map((direction) => [direction, "desc"] as const),
]);
const NULLS: ReadonlyMap<unknown, string> = new Map<unknown, string>([
  [undefined, ""],
  ...["FIRST", "first"].map((nulls) => [nulls, " nulls first"] as const),
  ...["LAST", "last"].map((nulls) => [nulls, " nulls last"] as const),
]);

/** The order in its canonical form, or undefined if it names more than columns of the entity. */
export function orderOf(metadata: EntityMetadata, order: unknown): string | undefined {
  const parts: string[] = [];
  for (const [path, wanted] of entriesOf(order)) {
    if (wanted === undefined) continue;
    const column = metadata.findColumnWithPropertyPathStrict(path);
    if (column === undefined || metadata.findRelationWithPropertyPath(path) !== undefined) return undefined;
    const { direction, nulls } = isPlain(wanted) ? wanted : { direction: wanted, nulls: undefined };
    const [directionText, nullsText] = [DIRECTION.get(direction), NULLS.get(nulls)];
    if (directionText === undefined || nullsText === undefined) return undefined;
    parts.push(`${JSON.stringify(path)} ${directionText}${nullsText}`);
  }
  return parts.length === 0 ? "" : ` order ${parts.join(", ")}`;
}

/** Whether the call or the entity asks for an order. */
export function isOrdered(metadata: EntityMetadata, order: unknown): boolean {
  return entriesOf(order).some(([, wanted]) => wanted !== undefined) || Object.keys(metadata.orderBy ?? {}).length > 0;
}

function isPlain(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

/** An option that says nothing, as TypeORM sees it where an empty object is one. */
export function isNothing(value: unknown): boolean {
  if (value === undefined || value === null || value === false) return true;
  return typeof value === "object" && entriesOf(value).length === 0;
}

/** What `for … in` goes through, inherited properties included, because TypeORM reads where and order so. */
export function entriesOf(object: unknown): [string, unknown][] {
  const entries: [string, unknown][] = [];
  if (typeof object !== "object" || object === null) return entries;
  for (const name in object) entries.push([name, (object as Record<string, unknown>)[name]]);
  return entries;
}

/** `cache: 5000` and `cache: { id, milliseconds: 5000 }`; the id is of no use here, an entry has a key already. */
export function ttlIn(cache: unknown): number | undefined {
  const milliseconds: unknown = isPlain(cache) ? cache["milliseconds"] : cache;
  return typeof milliseconds === "number" && milliseconds > 0 && Number.isFinite(milliseconds)
    ? milliseconds
    : undefined;
}
