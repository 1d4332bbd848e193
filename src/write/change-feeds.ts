import type { DataSource } from "typeorm";
import type { OutsideChange } from "../core/change";
import { epochTag } from "../core/tag";
import { CacheConfigError, CacheStateError } from "../errors";
import type { ChangeFeed, ChangeSink, WatchedTable } from "../feed/change-feed";
import { PollingFeed, type PollingFeedOptions } from "../feed/polling-feed";
import { CHANGE_TABLE, installPolling, pollingMigration } from "../feed/polling-installer";
import { PostgresFeed, type PostgresClient, type PostgresFeedOptions } from "../feed/postgres-feed";
import { allTriggers, installTriggers } from "../feed/postgres-installer";
import { groupOfTable } from "../metadata/reachable";
import type { Schema } from "../metadata/schema";
import { polledConnection, polledDialect } from "./polled-connection";
import { OutsideWrites, type OutsideWritesOptions } from "./outside-writes";

/** What is needed of the cache around it. */
export interface ChangeFeedsOptions extends OutsideWritesOptions {
  readonly namespace: string;
  readonly warn: (message: string, cause: unknown) => void;
}

/** The change feeds of a cache: `cache.feeds`. They end with it. */
export class ChangeFeeds {
  private readonly running = new Set<ChangeFeed>();
  private readonly writes: OutsideWrites;

  /** For `attachCache()` only. */
  constructor(private readonly options: ChangeFeedsOptions) {
    this.writes = new OutsideWrites(options);
  }

  /**
   * Starts a feed.
   *
   * @returns the feed, when whatever is committed from now on will be told by it
   * @throws CacheStateError NOT_INITIALIZED before `dataSource.initialize()`, or after the cache was closed
   * @example
   * await cache.feeds.add(new RedisStreamFeed(redis));
   */
  async add<Feed extends ChangeFeed>(feed: Feed): Promise<Feed> {
    const schema = this.schema();
    this.running.add(feed);
    try {
      await feed.start(this.sinkOf(feed, schema));
      return feed;
    } catch (error) {
      await this.remove(feed);
      throw error;
    }
  }

  /**
   * Hears of every write on PostgreSQL, whoever makes it: installs triggers that NOTIFY, and listens on a connection of its own.
   *
   * @throws CacheConfigError CONFIG_INVALID on another database, or with `install: false` if triggers are missing
   * @example
   * await cache.feeds.postgres();
   */
  async postgres({ connect, ...options }: PostgresFeedOptions = {}): Promise<PostgresFeed> {
    return this.add(new PostgresFeed(connect ?? postgresClients(this.options.dataSource), options));
  }

  /**
   * The statements that `postgres()` would run, for a migration; both lists in their order.
   *
   * @throws CacheConfigError CONFIG_INVALID on another database
   * @example
   * const { up, down } = await cache.feeds.postgresTriggers();
   */
  async postgresTriggers(): Promise<{ readonly up: readonly string[]; readonly down: readonly string[] }> {
    const { dataSource, namespace } = this.options;
    const triggers = await allTriggers(
      postgresClients(dataSource),
      namespace,
      watchedTables(dataSource, this.schema()),
    );
    return { up: triggers.flatMap(({ up }) => up), down: triggers.flatMap(({ down }) => down) };
  }

  /**
   * Hears of every write on SQLite, MariaDB or MySQL, whoever makes it: installs triggers that write into a change table, and polls it on
   * a connection of its own.
   *
   * @throws CacheConfigError CONFIG_INVALID on another database, or with `install: false` if something is missing
   * @example
   * await cache.feeds.polling({ every: 50 });
   */
  async polling(options: PollingFeedOptions = {}): Promise<PollingFeed> {
    const { dataSource } = this.options;
    const dialect = polledDialect(dataSource);
    return this.add(new PollingFeed(() => polledConnection(dataSource, dialect), options));
  }

  /**
   * The statements that `polling()` would run, for a migration; both lists in their order.
   *
   * @param table the name of the change table
   * @throws CacheConfigError CONFIG_INVALID on another database
   */
  pollingTriggers(table?: string): { readonly up: readonly string[]; readonly down: readonly string[] } {
    const { dataSource } = this.options;
    return pollingMigration(polledDialect(dataSource), watchedTables(dataSource, this.schema()), table);
  }

