import type { Repository } from "typeorm";
import { MIDDLING, type Product, type Shape } from "../product";

/** Something that is read in several ways, which are compared. */
export interface Reading {
  /** Heads the cases in the report. */
  readonly group: string;
  readonly shape: Shape;
  /** One row by its primary key, or the rows of a category. */
  readonly by: "id" | "categoryId";
}

/** What all contenders read. */
export const ROW: Reading = { group: "a row of 200 B", shape: MIDDLING, by: "id" };

/** So few that all of it is in the caches of the processor. */
export const FEW_ROWS: Reading = { ...ROW, group: "one of 10 rows of 200 B", shape: { ...MIDDLING, rows: 10 } };

/** What the main ones read besides. */
export const LARGE_ROWS: readonly Reading[] = [
  { group: "a row of 2 KB", shape: { ...MIDDLING, text: 2000 }, by: "id" },
  { group: "a row of 50 KB", shape: { rows: 200, text: 50_000, perCategory: 50 }, by: "id" },
];

/** Lists of rows of 200 B, found by a declared key. */
export const LISTS: readonly Reading[] = [
  { group: "a list of 1 row", shape: { ...MIDDLING, perCategory: 1 }, by: "categoryId" },
  { group: "a list of 50 rows", shape: MIDDLING, by: "categoryId" },
  { group: "a list of 1,000 rows", shape: { rows: 4000, text: 200, perCategory: 1000 }, by: "categoryId" },
];

/** How many different reads there are. */
export function variantsOf({ shape, by }: Reading): number {
  return by === "id" ? shape.rows : shape.rows / shape.perCategory;
}

/**
 * Makes one read after the other; those in flight at once differ as far as there are so many.
 *
 * @param options of TypeORM's find methods, for its own cache
 */
export function reader(
  products: Repository<Product>,
  reading: Reading,
  options: { readonly cache?: boolean } = {},
): (turn: number) => Promise<readonly Product[]> {
  const variants = variantsOf(reading);
  const { perCategory } = reading.shape;
  if (reading.by === "id") {
    return async (turn) => {
      const where = { id: (turn % variants) + 1 };
      const product = await (options.cache === true
        ? products.findOne({ where, cache: true })
        : products.findOneBy(where));
      // A read that finds nothing would be measured as a fast one.
      if (product === null) throw new Error("A row was not found.");
      return [product];
    };
  }
  return async (turn) => {
    const where = { categoryId: turn % variants };
    const found = await (options.cache === true ? products.find({ where, cache: true }) : products.findBy(where));
    if (found.length !== perCategory) throw new Error("Rows were not found.");
    return found;
  };
}
