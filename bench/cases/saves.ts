import type { DataSource } from "typeorm";
import type { Strategy } from "typeorm-coherent";
import type { Places } from "../places";
import { Product, ROWS } from "../product";
import type { LazyCase } from "./lazy-case";
import { warm } from "./full-cache";
import { NAMES, SAVES } from "./names";
import { reader, ROW } from "./reading";

/** Saves of one row on PostgreSQL, where there is one. */
export function saveCases(places: Places): LazyCase[] {
  if (!places.has("postgres")) return [];
  const one = (name: string, strategy?: Strategy): LazyCase => ({
    group: SAVES,
    name,
    inFlight: [1, 64],
    open: () => save(places, strategy),
  });
  return [one(NAMES.save), one(NAMES.saveInvalidate, "invalidate"), one(NAMES.saveWriteThrough, "write-through")];
}

async function save(places: Places, strategy: Strategy | undefined): Promise<(turn: number) => Promise<unknown>> {
  const dataSource = await places.open("postgres");
  if (strategy !== undefined) {
    const options = { store: places.redisStore(), namespace: `bench-${strategy}`, defaults: { strategy } };
    const cache = await places.attach(dataSource, options);
    // Of what is not in the cache nothing would have to be invalidated.
    await warm(() => cache.stats().hits, reader(cache.repository(Product), ROW), ROWS);
  }
  return saver(dataSource);
}

/** Changes one column of a loaded entity. Rows in flight are never the same. */
async function saver(dataSource: DataSource): Promise<(turn: number) => Promise<unknown>> {
  const repository = dataSource.getRepository(Product);
  const products = await repository.find({ order: { id: "ASC" } });
  return (turn) => {
    const product = products[turn % products.length]!;
    product.stock = turn;
    return repository.save(product);
  };
}
