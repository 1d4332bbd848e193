import { In, type DataSource, type Repository } from "typeorm";
import type { CoherentCache } from "typeorm-coherent";
import { warm } from "../cases/full-cache";
import { NAMES } from "../cases/names";
import { measure, median, type Series } from "../measure";
import { Product } from "../product";
import { grouped, micros } from "../report/text";
import { inPlaces, type Section } from "./section";

const STEPS = [1000, 10_000, 100_000, 1_000_000];
/** A longer list of ids would be cached as one result. */
const AT_ONCE = 500;

/** Hits while Redis holds more and more cached rows. A PING beside them tells what the machine does meanwhile. */
export const manyRows: Section = {
  name: "many rows",
  run: (context) =>
    inPlaces(context, async (places) => {
      const { rounds, time, quick, most } = context;
      const steps = STEPS.filter((step) => step <= (quick ? Math.min(most, 10_000) : most));
      const dataSource = await places.openEmpty("sqlite");
      await insertBySql(dataSource, steps.at(-1) ?? 0);
      const cache = await places.attach(dataSource, { store: places.redisStore(), namespace: "bench-rows" });
      const products = cache.repository(Product);
      await warm(
        () => cache.stats().hits,
        () => products.findOneBy({ id: 1 }),
        1,
      );
      const client = places.client();
      const rows: string[][] = [];
      let filled = 0;
      for (const step of steps) {
        await fill(cache, products, filled, step);
        filled = step;
        const read = async (turn: number) => {
          // Steps of a prime number: neighbours in time are none in the table.
          if ((await products.findOneBy({ id: ((turn * 7919) % step) + 1 })) === null) throw new Error("No row.");
        };
        const series = await measure(
          [
            { name: NAMES.redisHit, inFlight: [1, 64], run: read },
            { name: NAMES.ping, inFlight: [1], run: () => client.ping() },
          ],
          { inFlight: [1], rounds: Math.ceil(rounds / 3), time },
        );
        const of = (at: number, figure: "p50" | "p99" | "throughput") =>
          median((series[at] as Series).samples.map((sample) => sample[figure]));
        const [, used = "?"] = /used_memory_human:(\S+)/.exec(await client.info("memory")) ?? [];
        rows.push([
          `${grouped(step)} rows`,
          micros(of(0, "p50")),
          micros(of(0, "p99")),
          (of(0, "p50") / of(2, "p50")).toFixed(2),
          grouped(of(1, "throughput")),
          used,
        ]);
      }
      return {
        title: "many rows: hits while Redis holds so many",
        columns: ["", "1 in flight: p50", "p99", "p50 / PING", "64 in flight: ops/s", "Redis uses"],
        rows,
      };
    }),
};

/** Rows from one id to another come into the cache by lists of ids. */
async function fill(cache: CoherentCache, products: Repository<Product>, from: number, to: number): Promise<void> {
  const before = cache.stats();
  for (let at = from; at < to; at += AT_ONCE) {
    const count = Math.min(AT_ONCE, to - at);
    await products.findBy({ id: In(Array.from({ length: count }, (_, index) => at + index + 1)) });
  }
  const after = cache.stats();
  const known = after.fills - before.fills + after.hits - before.hits;
  if (known < to - from) throw new Error(`Only ${known} of ${to - from} rows came into the cache.`);
}

/** TypeORM's inserts would take minutes. */
async function insertBySql(dataSource: DataSource, rows: number): Promise<void> {
  await dataSource.query(
    `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${rows})
     INSERT INTO product (sku, name, description, categoryId, priceInCents, stock)
     SELECT 'SKU-' || i, 'Product number ' || i, printf('%.200c', 'x'), i / 50, i, 1 FROM n`,
  );
}
