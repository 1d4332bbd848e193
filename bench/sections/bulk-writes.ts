import type { DataSource, Repository } from "typeorm";
import { reader, ROW } from "../cases/reading";
import { warm } from "../cases/full-cache";
import { median } from "../measure";
import type { Places } from "../places";
import { MIDDLING, Product, ROWS } from "../product";
import { grouped, micros } from "../report/text";
import { inPlaces, type Section } from "./section";

const SIZES = [1, 10, 100, 1000, 10_000];

/** Transactions that save more and more rows: time per row, with and without the cache. */
export const bulkWrites: Section = {
  name: "bulk writes",
  run: (context) =>
    inPlaces(context, async (places) => {
      const sizes = SIZES.filter((size) => !context.quick || size <= 1000);
      const shape = { ...MIDDLING, rows: sizes.at(-1)! };
      const database = places.has("postgres") ? "postgres" : "sqlite";
      const plain = await places.open(database, shape);
      const cached = await places.open(database, shape);
      await attachWarm(places, cached);
      const saves = await Promise.all([plain, cached].map((one) => saver(one.getRepository(Product))));
      const times = sizes.map(() => saves.map(() => [] as number[]));
      for (let round = -1; round < (context.quick ? 1 : 3); round += 1) {
        for (const [at, size] of sizes.entries()) {
          for (const [which, save] of saves.entries()) {
            // Few rows say little once.
            const turns = Math.max(1, Math.round(50 / size));
            const start = performance.now();
            for (let turn = 0; turn < turns; turn += 1) await save(size);
            // The first round warms up.
            if (round >= 0) times[at]![which]!.push((1000 * (performance.now() - start)) / turns / size);
          }
        }
      }
      return {
        title: `bulk writes: one save() of so many changed rows, ${database === "postgres" ? "PostgreSQL" : "SQLite"}, per row`,
        columns: ["", "plain", "with the cache", "ratio"],
        rows: sizes.map((size, at) => {
          const [without = NaN, withCache = NaN] = times[at]!.map(median);
          return [
            `${grouped(size)} ${size === 1 ? "row" : "rows"}`,
            micros(without),
            micros(withCache),
            (withCache / without).toFixed(2),
          ];
        }),
      };
    }),
};

async function attachWarm(places: Places, dataSource: DataSource): Promise<void> {
  const cache = await places.attach(dataSource, { store: places.redisStore(), namespace: "bench-bulk" });
  await warm(() => cache.stats().hits, reader(cache.repository(Product), ROW), ROWS);
}

async function saver(products: Repository<Product>): Promise<(size: number) => Promise<unknown>> {
  const all = await products.find({ order: { id: "ASC" } });
  let stock = 1000;
  return (size) => {
    const some = all.slice(0, size);
    stock += 1;
    for (const product of some) product.stock = stock;
    return products.save(some);
  };
}
