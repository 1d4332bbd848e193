import { deepStrictEqual } from "node:assert";
import type Redis from "ioredis";
import { Product } from "../product";
import type { FullCache } from "./full-cache";
import { variantsOf, type Reading } from "./reading";

/** What hits ask Redis for: for each variant of a reading the keys of its MGET. */
export async function keysOfHits({ read, mgets }: FullCache, reading: Reading): Promise<string[][]> {
  const variants = variantsOf(reading);
  for (let attempt = 0; attempt < 5; attempt += 1) {
    const seen = await mgets.during(async () => {
      for (let at = 0; at < variants; at += 1) await read(at);
    });
    // On a busy machine a call of the store may come too late, and the read goes to the database.
    if (seen.length === variants) return seen;
  }
  throw new Error("A hit does not ask Redis exactly once.");
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
