import type { OutsideChange } from "../core/change";
import type { Rejection } from "./change-message";

/**
 * A source of writes that never pass the data source: a trigger, a queue, a reader of the write-ahead log. What it has to do is to
 * hand each change over and to remember its place only when that was taken.
 *
 * @example
 * class KafkaFeed implements ChangeFeed {
 *   readonly name = "kafka";
 *   async start(sink: ChangeSink) {
 *     await this.consumer.run({
 *       // kafkajs commits the offset when this resolves, and sends the message again when it rejects.
 *       eachMessage: async ({ message }) => {
 *         const { payload } = JSON.parse(String(message.value));
 *         const row = payload.after ?? payload.before;
 *         await sink.changed([{ table: payload.source.table, operation: "unknown", rows: [{ id: row.id }] }]);
 *       },
 *     });
 *   }
 *   async stop() {
 *     await this.consumer.disconnect();
 *   }
 * }
 * await cache.feeds.add(new KafkaFeed(consumer));
 */
export interface ChangeFeed {
  /** A word for messages and events. */
  readonly name: string;

  /** Begins to hand changes over. Resolves when whatever is committed from now on will be. */
  start(sink: ChangeSink): Promise<void>;

  /** Ends it, and releases what the feed opened itself. Called once, also if `start` has rejected. */
  stop(): Promise<void>;
}

/** Takes what a feed hands over. */
export interface ChangeSink {
  /** Of the cache; what a feed leaves in a database or in Redis is named after it. */
  readonly namespace: string;
  /** The tables whose writes matter. */
  readonly tables: readonly WatchedTable[];

  /**
   * Invalidates what depends on these changes. Changes that are not known are counted and ignored.
   *
   * @returns resolves when that is done: only now may the feed forget them
   * @throws StoreError if the store does not answer; hand them over again
   */
  changed(changes: readonly OutsideChange[]): Promise<void>;

  /**
   * Invalidates all that the watched tables have in the cache, because changes may have been missed.
   *
   * @throws StoreError if the store does not answer; say it again
   */
  lost(): Promise<void>;

  /** Counts something that came in and is not understood. */
  rejected(why: Rejection): void;

  /** Says that the feed is in trouble; it goes on trying. */
  warn(message: string, cause: unknown): void;
}

/** A table whose writes matter: entries depend on it, or the database changes others because of it. */
export interface WatchedTable {
  /** Without schema. */
  readonly name: string;
  readonly schema: string | undefined;
  /** What changes of it are told under: its name, after that of its schema if the entity has one. */
  readonly path: string;
  /** The names of its columns. */
  readonly primaryKey: readonly string[];
  /** False if only what the database changes because of it matters. */
  readonly isCached: boolean;
}