  /**
   * What `postgres()` or `polling()`, whichever this database has, would find missing or of another version: paths of tables, and the
   * change table. Changes nothing.
   *
   * @param table the name of the change table
   * @example
   * if ((await cache.feeds.missingTriggers()).length > 0) throw new Error("Run the migrations first.");
   */
  missingTriggers(table: string = CHANGE_TABLE): Promise<readonly string[]> {
    return this.prepare(table, false);
  }

  /**
   * Installs what is missing and starts no feed: for the step of a deployment that has the rights to. What others wrote before there
   * were triggers, a polling feed that starts later does not know of: call `cache.clear()` then.
   *
   * @param table the name of the change table
   * @returns what was missing
   */
  installTriggers(table: string = CHANGE_TABLE): Promise<readonly string[]> {
    return this.prepare(table, true);
  }

  /** Stops a feed. */
  async remove(feed: ChangeFeed): Promise<void> {
    if (this.running.delete(feed)) await feed.stop().catch((cause: unknown) => this.warn(feed, "did not stop", cause));
  }

  /** Stops all of them. */
  async close(): Promise<void> {
    await Promise.all([...this.running].map((feed) => this.remove(feed)));
  }

  private async prepare(table: string, install: boolean): Promise<readonly string[]> {
    const { dataSource, namespace } = this.options;
    const tables = watchedTables(dataSource, this.schema());
    if (dataSource.options.type === "postgres") {
      return installTriggers(postgresClients(dataSource), namespace, tables, install);
    }
    const connection = await polledConnection(dataSource, polledDialect(dataSource));
    try {
      return await installPolling(connection, tables, table, install);
    } finally {
      await connection.close();
    }
  }

  private schema(): Schema {
    const schema = this.options.schema();
    if (schema !== undefined) return schema;
    throw new CacheStateError(
      "NOT_INITIALIZED",
      "A feed needs an open cache on an initialised data source. Call dataSource.initialize() first.",
    );
  }

  private sinkOf(feed: ChangeFeed, schema: Schema): ChangeSink {
    const { namespace, reporter, dataSource } = this.options;
    const known = (change: OutsideChange) => {
      const isKnown = this.writes.knows(change.table);
      if (!isKnown) reporter.emit("rejected", { why: "unknown" });
      return isKnown;
    };
    return {
      namespace,
      tables: watchedTables(dataSource, schema),
      changed: async (changes) => {
        const all = changes.filter(known);
        if (all.length > 0) await this.writes.changed(all);
      },
      lost: async () => {
        reporter.emit("gap", { reason: "feed", origin: feed.name });
        await this.writes.invalidateTags(schema.groups.map(epochTag));
      },
      rejected: (why) => reporter.emit("rejected", { why }),
      warn: (message, cause) => this.warn(feed, message, cause),
    };
  }

  private warn(feed: ChangeFeed, message: string, cause: unknown): void {
    this.options.warn(`Change feed ${feed.name}: ${message}`, cause);
  }
}

/** Clients with the settings of the data source. */
function postgresClients({ driver, options }: DataSource): () => PostgresClient {
  const { master } = driver as { readonly master?: PostgresPool };
  if (options.type !== "postgres" || master === undefined) {
    throw new CacheConfigError(
      "CONFIG_INVALID",
      `The PostgreSQL feed is not for the driver "${options.type}". On MySQL, MariaDB and SQLite use cache.feeds.polling().`,
    );
  }
  return () => new master.Client(master.options);
}

/** A pool of pg. */
interface PostgresPool {
  readonly Client: new (options: unknown) => PostgresClient;
  readonly options: unknown;
}

function watchedTables(dataSource: DataSource, schema: Schema): WatchedTable[] {
  const watched = new Map<string, WatchedTable>();
  for (const metadata of dataSource.entityMetadatas) {
    const table = schema.tableOf(groupOfTable(metadata));
    if (table === undefined || metadata.tableType === "view" || watched.has(table.group)) continue;
    const { cascades, tracked } = table;
    const reached = [
      ...cascades.onDelete.flatMap(({ group, beyond }) => [group, ...beyond]),
      ...cascades.onUpdate.flatMap(({ groups }) => [...groups]),
    ];
    if (!tracked && !reached.some((group) => schema.tableOf(group)?.tracked === true)) continue;
    watched.set(table.group, {
      name: table.metadata.tableName,
      schema: table.metadata.schema,
      path: table.metadata.tablePath,
      primaryKey: table.metadata.primaryColumns.map(({ databaseName }) => databaseName),
      isCached: tracked,
    });
  }
  return [...watched.values()];
}
