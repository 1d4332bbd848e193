import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { fullCache, type Kind } from "../cases/full-cache";
import { NAMES } from "../cases/names";
import { ownCache } from "../cases/peers";
import { decode, keysOfHits, mgetDecoded } from "../cases/raw-hits";
import { ROW } from "../cases/reading";
import { median } from "../measure";
import { grouped } from "../report/text";
import { inPlaces, type Section } from "./section";

/** Bytes that the hits of one sample may leave behind: they must fit into the young generation, or it is collected meanwhile. */
const ROOM = 2_000_000;

type Read = (turn: number) => Promise<unknown>;

/**
 * What one hit leaves for the garbage collector: the heap is collected, its size taken, hits made one after the other, and the size taken
 * again. A sample in which a collection came in between is too low, which the median over many passes over. Bytes outside of the
 * heap, such as those that come in from the socket, are not counted. The entity by hand is measured in the same way, but the heap
 * is collected before the second look too, so that only what is kept counts.
 */
export const allocation: Section = {
  name: "allocation per hit",
  run: (context) =>
    inPlaces(context, async (places) => {
      // Collections can be asked for only with this flag, which need not be on the command line.
      setFlagsFromString("--expose-gc");
      const collect = runInNewContext("gc") as () => void;
      const redis = await fullCache(places, "redis", ROW);
      const keys = await keysOfHits(redis, ROW);
      const client = places.client();
      const entries = await client.mget(keys.map(([entry]) => entry!));
      const size = sizeOfEntity(entries as string[], collect);
      const hits = async (kind: Kind) => (await fullCache(places, kind, ROW)).read;
      const reads: readonly (readonly [string, Read])[] = [
        [NAMES.mgetDecoded, await mgetDecoded(client, keys, redis)],
        [NAMES.redisHit, redis.read],
        [NAMES.verifyHit, await hits("verify")],
        [NAMES.trustHit, await hits("trust")],
        [NAMES.memoryHit, await hits("memory")],
        [NAMES.ownCache, await ownCache(places, ROW)],
      ];
      const found = new Map<string, number>();
      for (const [name, read] of reads) found.set(name, await allocatedBy(read, collect, context.quick ? 15 : 30));
      return {
        title: "allocation per hit, a row of 200 B",
        columns: ["", "bytes", "/ entity"],
        rows: [
          ["an entity made by hand, kept", grouped(size), "1.00"],
          ...Array.from(found, ([name, bytes]) => [name, grouped(bytes), (bytes / size).toFixed(2)]),
        ],
        figures: {
          "allocation, RedisStore": found.get(NAMES.redisHit)! / size,
          "allocation, near trust": found.get(NAMES.trustHit)! / size,
        },
      };
    }),
};

function sizeOfEntity(entries: readonly string[], collect: () => void): number {
  const sizes = Array.from({ length: 5 }, () => {
    const kept: unknown[] = new Array(entries.length).fill(null);
    collect();
    const before = process.memoryUsage().heapUsed;
    for (const [at, entry] of entries.entries()) kept[at] = decode(entry)[0];
    collect();
    const bytes = (process.memoryUsage().heapUsed - before) / kept.length;
    // Used after the second look, so that it is there until then.
    return kept[0] === null ? NaN : bytes;
  });
  return median(sizes);
}

async function allocatedBy(read: Read, collect: () => void, samples: number): Promise<number> {
  // Code that is not optimised yet allocates more.
  for (let turn = 0; turn < 20_000; turn += 1) await read(turn);
  const samplesOf = async (hits: number, count: number) => {
    const bytes: number[] = [];
    for (let sample = 0; sample < count; sample += 1) {
      collect();
      const before = process.memoryUsage().heapUsed;
      for (let turn = 0; turn < hits; turn += 1) await read(turn);
      bytes.push((process.memoryUsage().heapUsed - before) / hits);
    }
    return median(bytes);
  };
  // After a collection the first hits allocate more, so there should be many.
  const rough = await samplesOf(20, 5);
  return samplesOf(Math.min(1000, Math.floor(ROOM / rough)), samples);
}
