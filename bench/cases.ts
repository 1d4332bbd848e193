import Redis from "ioredis";
import { DataSource, type DataSourceOptions, type Repository } from "typeorm";
import { attachCache, MemoryStore, RedisStore, type CoherentCache, type Store, type Strategy } from "typeorm-coherent";
import type { BenchCase } from "./measure";
import { newProducts, Product, ROWS } from "./product";

/** What the cases run against; everything that they open is closed by `close`. */
export interface BenchPlaces {
  readonly redisUrl: string;
  /** Each is an empty database of its own. */
  readonly sqlite: () => Promise<DataSourceOptions>;
  readonly postgres: (() => Promise<DataSourceOptions>) | undefined;
}

/** Names that the aims refer to. */
export const NAMES = {
  get: "raw GET + JSON.parse",
  mget: "raw MGET of the 3 keys of a hit",
  pipelinedGet: "raw GET + JSON.parse, auto-pipelining",
  pipelinedMget: "raw MGET of the 3 keys, auto-pipelining",
  redisHit: "hit, RedisStore",
  memoryHit: "hit, MemoryStore",
  typeormCache: "TypeORM's own ioredis cache",
  sqliteFind: "findOneBy, SQLite",
  postgresFind: "findOneBy, PostgreSQL",
  save: "save, PostgreSQL, plain",
  saveInvalidate: "save, PostgreSQL, invalidate",
  saveWriteThrough: "save, PostgreSQL, write-through",
} as const;

/** What was opened, in the order in which it was. */
type Opened = (() => Promise<unknown>)[];

/** Runs `work` with all cases, ready to run, with full caches. */
export async function withCases(places: BenchPlaces, work: (cases: BenchCase[]) => Promise<void>): Promise<void> {
  const opened: Opened = [];
  try {
    const cases = await readCases(places, opened);
    if (places.postgres !== undefined) cases.push(...(await postgresCases(places.postgres, places.redisUrl, opened)));
    await work(cases);
  } finally {
    for (const close of opened.reverse()) await close();
  }
}

async function readCases({ sqlite, redisUrl }: BenchPlaces, opened: Opened): Promise<BenchCase[]> {
  const redis = new Redis(redisUrl);
  const pipelined = new Redis(redisUrl, { enableAutoPipelining: true });
  opened.push(
    () => redis.quit(),
    () => pipelined.quit(),
  );
  const plain = await open(await sqlite(), opened);
  const { hostname: host, port } = new URL(redisUrl);
  const options = { host, port: Number(port), db: 1, enableAutoPipelining: true };
  const ownCache = { type: "ioredis", options, duration: 3_600_000 } as const;
  const redisHit = await hitCase(NAMES.redisHit, await open(await sqlite(), opened), redisStore(redisUrl));
  return [
    ...(await rawCases(redis, pipelined, plain)),
    redisHit,
    await hitCase(NAMES.memoryHit, await open(await sqlite(), opened), new MemoryStore()),
    await ownCacheCase(await open({ ...(await sqlite()), cache: ownCache }, opened)),
    findCase(NAMES.sqliteFind, plain),
  ];
}

async function postgresCases(
  postgres: () => Promise<DataSourceOptions>,
  redisUrl: string,
  opened: Opened,
): Promise<BenchCase[]> {
  const plain = await open(await postgres(), opened);
  const cases = [findCase(NAMES.postgresFind, plain), await saveCase(NAMES.save, plain)];
  for (const strategy of ["invalidate", "write-through"] as const) {
    const dataSource = await open(await postgres(), opened);
    await attachFull(dataSource, redisStore(redisUrl), strategy);
    cases.push(await saveCase(strategy === "invalidate" ? NAMES.saveInvalidate : NAMES.saveWriteThrough, dataSource));
  }
  return cases;
}

