import type { Repository } from "typeorm";
import { MemoryStore } from "typeorm-coherent";
import { endScopes, inScope } from "../../src/read/read-scope";
import { warm } from "../cases/full-cache";
import { reader, ROW } from "../cases/reading";
import { measure, median, type BenchCase, type Series } from "../measure";
import type { Places } from "../places";
import { Product, ROWS } from "../product";
import { micros } from "../report/text";
import { inPlaces, type Section, type SectionContext } from "./section";

const PLAIN = "findOneBy, no cache anywhere";
const SCOPED = "findOneBy without a cache, scopes in use";

/**
 * What it takes to be served unasked: hits of a repository of the cache, of TypeORM's own repositories, and of a query builder, whose
 * statement is built and read before it is looked up. Statements find what their caller wants by a scope (AsyncLocalStorage), which up to Node 22
 * costs every promise of the process a little once it is in use: the first two rows show how much.
 */
export const transparent: Section = {
  name: "transparent",
  run: (context) =>
    inPlaces(context, async (places) => {
      const series = [...(await scopes(places, context)), ...(await hits(places, context))];
      const of = (name: string, figure: "p50" | "p99") =>
        median(series.find((one) => one.name === name)!.samples.map((sample) => sample[figure]));
      return {
        title: "transparent: a row of 200 B by its id, SQLite in memory, MemoryStore",
        columns: ["", "1 in flight: p50", "p99", "/ no cache"],
        rows: series.map(({ name }) => [
          name,
          micros(of(name, "p50")),
          micros(of(name, "p99")),
          (of(name, "p50") / of(PLAIN, "p50")).toFixed(2),
        ]),
      };
    }),
};

/** Before anything is attached, so that nothing else puts a scope to use. */
async function scopes(places: Places, { rounds, time }: SectionContext): Promise<Series[]> {
  const read = reader((await places.open("sqlite", ROW.shape)).getRepository(Product), ROW);
  const cases: BenchCase[] = [
    { name: PLAIN, run: read },
    { name: SCOPED, run: read },
  ];
  const samples = new Map(cases.map(({ name }) => [name, [] as Series["samples"]]));
  for (let round = 0; round < rounds; round += 1) {
    for (const one of round % 2 === 0 ? cases : cases.toReversed()) {
      if (one.name === PLAIN) endScopes();
      else inScope({}, () => undefined);
      const [series] = await measure([one], { inFlight: [1], rounds: 1, time });
      samples.get(one.name)!.push(...series!.samples);
    }
  }
  endScopes();
  return cases.map(({ name }) => ({ group: "", name, inFlight: 1, samples: samples.get(name)! }));
}

async function hits(places: Places, { rounds, time }: SectionContext): Promise<Series[]> {
  const dataSource = await places.open("sqlite", ROW.shape);
  const cache = await places.attach(dataSource, { store: new MemoryStore(), namespace: "unasked", transparent: true });
  const cases: BenchCase[] = [
    { name: "hit, a repository of the cache", run: reader(cache.repository(Product), ROW) },
    { name: "hit, TypeORM's repository", run: reader(dataSource.getRepository(Product), ROW) },
    { name: "hit, TypeORM's query builder", run: byQueryBuilder(dataSource.getRepository(Product)) },
  ];
  for (const one of cases)
    await warm(
      () => cache.stats().hits,
      (turn) => one.run(turn),
      ROWS,
    );
  const before = cache.stats();
  places.onCheck(() => {
    const { hits, fills } = cache.stats();
    return hits === before.hits || fills > before.fills ? "transparent: reads were no hits." : undefined;
  });
  return measure(cases, { inFlight: [1], rounds, time });
}

function byQueryBuilder(products: Repository<Product>): BenchCase["run"] {
  return async (turn) => {
    const query = products.createQueryBuilder("product").where("product.id = :id", { id: (turn % ROWS) + 1 });
    if ((await query.getOne()) === null) throw new Error("A row was not found.");
  };
}
