import type { OutsideChange } from "../core/change";
import { CacheConfigError } from "../errors";
import { BackingOff } from "./backing-off";
import type { ChangeFeed, ChangeSink } from "./change-feed";
import { decodeMessage } from "./change-message";
import { CHANGE_TABLE, installPolling } from "./polling-installer";
import { quoted, type PolledDialect } from "./polling-triggers";

/** A connection of the feed's own to the database that it polls. */
export interface PolledConnection {
  readonly dialect: PolledDialect;
  readonly query: (sql: string, parameters?: readonly unknown[]) => Promise<readonly Record<string, unknown>[]>;
  readonly close: () => Promise<void>;
}

/** What {@link PollingFeed} takes. */
export interface PollingFeedOptions {
  /** Milliseconds between two looks at an empty change table. Default: 100, at least 1. */
  readonly every?: number;
  /**
   * Whether the change table and missing triggers are made at the start. Default: true. With false they must be there, from a
   * migration; see `cache.feeds.pollingTriggers()`.
   */
  readonly install?: boolean;
  /** The name of the change table. Default: "coherent_changes". */
  readonly table?: string;
}

/** Changes that are taken at once. */
const BATCH = 500;

/**
 * Hears of every write that commits on SQLite, MariaDB or MySQL, whoever makes it: triggers write the primary keys into a change table,
 * in the transaction of the writer, and the feed takes them from there, deletes them when they were obeyed, and so obeys each at
 * least once, also after a crash. Several processes may poll: each change is obeyed by one of them, now and then by two.
 */
export class PollingFeed implements ChangeFeed {
  readonly name = "polling";
  private readonly loop = new BackingOff();
  private readonly every: number;
  private readonly install: boolean;
  private readonly table: string;
  private connection: PolledConnection | undefined;

  /** @throws CacheConfigError CONFIG_INVALID if an option cannot be meant */
  constructor(
    private readonly connect: () => Promise<PolledConnection>,
    { every = 100, install = true, table = CHANGE_TABLE }: PollingFeedOptions = {},
  ) {
    if (!Number.isFinite(every) || every < 1) throw invalid("every must be at least 1 millisecond");
    if (typeof install !== "boolean") throw invalid("install must be true or false");
    if (typeof table !== "string" || table === "") throw invalid("table must be the name of a table");
    this.every = every;
    this.install = install;
    this.table = table;
  }

  /**
   * Installs what is missing, and begins to poll. What was written while no process was there is obeyed first.
   *
   * @throws CacheConfigError CONFIG_INVALID with `install: false` if something is not there
   */
  async start(sink: ChangeSink): Promise<void> {
    const connection = await this.connect();
    this.connection = connection;
    const missing = await installPolling(connection, sink.tables, this.table, this.install);
    if (!this.install && missing.length > 0) {
      throw invalid(
        `missing or of another version: ${missing.join(", ")}. Run what cache.feeds.pollingTriggers() says, or leave install out`,
      );
    }
    // Before there were triggers nobody took notes.
    if (missing.length > 0) await sink.lost().catch((cause: unknown) => sink.warn("the store is away.", cause));
    this.loop.start(
      () => this.turn(connection, sink),
      (cause) => sink.warn("its changes cannot be taken; it tries again.", cause),
    );
  }

  async stop(): Promise<void> {
    await this.loop.stop();
    await this.connection?.close();
  }

  private async turn({ dialect, query }: PolledConnection, sink: ChangeSink): Promise<void> {
    const table = quoted(dialect, this.table);
    const [id, message] = [quoted(dialect, "id"), quoted(dialect, "message")];
    const rows = await query(`SELECT ${id}, ${message} FROM ${table} ORDER BY ${id} LIMIT ${BATCH}`);
    const changes = rows.flatMap((row) => this.changeIn(row["message"], dialect, sink) ?? []);
    if (changes.length > 0) await sink.changed(changes);
    if (rows.length > 0) {
      // By their ids, and not up to the last: one that a longer transaction was given before may come to light after it.
      const ids = rows.map((row) => row["id"]);
      await query(`DELETE FROM ${table} WHERE ${id} IN (${ids.map(() => "?").join(", ")})`, ids);
    }
    if (rows.length < BATCH) await this.loop.pause(this.every);
  }

  private changeIn(text: unknown, dialect: PolledDialect, sink: ChangeSink): OutsideChange | undefined {
    const heard = decodeMessage(String(text));
    // MariaDB and MySQL run no trigger for rows that a foreign key deletes or changes.
    if (heard.kind === "asked") return { ...heard, isAll: dialect === "sqlite" };
    sink.rejected(heard.kind === "rejected" ? heard.why : "malformed");
    return undefined;
  }
}

function invalid(problem: string): CacheConfigError {
  return new CacheConfigError("CONFIG_INVALID", `The polling feed: ${problem}.`);
}
