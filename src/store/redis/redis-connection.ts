import { setTimeout as delay } from "node:timers/promises";
import { type Clock, systemClock } from "../../core/clock";
import { StoreError } from "../../errors";
import type { StoreContext } from "../store";
import { Deadlines } from "./deadlines";
import { connectionOptions, type RedisClient, type RedisLike } from "./redis-client";
import { RedisKeys, serverIdOf } from "./redis-keys";
import { withoutValues } from "./without-values";

/** Milliseconds that a new connection gets to become ready; a host that vanished after the TCP handshake never does. */
const HANDSHAKE_LIMIT = 10_000;

/** What one call works with: a connection that is up, and the keys of the server at its other end. */
export interface Session {
  readonly client: RedisClient;
  readonly keys: RedisKeys;
}

/**
 * The store's own connection. It knows which server is at the other end before it sends a command, bounds each call in
 * time, and answers nothing while it does not know.
 */
export class RedisConnection {
  private readonly client: RedisClient;
  /**
   * Counts connections. A call notes it when its commands are composed and looks again when the reply is there: a reply
   * that crosses a reconnect says nothing about the server that is there now.
   */
  private generation = 0;
  private keys: RedisKeys | undefined;
  private state: "new" | "up" | "down" | "closed" = "new";
  private lastError: unknown;
  private unsupported: StoreError | undefined;
  /** Since when calls time out without any reply in between, on the monotonic clock. */
  private silentSince: number | undefined;
  private handshake: NodeJS.Timeout | undefined;
  private readonly deadlines: Deadlines;

  /**
   * @param onUp called each time the server has been identified; calls are answered from then on
   * @param onUnsupported called when a server answers that the store cannot work with
   */
  constructor(
    source: RedisLike,
    private readonly context: StoreContext,
    private readonly onUp: () => void,
    private readonly onUnsupported: (error: StoreError) => void,
    private readonly clock: Clock = systemClock,
  ) {
    const client = source.duplicate(connectionOptions());
    this.client = client;
    this.deadlines = new Deadlines(clock);
    client.on("connect", () => {
      clearTimeout(this.handshake);
      this.handshake = setTimeout(() => client.disconnect(true), HANDSHAKE_LIMIT).unref();
    });
    client.on("ready", () => void this.identify());
    client.on("close", () => this.lose());
    client.on("end", () => this.lose());
    client.on("error", (error) => {
      this.lastError = withoutValues(error);
      // Errors of a connection that is up come with a close, or concern one command, which is rejected with them.
      if (this.keys === undefined) this.report("down", this.lastError);
    });
  }

  /**
   * Runs one call of the store.
   *
   * @param limit milliseconds for all of it; default: the timeout of the store
   * @throws StoreError STORE_UNAVAILABLE, STORE_TIMEOUT or STORE_UNSUPPORTED; what the call has done is then unknown
   */
  call<T>(work: (session: Session) => Promise<T>, limit = this.context.timeout): Promise<T> {
    const { client, keys, generation } = this;
    if (keys === undefined) return Promise.reject(this.unsupported ?? this.unavailable());
    return new Promise<T>((resolve, reject) => {
      const deadline = this.deadlines.set(limit, () => {
        const error = timedOut(limit);
        reject(error);
        if (generation === this.generation) this.noteSilence(limit, error);
      });
      work({ client, keys }).then(
        (value) => {
          this.deadlines.met(deadline);
          if (generation !== this.generation) return reject(this.unavailable());
          this.silentSince = undefined;
          resolve(value);
        },
        (error: unknown) => {
          this.deadlines.met(deadline);
          reject(error instanceof StoreError ? error : failed(error));
        },
      );
    });
  }

  /** Ends the connection, politely if the server answers. */
  async close(): Promise<void> {
    const up = this.keys !== undefined;
    this.state = "closed";
    this.lose();
    if (up) {
      const quit = this.client.quit().catch(() => undefined);
      await Promise.race([quit, delay(this.context.timeout, undefined, { ref: false })]);
    }
    // After a quit that was answered this does nothing; otherwise it also stops the reconnecting.
    this.client.disconnect();
  }

  private async identify(): Promise<void> {
    const generation = ++this.generation;
    try {
      const runId = /^run_id:(\S+)/m.exec(await this.client.info("server"))?.[1];
      if (generation !== this.generation || this.state === "closed") return;
      if (runId === undefined) return this.refuse();
      clearTimeout(this.handshake);
      this.unsupported = undefined;
      this.silentSince = undefined;
      this.keys = new RedisKeys(this.context.namespace, serverIdOf(runId));
      this.report("up");
      this.onUp();
    } catch (error) {
      if (generation !== this.generation || this.state === "closed") return;
      if (error instanceof Error && error.message.includes("NOPERM")) return this.refuse(withoutValues(error));
      this.lastError = withoutValues(error);
      this.client.disconnect(true);
    }
  }

  private refuse(cause?: unknown): void {
    clearTimeout(this.handshake);
    this.unsupported = new StoreError(
      "STORE_UNSUPPORTED",
      "This Redis server does not say who it is: INFO server has no run_id, or may not be called. Without it, entries " +
        "from before a restart or a failover could be served. Allow INFO, or use another store.",
      { cause },
    );
    this.report("down", this.unsupported);
    this.onUnsupported(this.unsupported);
  }

  private lose(): void {
    clearTimeout(this.handshake);
    this.generation++;
    this.keys = undefined;
    this.silentSince = undefined;
    this.report("down", this.lastError);
  }

  /**
   * A server that hangs keeps its connection open, and each read would wait for the timeout. After a while the connection
   * counts as lost: calls then fail at once, until a new connection is answered.
   */
  private noteSilence(limit: number, error: StoreError): void {
    const now = this.clock.monotonic();
    this.silentSince ??= now - limit;
    if (now - this.silentSince < Math.max(1000, 4 * this.context.timeout)) return;
    this.lastError = error;
    this.lose();
    this.client.disconnect(true);
  }

  /** Tells each change once. */
  private report(state: "up" | "down", cause?: unknown): void {
    if (this.state === state || this.state === "closed") return;
    this.state = state;
    if (state === "up") this.lastError = undefined;
    this.context.onStateChange?.(state, cause);
  }

  private unavailable(): StoreError {
    const closed = this.state === "closed";
    return new StoreError("STORE_UNAVAILABLE", closed ? "The store is closed." : "There is no connection to Redis.", {
      cause: closed ? undefined : this.lastError,
    });
  }
}

function timedOut(limit: number): StoreError {
  return new StoreError("STORE_TIMEOUT", `Redis did not answer within ${limit} ms (option \`storeTimeout\`).`);
}

function failed(error: unknown): StoreError {
  const cause = withoutValues(error);
  const why = cause instanceof Error ? cause.message : String(cause);
  return new StoreError("STORE_UNAVAILABLE", `Redis did not carry out a command: ${why}`, { cause });
}
