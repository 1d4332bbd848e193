import Redis from "ioredis";
import type { DataSource, Repository } from "typeorm";
import { attachCache, RedisStore } from "typeorm-coherent";
import { CATEGORIES, type Item, type ItemClass } from "./entities";
import { byCategory, byId, bySku, countOf, existsSku, topOf, type Lookup } from "./lookups";
import type { Counts, Protocol } from "./messages";
import { WidenedStore, widenedWindow } from "./windows";

/** A cache under test. */
export interface Subject {
  /** What application code writes through. */
  repository(item: ItemClass): Repository<Item>;
  read(item: ItemClass, lookup: Lookup): Promise<Item[] | number>;
  /** Called when a transaction has been committed; a naive cache does all of its work here. */
  afterCommit(item: ItemClass, ids: readonly number[]): Promise<void>;
  /** Since the start. */
  counts(): Partial<Counts>;
  close(): Promise<void>;
}

export interface SubjectOptions {
  readonly dataSource: DataSource;
  readonly redisUrl: string;
  readonly lockTtl: number;
  readonly storeTimeout: number;
}

export function openSubject(protocol: Protocol, options: SubjectOptions): Promise<Subject> {
  return protocol === "coherent" ? coherent(options) : naive(protocol, options);
}

async function coherent({ dataSource, redisUrl, lockTtl, storeTimeout }: SubjectOptions): Promise<Subject> {
  const redis = new Redis(redisUrl, { lazyConnect: true });
  const cache = await attachCache(dataSource, {
    store: new WidenedStore(new RedisStore(redis)),
    consistency: "strict",
    lockTtl,
    storeTimeout,
    // Connections are cut on purpose, again and again.
    logger: { warn: () => undefined },
  });
  return {
    repository: (item) => cache.repository(item),
    read: (item, lookup) => lookup.load(cache.repository(item)),
    afterCommit: () => Promise.resolve(),
    counts() {
      const { hits, misses, fills, writeThroughs, unfilled, bypasses } = cache.stats();
      const bypassed = Object.values(bypasses).reduce((sum, one) => sum + one, 0);
      return { hits, fills, writeThroughs, bypasses: bypassed, locked: unfilled.locked, outdated: misses.stale };
    },
    close: () => cache.close(),
  };
}

/** Outlives any run: only what the protocol does takes an entry away. */
const TTL = 600_000;

/** Cache-aside as it is mostly written: look, else load and SET; after COMMIT delete the keys, or SET the new rows. */
async function naive(protocol: Protocol, { dataSource, redisUrl }: SubjectOptions): Promise<Subject> {
  const redis = new Redis(redisUrl);
  redis.on("error", () => undefined);
  let [hits, fills] = [0, 0];
  const keyOf = (item: ItemClass, { name }: Lookup) => `${item.name} ${name}`;
  const load = (item: ItemClass, lookup: Lookup) => lookup.load(dataSource.getRepository(item));
  const set = (item: ItemClass, lookup: Lookup, value: unknown) =>
    redis.set(keyOf(item, lookup), JSON.stringify(value), "PX", TTL);

  const deleteKeys = async (item: ItemClass, rows: readonly Item[]) => {
    const ofRows = rows.flatMap(({ id, sku }) => [byId(id), bySku(sku), existsSku(sku)]);
    const lists = CATEGORIES.flatMap((category) => [byCategory(category), countOf(category), topOf(category)]);
    await redis.del(...[...ofRows, ...lists].map((lookup) => keyOf(item, lookup)));
  };
  return {
    repository: (item) => dataSource.getRepository(item),
    async read(item, lookup) {
      // Of a list of ids nobody could tell after a write under which keys it lies.
      if (lookup.name.startsWith("ids")) return load(item, lookup);
      const found = await redis.get(keyOf(item, lookup));
      if (found !== null) {
        hits += 1;
        return JSON.parse(found) as Item[] | number;
      }
      const value = await load(item, lookup);
      await widenedWindow();
      await set(item, lookup, value);
      fills += 1;
      return value;
    },
    async afterCommit(item, ids) {
      const rows = await dataSource.getRepository(item).find({ where: ids.map((id) => ({ id })), withDeleted: true });
      await widenedWindow();
      await deleteKeys(item, rows);
      if (protocol === "delete-after-commit") return;
      for (const row of rows) {
        const value = row.gone === null ? [row] : [];
        await Promise.all([set(item, byId(row.id), value), set(item, bySku(row.sku), value)]);
      }
    },
    counts: () => ({ hits, fills }),
    close: async () => redis.disconnect(),
  };
}
