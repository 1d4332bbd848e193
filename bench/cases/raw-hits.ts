import { deepStrictEqual } from "node:assert";
import type Redis from "ioredis";
import { until } from "../../test/support/redis-server";
import type { Places } from "../places";
import { Product } from "../product";
import type { FullCache } from "./full-cache";
import { variantsOf, type Reading } from "./reading";

/** What hits ask Redis for, known from Redis itself: for each variant of a reading the keys of its MGET. */
export async function keysOfHits(places: Places, full: FullCache, reading: Reading): Promise<string[][]> {
  for (let attempt = 0; attempt < 5; attempt += 1) {
    const seen = await watchHits(places, full, variantsOf(reading));
    // While other caches are filled, a call of the store may come too late, and the read goes to the database.
    if (seen.length === variantsOf(reading)) return seen;
  }
  throw new Error("A hit does not ask Redis exactly once.");
}

async function watchHits(places: Places, full: FullCache, variants: number): Promise<string[][]> {
  const seen: string[][] = [];
  const monitor = await places.client().monitor();
  places.onClose(() => monitor.disconnect());
  monitor.on("monitor", (_time: string, [command = "", ...keys]: string[]) => {
    if (command.toLowerCase() === "mget" && keys[0]?.startsWith(`${full.namespace}:`) === true) seen.push(keys);
  });
  for (let at = 0; at < variants; at += 1) await full.read(at);
  await until(() => seen.length >= variants, 3000).catch(() => undefined);
  monitor.disconnect();
  return seen;
}

/** What a hit asks for, and nothing done with it. */
export function mget(client: Redis, keys: readonly string[][]): (turn: number) => Promise<unknown> {
  return (turn) => client.mget(keys[turn % keys.length]!);
}

/** What a hit asks for, and the least that must be done with it: entities of the class, with their dates and booleans. */
export async function mgetDecoded(
  client: Redis,
  keys: readonly string[][],
  full: FullCache,
): Promise<(turn: number) => Promise<readonly Product[]>> {
  const read = async (turn: number) => {
    const [entry] = await client.mget(keys[turn % keys.length]!);
    return decode(entry!);
  };
  // Else something that is less work would be compared.
  deepStrictEqual(await read(0), await full.read(0));
  return read;
}

/** The products in an entry, by someone who knows what the rows look like. */
export function decode(entry: string): Product[] {
  let payload = 0;
  for (let line = 0; line < 4; line += 1) payload = entry.indexOf("\n", payload) + 1;
  const rows = JSON.parse(entry.slice(payload)) as Row[];
  return rows.map((row) => {
    const product = new Product();
    product.id = row[0];
    product.sku = row[1];
    product.name = row[2];
    product.description = row[3];
    product.categoryId = row[4];
    product.priceInCents = row[5];
    product.stock = row[6];
    product.active = row[7] === 1;
    product.createdAt = new Date(row[8][1]);
    return product;
  });
}

type Row = [number, string, string, string, number, number, number, 0 | 1, ["d", number]];
