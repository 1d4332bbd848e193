import type { OutsideChange } from "../core/change";
import { CacheConfigError } from "../errors";
import { BackingOff } from "./backing-off";
import type { ChangeFeed, ChangeSink } from "./change-feed";
import { decodeMessage } from "./change-message";
import { installTriggers } from "./postgres-installer";
import { notifyChannel } from "./postgres-triggers";

/** What the feed needs of a client of pg. */
export interface PostgresClient {
  connect(): Promise<unknown>;
  query(sql: string, values?: unknown[]): Promise<{ readonly rows: readonly Record<string, unknown>[] }>;
  end(): Promise<unknown>;
  on(event: "notification", listener: (message: { readonly payload?: string | undefined }) => void): unknown;
  on(event: "error" | "end", listener: (error?: unknown) => void): unknown;
}

/** What {@link PostgresFeed} takes. */
export interface PostgresFeedOptions {
  /**
   * Makes a client of its own that is not connected yet; it listens for as long as the feed runs, so it must not come through a pooler
   * that shares connections between transactions. Default: one with the settings of the data source.
   */
  readonly connect?: () => PostgresClient;
  /**
   * Whether missing triggers are installed at the start. Default: true. With false they must be there, from a migration; see
   * `cache.feeds.postgresTriggers()`.
   */
  readonly install?: boolean;
  /** Milliseconds within which a connection that is cut off is noticed. Default: 5000. */
  readonly heartbeat?: number;
}

/** What the connection that listens calls itself. */
const APPLICATION = "typeorm-coherent feed";
/** What waits to be handed over; beyond that everything counts as lost, which costs less. */
const MOST_WAITING = 10_000;

/**
 * Hears of every write that commits on PostgreSQL, whoever makes it: triggers NOTIFY the primary keys in the transaction of the writer,
 * and a connection of its own listens. PostgreSQL keeps nothing for who is not connected: at the start, and whenever the connection
 * was lost, everything that is watched is invalidated.
 */
export class PostgresFeed implements ChangeFeed {
  readonly name = "postgres";
  private readonly loop = new BackingOff();
  private readonly install: boolean;
  private readonly heartbeat: number;
  private waiting: OutsideChange[] = [];
  /** What came in is not all: more than could wait, or nobody listened. */
  private isLost = true;
  private wake: () => void = () => undefined;

  /** @throws CacheConfigError CONFIG_INVALID if an option cannot be meant */
  constructor(
    private readonly connect: () => PostgresClient,
    { install = true, heartbeat = 5000 }: Omit<PostgresFeedOptions, "connect"> = {},
  ) {
    if (typeof install !== "boolean") throw invalid("install must be true or false");
    if (!Number.isFinite(heartbeat) || heartbeat < 10) throw invalid("heartbeat must be at least 10 milliseconds");
    this.install = install;
    this.heartbeat = heartbeat;
  }

  /**
   * Installs what is missing, and listens.
   *
   * @throws CacheConfigError CONFIG_INVALID with `install: false` if the triggers of a table are not there
   */
  async start(sink: ChangeSink): Promise<void> {
    const missing = await installTriggers(this.connect, sink.namespace, sink.tables, this.install);
    if (!this.install && missing.length > 0) {
      throw invalid(
        `the triggers of ${missing.join(", ")} are missing or of another version. Run what cache.feeds.postgresTriggers() says, or leave install out`,
      );
    }
    let began: () => void = () => undefined;
    const beginning = new Promise<void>((resolve) => (began = resolve));
    this.loop.start(
      () => this.listen(sink, began),
      (cause) => sink.warn("it hears nothing until its connection is back, and then everything is invalidated.", cause),
    );
    await beginning;
  }

  async stop(): Promise<void> {
    const stopped = this.loop.stop();
    this.wake();
    await stopped;
  }

  /** Until the connection is lost, which it throws, or the feed is stopped. */
  private async listen(sink: ChangeSink, began: () => void): Promise<void> {
    const client = this.connect();
    const connection: { lost?: { readonly cause: unknown } } = {};
    const lose = (cause: unknown) => {
      connection.lost ??= { cause };
      this.wake();
    };
    const isOver = () => connection.lost !== undefined || this.loop.signal.aborted;
    client.on("error", (error) => lose(error));
    client.on("end", () => lose(new Error("The connection has ended.")));
    client.on("notification", ({ payload }) => this.take(payload ?? "", sink));
    let beat: NodeJS.Timeout | undefined;
    try {
      await limited(client.connect(), Math.max(this.heartbeat, 5000));
      await limited(client.query(`SET application_name = '${APPLICATION}'`), this.heartbeat);
      await limited(client.query(`LISTEN ${notifyChannel(sink.namespace)}`), this.heartbeat);
      this.waiting = [];
      this.isLost = true;
      beat = setInterval(() => void limited(client.query("SELECT 1"), this.heartbeat).catch(lose), this.heartbeat);
      beat.unref();
      while (!isOver()) {
        await this.handOver(sink, began);
        await new Promise<void>((resolve) => {
          this.wake = resolve;
          if (this.waiting.length > 0 || this.isLost || isOver()) resolve();
        });
      }
      if (connection.lost !== undefined) throw connection.lost.cause;
    } finally {
      clearInterval(beat);
      // A connection to nowhere has no end; nobody waits for it.
      await limited(client.end(), 1000).catch(() => undefined);
    }
  }

  private take(payload: string, sink: ChangeSink): void {
    const heard = decodeMessage(payload);
    if (heard.kind !== "asked") return sink.rejected(heard.kind === "rejected" ? heard.why : "malformed");
    if (this.waiting.length >= MOST_WAITING) {
      this.waiting = [];
      this.isLost = true;
    }
    // Whatever the database changes because of it has a trigger of its own.
    this.waiting.push({ ...heard, isAll: true });
    this.wake();
  }

  /** Goes on until it succeeds: PostgreSQL does not tell twice. */
  private async handOver(sink: ChangeSink, tried: () => void): Promise<void> {
    for (let pause = 50; !this.loop.signal.aborted; pause = Math.min(2000, 2 * pause)) {
      const batch = this.waiting;
      const { isLost } = this;
      this.waiting = [];
      this.isLost = false;
      try {
        if (isLost) await sink.lost();
        else if (batch.length > 0) await sink.changed(batch);
        return tried();
      } catch (cause) {
        this.isLost ||= isLost;
        this.waiting = [...batch, ...this.waiting];
        // No start waits for a store that is away.
        tried();
        if (pause === 50) sink.warn("the store does not take its changes; it tries again.", cause);
        await this.loop.pause(pause);
      }
    }
  }
}

async function limited<Result>(work: Promise<Result>, limit: number): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  try {
    return await Promise.race([
      work,
      new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(new Error(`PostgreSQL did not answer within ${limit} ms.`)), limit);
      }),
    ]);
  } finally {
    clearTimeout(timer);
    work.catch(() => undefined);
  }
}

function invalid(problem: string): CacheConfigError {
  return new CacheConfigError("CONFIG_INVALID", `The PostgreSQL feed: ${problem}.`);
}
