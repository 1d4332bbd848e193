import type { Places } from "../places";
import { Product } from "../product";
import { fullCache, type Kind } from "./full-cache";
import { once, type LazyCase } from "./lazy-case";
import { NAMES } from "./names";
import { bentocache, cacheDedupe, ownCache } from "./peers";
import { keysOfHits, mget, mgetDecoded } from "./raw-hits";
import { FEW_ROWS, LARGE_ROWS, LISTS, reader, ROW, type Reading } from "./reading";

/** Every contender on one row of 200 B, and the main ones on larger rows and on lists. */
export function readCases(places: Places): LazyCase[] {
  return [...all(places, ROW), ...[...LARGE_ROWS, ...LISTS].flatMap((reading) => main(places, reading, [1, 64]))];
}

function main(places: Places, reading: Reading, inFlight: readonly number[]): LazyCase[] {
  const { group } = reading;
  const pipelined = once(async () => places.client({ enableAutoPipelining: true }));
  const redis = once(() => fullCache(places, "redis", reading));
  const keys = once(async () => keysOfHits(await redis(), reading));
  const hits = (kind: Kind) => async () => (await fullCache(places, kind, reading)).read;
  const one = (name: string, open: LazyCase["open"]): LazyCase => ({ group, name, inFlight, open });
  return [
    one(NAMES.mget, async () => mget(places.client(), await keys())),
    one(NAMES.mgetDecoded, async () => mgetDecoded(places.client(), await keys(), await redis())),
    one(NAMES.pipelinedMget, async () => mget(await pipelined(), await keys())),
    one(NAMES.pipelinedMgetDecoded, async () => mgetDecoded(await pipelined(), await keys(), await redis())),
    // After what the raw cases have looked at, so that nothing is read meanwhile.
    one(NAMES.redisHit, async () => {
      await keys();
      return (await redis()).read;
    }),
    one(NAMES.memoryHit, hits("memory")),
    one(NAMES.ownCache, () => ownCache(places, reading)),
  ];
}

function all(places: Places, reading: Reading): LazyCase[] {
  const { group } = reading;
  const inFlight = [1, 64, 512];
  const one = (name: string, open: LazyCase["open"]): LazyCase => ({ group, name, inFlight, open });
  const plain = once(async () => (await places.open("sqlite", reading.shape)).getRepository(Product));
  const verify = once(() => fullCache(places, "verify", reading));
  const finds = (["sqlite", "postgres", "mariadb"] as const).filter((name) => places.has(name));
  return [
    { ...one(NAMES.nothing, async () => async () => undefined), inFlight: [1] },
    one(NAMES.ping, async () => {
      const client = places.client();
      return () => client.ping();
    }),
    one(NAMES.get, () => get(places, false)),
    one(NAMES.pipelinedGet, () => get(places, true)),
    ...main(places, reading, inFlight),
    one(NAMES.mgetOfTags, async () => mget(places.client(), await keysOfHits(await verify(), reading))),
    one(NAMES.verifyHit, async () => (await verify()).read),
    one(NAMES.trustHit, async () => (await fullCache(places, "trust", reading)).read),
    one(NAMES.trustHitOfFew, async () => (await fullCache(places, "trust", FEW_ROWS)).read),
    one(NAMES.bentocache, async () => bentocache(places, await plain(), reading)),
    one(NAMES.cacheDedupe, async () => cacheDedupe(places, await plain(), reading)),
    ...finds.map((name) =>
      one(NAMES[name], async () =>
        reader(
          name === "sqlite" ? await plain() : (await places.open(name, reading.shape)).getRepository(Product),
          reading,
        ),
      ),
    ),
  ];
}

/** What one would write by hand without wanting it right: the row as JSON under its id. */
async function get(places: Places, enableAutoPipelining: boolean): Promise<(turn: number) => Promise<unknown>> {
  const client = places.client({ enableAutoPipelining });
  const { rows } = ROW.shape;
  const source = await places.open("sqlite", ROW.shape);
  for (const row of await source.getRepository(Product).find()) await client.set(`row:${row.id}`, JSON.stringify(row));
  return async (turn) => JSON.parse((await client.get(`row:${(turn % rows) + 1}`)) ?? "null") as unknown;
}
