import { warm } from "../cases/full-cache";
import { measure, median } from "../measure";
import type { Places } from "../places";
import { Product } from "../product";
import { grouped, micros } from "../report/text";
import { inPlaces, type Section } from "./section";

/** Rows that have the same value of the key that is counted by. */
const ROWS_OF_A_KEY = [1, 10, 50, 100, 101, 1000];

/**
 * Hits that depend on more and more rows. What is read is their number, so that the entry and what is done with it stay the same and only
 * the tags grow; more than a hundred rows become one tag.
 */
export const manyTags: Section = {
  name: "many tags",
  run: (context) =>
    inPlaces(context, async (places) => {
      const counts: Awaited<ReturnType<typeof countCase>>[] = [];
      for (const rows of ROWS_OF_A_KEY) counts.push(await countCase(places, rows));
      const { rounds, time } = context;
      const series = await measure(
        counts.map(({ name, run }) => ({ name, run })),
        { inFlight: [1, 64], rounds, time },
      );
      const of = (name: string, inFlight: number, figure: "p50" | "p99" | "throughput") =>
        median(
          series.find((one) => one.name === name && one.inFlight === inFlight)!.samples.map((sample) => sample[figure]),
        );
      return {
        title: "many tags: countBy of a key with so many rows, RedisStore",
        columns: ["", "tags of the entry", "1 in flight: p50", "p99", "64 in flight: p50", "ops/s"],
        rows: counts.map(({ name, tags }) => [
          name,
          String(tags()),
          micros(of(name, 1, "p50")),
          micros(of(name, 1, "p99")),
          micros(of(name, 64, "p50")),
          grouped(of(name, 64, "throughput")),
        ]),
      };
    }),
};

async function countCase(places: Places, perCategory: number) {
  const shape = { rows: 1000, text: 20, perCategory };
  const categories = shape.rows / perCategory < 2 ? 1 : Math.floor(shape.rows / perCategory);
  const cache = await places.attach(await places.open("sqlite", shape), {
    store: places.redisStore(),
    namespace: `bench-tags-${perCategory}`,
  });
  let tags = 0;
  cache.on("fill", (event) => (tags = event.tags.length));
  const products = cache.repository(Product);
  const run = (turn: number) => products.countBy({ categoryId: turn % categories });
  await warm(() => cache.stats().hits, run, categories);
  return { name: `${grouped(perCategory)} ${perCategory === 1 ? "row" : "rows"}`, run, tags: () => tags };
}
