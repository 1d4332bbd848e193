import { MemoryStore, RedisStore, type CacheStats, type CoherentCache } from "typeorm-coherent";
import type { Places } from "../places";
import { Product } from "../product";
import { MgetRecorder } from "./mget-recorder";
import { reader, variantsOf, type Reading } from "./reading";

/** Where the hits come from. */
export type Kind = "redis" | "memory" | "verify" | "trust";

/** A cache that holds all that is read. */
export interface FullCache {
  readonly cache: CoherentCache;
  readonly namespace: string;
  /** What its store asks Redis for. */
  readonly mgets: MgetRecorder;
  readonly read: (turn: number) => Promise<readonly Product[]>;
}

/** Bytes that hold every shape that is measured. */
const ENOUGH = 256 * 1024 * 1024;

/** A cache on an SQLite database in memory, warm for a reading. */
export async function fullCache(places: Places, kind: Kind, reading: Reading): Promise<FullCache> {
  const dataSource = await places.open("sqlite", reading.shape);
  const near = kind === "verify" || kind === "trust" ? { mode: kind, max: 5000, maxBytes: ENOUGH, ttl: "1h" } : false;
  const namespace = `bench-${kind}-${reading.group.replace(/\W/g, "-")}`;
  const mgets = new MgetRecorder(places.redisUrl);
  const cache = await places.attach(dataSource, {
    store: kind === "memory" ? new MemoryStore({ maxBytes: ENOUGH }) : new RedisStore(mgets.source),
    namespace,
    defaults: { near },
  });
  const read = reader(cache.repository(Product), reading);
  const hitsOf = (stats: CacheStats) => (near === false ? stats.hits : stats.nearHits[near.mode]);
  await warm(() => hitsOf(cache.stats()), read, variantsOf(reading));
  const before = cache.stats();
  places.onCheck(() => {
    const stats = cache.stats();
    const [hits, near] = [stats.hits - before.hits, hitsOf(stats) - hitsOf(before)];
    const others = missesOf(stats) - missesOf(before) + stats.storeErrors - before.storeErrors;
    // Copies that are not trusted for a moment, on a machine that is too busy to answer a PING in time, are verified.
    if (others > 0 || near < 0.99 * hits) {
      return `${namespace}: ${others} reads were no hits, and ${hits - near} of ${hits} hits came from elsewhere.`;
    }
    return undefined;
  });
  return { cache, namespace, mgets, read };
}

/**
 * Reads everything until all of it are hits: a new Redis store fills nothing during its first seconds, and copies are trusted only once
 * the channel is heard.
 *
 * @param hits how many there have been, of the kind that is wanted
 */
export async function warm(hits: () => number, read: (at: number) => Promise<unknown>, count: number): Promise<void> {
  const end = performance.now() + 30_000;
  for (;;) {
    const before = hits();
    for (let at = 0; at < count; at += 1) await read(at);
    if (hits() - before === count) return;
    if (performance.now() > end) throw new Error("The cache does not get warm.");
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

const missesOf = ({ misses }: CacheStats) => Object.values(misses).reduce((sum, one) => sum + one, 0);
