import { In, type Repository } from "typeorm";
import type { Committed, Row } from "./committed";
import { CATEGORIES, HOT_ROWS, type Item } from "./entities";
import { below, pick, pickWeighted } from "./random";

/** A read through a repository, and which rows it means. */
export interface Lookup {
  /** Tells it from all others of the same entity. */
  readonly name: string;
  /**
   * rows: all that match; count: how many match; top: the two of the highest version among those that match.
   */
  readonly kind: "rows" | "count" | "top";
  matches(row: Row): boolean;
  load(repository: Repository<Item>): Promise<Item[] | number>;
}

export const byId = (id: number): Lookup => ({
  name: `id ${id}`,
  kind: "rows",
  matches: (row) => row.id === id,
  load: async (repository) => list(await repository.findOneBy({ id })),
});

export const bySku = (sku: string): Lookup => ({
  name: `sku ${sku}`,
  kind: "rows",
  matches: (row) => row.sku === sku,
  load: async (repository) => list(await repository.findOneBy({ sku })),
});

export const byIds = (ids: readonly number[]): Lookup => ({
  name: `ids ${ids.join(",")}`,
  kind: "rows",
  matches: (row) => ids.includes(row.id),
  load: (repository) => repository.findBy({ id: In([...ids]) }),
});

export const byCategory = (category: number): Lookup => ({
  name: `category ${category}`,
  kind: "rows",
  matches: (row) => row.category === category,
  load: (repository) => repository.findBy({ category }),
});

export const topOf = (category: number): Lookup => ({
  name: `top of category ${category}`,
  kind: "top",
  matches: (row) => row.category === category,
  load: (repository) => repository.find({ where: { category }, order: { version: "DESC", id: "ASC" }, take: 2 }),
});

export const countOf = (category: number): Lookup => ({
  name: `count of category ${category}`,
  kind: "count",
  matches: (row) => row.category === category,
  load: (repository) => repository.countBy({ category }),
});

export const existsSku = (sku: string): Lookup => ({
  name: `exists sku ${sku}`,
  kind: "count",
  matches: (row) => row.sku === sku,
  load: async (repository) => Number(await repository.existsBy({ sku })),
});

/** Some read. Rows that come and go are looked for as well, also just before they come. */
export function randomLookup(committed: Committed): Lookup {
  const rows = [...committed.values()];
  const some = () => (Math.random() < 0.7 || rows.length === 0 ? below(HOT_ROWS) + 1 : pick(rows).id);
  const sku = () => {
    const [series = "", number] =
      Math.random() < 0.6 || rows.length === 0 ? [`h${below(HOT_ROWS) + 1}`] : pick(rows).sku.split("-");
    return number === undefined ? series : `${series}-${Number(number) + below(2)}`;
  };
  return pickWeighted<() => Lookup>([
    [4, () => byId(some())],
    [4, () => bySku(sku())],
    [3, () => byCategory(pick(CATEGORIES))],
    [2, () => byIds([...new Set([some(), some(), some()])])],
    [1, () => countOf(pick(CATEGORIES))],
    [1, () => existsSku(sku())],
    [1, () => topOf(pick(CATEGORIES))],
  ])();
}

function list(found: Item | null): Item[] {
  return found === null ? [] : [found];
}
