import { BasicTracerProvider } from "@opentelemetry/sdk-trace-base";
import { Registry } from "prom-client";
import { attachCache, MemoryStore, type CacheOptions } from "typeorm-coherent";
import { traceCaches } from "typeorm-coherent/opentelemetry";
import { collectCacheMetrics } from "typeorm-coherent/prometheus";
import { warm } from "../cases/full-cache";
import { median } from "../measure";
import type { Places } from "../places";
import { MIDDLING, Product } from "../product";
import { inPlaces, type Section } from "./section";

/** Hits of one sample. */
const HITS = 2000;
const ROWS = 200;
const PLAIN: CacheOptions = { entities: { Product: { ttl: "1h" } } };

/** What a hit costs while nobody listens, while metrics are collected, and while spans are made (and thrown away). */
export const telemetry: Section = {
  name: "telemetry",
  run: (context) =>
    inPlaces(context, async (places) => ({
      title: "telemetry, a hit on a row of 200 B",
      columns: ["", "nobody listens", "prom-client", "OpenTelemetry"],
      rows: [
        await rowOf(places, "a trusted copy", context.rounds, {
          store: places.redisStore(),
          entities: { Product: { ttl: "1h", near: { mode: "trust" } } },
        }),
        await rowOf(places, "MemoryStore", context.rounds, { store: new MemoryStore(), ...PLAIN }),
        await rowOf(places, "Redis", context.rounds, { store: places.redisStore(), ...PLAIN }),
      ],
      note: "CPU time of this process. Spans are recorded and not exported, which costs the exporter's time more.",
    })),
};

async function rowOf(places: Places, name: string, rounds: number, options: CacheOptions): Promise<string[]> {
  const dataSource = await places.open("sqlite", { ...MIDDLING, rows: ROWS });
  const namespace = `telemetry ${name}`;
  const cache = await attachCache(dataSource, { namespace, storeTimeout: 900, ...options });
  places.onClose(() => cache.close());
  const products = cache.repository(Product);
  const read = (turn: number) => products.findOneByOrFail({ id: 1 + (turn % ROWS) });
  await warm(() => cache.stats().hits, read, ROWS);
  const listeners = [
    () => () => undefined,
    () => collectCacheMetrics(new Registry(), cache),
    () => traceCaches({ tracerProvider: new BasicTracerProvider() }),
  ];
  // In turn, so that what slows the machine for a while slows all three.
  const times = listeners.map((): number[] => []);
  for (let round = -2; round < rounds; round += 1) {
    for (const [at, listen] of listeners.entries()) {
      const stop = listen();
      const start = process.cpuUsage();
      for (let turn = 0; turn < HITS; turn += 1) await read(turn);
      const { user, system } = process.cpuUsage(start);
      stop();
      // The first rounds warm up.
      if (round >= 0) times[at]!.push((user + system) / HITS);
    }
  }
  return [name, ...times.map((samples) => `${median(samples).toFixed(1)} µs`)];
}
