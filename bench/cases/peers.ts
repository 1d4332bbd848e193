import { createCache } from "async-cache-dedupe";
import { BentoCache, bentostore } from "bentocache";
import { redisDriver } from "bentocache/drivers/redis";
import type { Repository } from "typeorm";
import type { Places } from "../places";
import { Product } from "../product";
import { reader, variantsOf, type Reading } from "./reading";

/** What others cache by hand is found by its id. */
type Found = (turn: number) => Promise<unknown>;

const HOUR = 3_600_000;

/** Redis has 16 databases; 0 is ours. TypeORM calls a result by its SQL, so that no two data sources may share one. */
let lastDatabase = 0;

/** TypeORM's own cache. It is kept for an hour, and nothing invalidates it. */
export async function ownCache(places: Places, reading: Reading): Promise<Found> {
  const { hostname: host, port } = new URL(places.redisUrl);
  const options = { host, port: Number(port), db: (lastDatabase += 1), enableAutoPipelining: true };
  const cache = { type: "ioredis", options, duration: HOUR };
  const dataSource = await places.open("sqlite", reading.shape, { cache });
  return filled(reader(dataSource.getRepository(Product), reading, { cache: true }), reading);
}

/** bentocache with Redis alone, as its docs put it around a query. */
export async function bentocache(places: Places, products: Repository<Product>, reading: Reading): Promise<Found> {
  const connection = places.client({ enableAutoPipelining: true });
  const store = bentostore().useL2Layer(redisDriver({ connection, prefix: "bento" }));
  const bento = new BentoCache({ default: "redis", stores: { redis: store } });
  const find = (id: number) =>
    bento.getOrSet({ key: `product:${id}`, ttl: "1h", factory: () => products.findOneBy({ id }) });
  return filled(async (turn) => existing(await find((turn % variantsOf(reading)) + 1)), reading);
}

/** async-cache-dedupe with Redis, as its docs put it around a query. */
export async function cacheDedupe(places: Places, products: Repository<Product>, reading: Reading): Promise<Found> {
  const client = places.client({ enableAutoPipelining: true });
  const cache = createCache({ ttl: HOUR / 1000, storage: { type: "redis", options: { client } } }).define(
    "product",
    (id: number) => products.findOneBy({ id }),
  );
  return filled(async (turn) => existing(await cache.product((turn % variantsOf(reading)) + 1)), reading);
}

/** Reads everything once, so that it is all there. */
async function filled(read: Found, reading: Reading): Promise<Found> {
  for (let at = 0; at < variantsOf(reading); at += 1) await read(at);
  return read;
}

function existing(found: unknown): unknown {
  if (found === null || found === undefined) throw new Error("A row was not found.");
  return found;
}
