import type { DataSource } from "typeorm";
import { attachCache, MemoryStore, type CacheOptions, type CoherentCache } from "typeorm-coherent";
import { epochTag } from "../../src/core/tag";
import type { Store } from "../../src/store/store";

/** Counts the statements that a data source sends, so that a test can say "served without the database". */
export function countStatements(dataSource: DataSource): {
  readonly selects: string[];
  readonly writes: string[];
  reset(): void;
} {
  const selects: string[] = [];
  const writes: string[] = [];
  const { logger } = dataSource;
  const logQuery = logger.logQuery.bind(logger);
  logger.logQuery = (query, ...rest) => {
    if (/^\s*select/i.test(query)) selects.push(query);
    else if (/^\s*(insert|update|delete)/i.test(query)) writes.push(query);
    logQuery(query, ...rest);
  };
  return {
    selects,
    writes,
    reset() {
      selects.length = 0;
      writes.length = 0;
    },
  };
}

/** A cache over the embedded store, strict unless told otherwise. */
export function attachMemory(dataSource: DataSource, options: CacheOptions = {}): Promise<CoherentCache> {
  return attachCache(dataSource, { store: new MemoryStore(), consistency: "strict", ...options });
}

/** Resolves when no quarantine runs for these tables any more: a new Redis has one, and fills nothing until it ends. */
export async function quarantineOver(store: Store, groups: readonly string[]): Promise<void> {
  for (;;) {
    const tokens = await store.prepare(groups.map(epochTag), 60_000);
    if (!tokens.includes("")) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
