import { type RedisStore } from "typeorm-coherent";
import { warm } from "../cases/full-cache";
import { median } from "../measure";
import { MIDDLING, Product } from "../product";
import type { Places } from "../places";
import { inPlaces, type Section } from "./section";

/** Hits of one sample. */
const HITS = 200;
const RATE = 1 / 1000;
/** Share of a hit that checks may add on average. */
const BUDGET = 0.01;

/**
 * What `consistencyCheck` adds to a hit on average: a check takes two looks at Redis and a load, and one hit in a thousand has one. Both are
 * measured one after the other, at a rate of 1: a hit alone, and a hit until its check is over.
 */
export const consistency: Section = {
  name: "consistency check",
  run: (context) =>
    inPlaces(context, async (places) => ({
      title: "consistency check, a row of 200 B in Redis",
      columns: ["", "a hit", "a check more", "rate * check / hit, at 1/1000", "at most 1 %"],
      rows: [await rowOf(places, "sqlite", context.rounds), await rowOf(places, "postgres", context.rounds)].flatMap(
        (row) => row ?? [],
      ),
      note: "CPU time of this process: while a check waits for Redis and the database, it does something else.",
    })),
};

async function rowOf(places: Places, name: "sqlite" | "postgres", rounds: number): Promise<string[][] | undefined> {
  if (!places.has(name)) return undefined;
  const dataSource = await places.open(name, { ...MIDDLING, rows: HITS });
  const store = (): RedisStore => places.redisStore();
  const plain = await places.attach(dataSource, { store: store(), namespace: `meter-${name}` });
  const products = plain.repository(Product);
  const read = (turn: number) => products.findOneByOrFail({ id: 1 + (turn % HITS) });
  await warm(() => plain.stats().hits, read, HITS);
  const alone = await timesOf(rounds, read);
  await plain.close();

  const metered = await places.attach(dataSource, {
    ...{ store: store(), namespace: `meter-${name}`, consistencyCheck: { sampleRate: 1 } },
  });
  places.onClose(() => metered.close());
  const checkedProducts = metered.repository(Product);
  let over = (): void => undefined;
  metered.on("checked", () => over());
  await warm(
    () => metered.stats().hits,
    (turn) => checkedProducts.findOneByOrFail({ id: 1 + (turn % HITS) }),
    HITS,
  );
  const both = await timesOf(rounds, async (turn) => {
    const checked = new Promise<void>((resolve) => (over = resolve));
    await checkedProducts.findOneByOrFail({ id: 1 + (turn % HITS) });
    await checked;
  });
  const { mismatches, checked } = metered.stats().consistency;
  if (mismatches > 0 || checked < HITS) throw new Error(`${mismatches} of ${checked} checks found something else.`);
  const check = both - alone;
  const share = (RATE * check) / alone;
  const verdict = share <= BUDGET ? "met" : "MISSED";
  return [[name, `${alone.toFixed(1)} µs`, `${check.toFixed(1)} µs`, `${(100 * share).toFixed(2)} %`, verdict]];
}

/** Microseconds of CPU time of one call, the median over the rounds. */
async function timesOf(rounds: number, work: (turn: number) => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  for (let round = -2; round < rounds; round += 1) {
    const start = process.cpuUsage();
    for (let turn = 0; turn < HITS; turn += 1) await work(turn);
    // The first rounds warm up.
    if (round >= 0) {
      const { user, system } = process.cpuUsage(start);
      times.push((user + system) / HITS);
    }
  }
  return median(times);
}
