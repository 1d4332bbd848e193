import Redis from "ioredis";
import type { DataSource, Repository } from "typeorm";
import { attachCache, MemoryStore, RedisStore, type Store } from "typeorm-coherent";
import { byHand } from "./by-hand";
import type { Item, ItemClass } from "./entities";
import type { Lookup } from "./lookups";
import type { Counts, Protocol, StoreName } from "./messages";
import { ownCache } from "./own-cache";
import { WidenedStore } from "./windows";

/** A cache under test. */
export interface Subject {
  /** What application code writes through. */
  repository(item: ItemClass): Repository<Item>;
  read(item: ItemClass, lookup: Lookup): Promise<Item[] | number>;
  /** Called when a transaction has been committed; a cache by hand does all of its work here. */
  afterCommit(item: ItemClass, ids: readonly number[]): Promise<void>;
  /** Since the start. */
  counts(): Partial<Counts>;
  close(): Promise<void>;
}

export interface SubjectOptions {
  readonly dataSource: DataSource;
  readonly store: StoreName;
  readonly near: boolean;
  readonly redisUrl: string;
  readonly lockTtl: number;
  readonly storeTimeout: number;
}

export function openSubject(protocol: Protocol, options: SubjectOptions): Promise<Subject> {
  if (protocol === "coherent") return coherent(options);
  return protocol === "typeorm-cache" ? ownCache(options) : byHand(protocol, options);
}

async function coherent(options: SubjectOptions): Promise<Subject> {
  const { dataSource, redisUrl, lockTtl, storeTimeout, near } = options;
  const open: Record<StoreName, () => Store> = {
    memory: () => new MemoryStore(),
    redis: () => new RedisStore(new Redis(redisUrl, { lazyConnect: true })),
    cluster: () => new RedisStore(new Redis.Cluster(redisUrl.split(" "), { lazyConnect: true })),
  };
  const cache = await attachCache(dataSource, {
    store: new WidenedStore(open[options.store]()),
    consistency: "strict",
    lockTtl,
    storeTimeout,
    defaults: { near: near && { mode: "verify" } },
    // Connections are cut on purpose, again and again.
    logger: { warn: () => undefined },
  });
  return {
    repository: (item) => cache.repository(item),
    read: (item, lookup) => lookup.load(cache.repository(item)),
    afterCommit: () => Promise.resolve(),
    counts() {
      const { hits, misses, fills, writeThroughs, unfilled, bypasses, nearHits } = cache.stats();
      const bypassed = Object.values(bypasses).reduce((sum, one) => sum + one, 0);
      const [locked, outdated, copies] = [unfilled.locked, misses.stale, nearHits.verify];
      return { hits, fills, writeThroughs, bypasses: bypassed, locked, outdated, copies };
    },
    close: () => cache.close(),
  };
}