async function open(options: DataSourceOptions, opened: Opened): Promise<DataSource> {
  const dataSource = new DataSource(options);
  await dataSource.initialize();
  opened.push(() => dataSource.destroy());
  await dataSource.createQueryBuilder().insert().into(Product).values(newProducts()).updateEntity(false).execute();
  return dataSource;
}

function redisStore(url: string): RedisStore {
  return new RedisStore(new Redis(url, { lazyConnect: true }));
}

const idOf = (turn: number) => (turn % ROWS) + 1;

/** The limit: the very keys that a hit asks for, and nothing done with what they hold. */
async function rawCases(redis: Redis, pipelined: Redis, source: DataSource): Promise<BenchCase[]> {
  for (const row of await source.getRepository(Product).find()) await redis.set(`row:${row.id}`, JSON.stringify(row));
  const entries = await redis.keys("*:{product}:e:*");
  const hits = entries.map((entry): [string, string, string] => {
    const [table, id] = [entry.slice(0, entry.indexOf("}") + 1), entry.slice(entry.lastIndexOf("id="))];
    return [entry, `${table}:t:`, `${table}:t:${id}`];
  });
  const [sample] = hits;
  if (hits.length !== ROWS || sample === undefined || (await redis.exists(...sample)) !== 3) {
    throw new Error("The keys of a hit look different from what the benchmark knows.");
  }
  const get = (name: string, client: Redis): BenchCase => ({
    name,
    run: async (turn) => JSON.parse((await client.get(`row:${idOf(turn)}`)) ?? "null") as unknown,
  });
  const mget = (name: string, client: Redis): BenchCase => ({ name, run: (turn) => client.mget(hits[turn % ROWS]!) });
  return [
    get(NAMES.get, redis),
    mget(NAMES.mget, redis),
    get(NAMES.pipelinedGet, pipelined),
    mget(NAMES.pipelinedMget, pipelined),
  ];
}

function findCase(name: string, dataSource: DataSource): BenchCase {
  const products = dataSource.getRepository(Product);
  return { name, run: (turn) => found(products.findOneBy({ id: idOf(turn) })) };
}

async function hitCase(name: string, dataSource: DataSource, store: Store): Promise<BenchCase> {
  const products: Repository<Product> = (await attachFull(dataSource, store, "invalidate")).repository(Product);
  return { name, run: (turn) => found(products.findOneBy({ id: idOf(turn) })) };
}

async function ownCacheCase(dataSource: DataSource): Promise<BenchCase> {
  const products = dataSource.getRepository(Product);
  const find = (id: number) => found(products.findOne({ where: { id }, cache: true }));
  for (let id = 1; id <= ROWS; id += 1) await find(id);
  return { name: NAMES.typeormCache, run: (turn) => find(idOf(turn)) };
}

/** Changes one column of a loaded entity. Rows in flight are never the same. */
async function saveCase(name: string, dataSource: DataSource): Promise<BenchCase> {
  const repository = dataSource.getRepository(Product);
  const products = await repository.find({ order: { id: "ASC" } });
  return {
    name,
    run(turn) {
      const product = products[turn % ROWS]!;
      product.stock = turn;
      return repository.save(product);
    },
  };
}

/** A cache that has every row: what is not in use costs nothing, neither to read nor to invalidate. */
async function attachFull(dataSource: DataSource, store: Store, strategy: Strategy): Promise<CoherentCache> {
  const cache = await attachCache(dataSource, {
    store,
    consistency: "strict",
    storeTimeout: 500,
    entities: { Product: { strategy, ttl: "1h" } },
  });
  const products = cache.repository(Product);
  // A new Redis store fills nothing during its first seconds.
  for (let hits = 0; hits < ROWS;) {
    const before = cache.stats().hits;
    for (let id = 1; id <= ROWS; id += 1) await products.findOneBy({ id });
    hits = cache.stats().hits - before;
  }
  return cache;
}

/** A read that finds nothing would be measured as a fast one. */
async function found(read: Promise<Product | null>): Promise<Product> {
  const product = await read;
  if (product === null) throw new Error("A row was not found.");
  return product;
}
