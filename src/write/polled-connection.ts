import { setTimeout as delay } from "node:timers/promises";
import { DataSource, type DataSourceOptions } from "typeorm";
import { CacheConfigError } from "../errors";
import type { PolledConnection } from "../feed/polling-feed";
import type { PolledDialect } from "../feed/polling-triggers";
import { DIALECTS } from "../sql/dialects";

/** Milliseconds that a statement on SQLite waits for another writer: the drivers wait synchronously, and the loop tries again. */
const BUSY_MS = 20;
const MOST_ATTEMPTS = 100;

/** @throws CacheConfigError CONFIG_INVALID for a database that cannot be polled */
export function polledDialect({ options }: DataSource): PolledDialect {
  const dialect = DIALECTS[options.type];
  const { database } = options;
  if (dialect === "sqlite" && (database === ":memory:" || database === "")) {
    throw new CacheConfigError(
      "CONFIG_INVALID",
      "The polling feed: nobody else can write a database in memory. Use a file, or leave the feed out.",
    );
  }
  if (dialect === "sqlite" || dialect === "mysql") return dialect;
  throw new CacheConfigError(
    "CONFIG_INVALID",
    `The polling feed is not for the driver "${options.type}". On PostgreSQL use cache.feeds.postgres().`,
  );
}

/**
 * A data source of the feed's own, without entities: on SQLite the application's connection shows what a transaction of the
 * application has not committed.
 */
export async function polledConnection(source: DataSource, dialect: PolledDialect): Promise<PolledConnection> {
  const { options } = source;
  const own = new DataSource({
    ...options,
    entities: [],
    subscribers: [],
    migrations: [],
    synchronize: false,
    dropSchema: false,
    migrationsRun: false,
    cache: false,
    ...(dialect === "sqlite" ? { timeout: BUSY_MS, busyTimeout: BUSY_MS } : { poolSize: 1 }),
  } as unknown as DataSourceOptions);
  await own.initialize();
  return {
    dialect,
    query: (sql, parameters = []) => patiently(() => own.query(sql, [...parameters])),
    close: () => own.destroy(),
  };
}

/** Another writer has SQLite to itself for as long as its transaction lasts. */
async function patiently<Result>(query: () => Promise<Result>): Promise<Result> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await query();
    } catch (error) {
      if (attempt >= MOST_ATTEMPTS || !/SQLITE_BUSY|database is locked/.test(String(error))) throw error;
      await delay(BUSY_MS);
    }
  }
}
