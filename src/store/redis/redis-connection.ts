import { type Clock, systemClock } from "../../core/clock";
import { StoreError } from "../../errors";
import type { StoreContext } from "../store";
import type { BreakerSettings } from "./breaker-options";
import { CircuitBreaker } from "./circuit-breaker";
import { Deadlines } from "./deadlines";
import { ProbePauses } from "./probe-pauses";
import {
  connectionOptions,
  limitHandshakes,
  type RedisClient,
  type RedisCommands,
  type RedisLike,
} from "./redis-client";
import { type Keys, RedisKeys, serverIdOf } from "./redis-keys";
import {
  failed,
  isAnswer,
  isForbidden,
  isNoFault,
  isReplica,
  timedOut,
  unavailable,
  unlessElsewhere,
} from "./refusals";
import type { Spread } from "./spread";
import { withoutValues } from "./without-values";

/** What one call works with: commands, and the keys of the servers that they reach. */
export interface Session {
  readonly client: RedisCommands;
  readonly keys: Keys;
}

/** A connection that is up, and the keys of the server at its other end. */
export interface ServerSession extends Session {
  readonly client: RedisClient;
  readonly keys: RedisKeys;
}

/** What the calls of a store go through. */
export interface Connection {
  /**
   * Runs one call of the store.
   *
   * @param insists whether it is tried again, while there is time, if something is on its way from one server to another
   * @throws StoreError STORE_UNAVAILABLE, STORE_TIMEOUT or STORE_UNSUPPORTED; what the call has done is then unknown
   */
  call<T>(work: (session: Session) => Promise<T>, insists?: boolean): Promise<T>;
  missed(): void;
  /** Ends what was opened, politely if the server answers. */
  close(): Promise<void>;
}

const NAMELESS =
  "This Redis server does not say who it is: INFO server has no run_id, or may not be called. Without it, entries from before a restart " +
  "or a failover could be served. Allow INFO, or use another store.";
const NODE =
  "This Redis server is a node of a cluster. Give RedisStore a client of the cluster: new Redis.Cluster([...]).";
const NO_CLUSTER = "This Redis server is no node of a cluster. Give RedisStore a client of the server: new Redis(url).";

/** What a connection needs of the store that it belongs to. */
export interface RedisConnectionOptions {
  readonly context: StoreContext;
  readonly breaker: BreakerSettings;
  /** Where keys lie. */
  readonly spread: Spread;
  /** Prepares a server for use, each time one has been identified; nothing else is sent to it before. */
  readonly takeOver: (session: ServerSession) => Promise<void>;
  /** Where nothing is, and the server may be asked for it. */
  readonly nowhere: () => string;
  /** Milliseconds for that. */
  readonly patience: number;
  /** Called each time that calls are answered from now on. */
  readonly onUp: () => void;
  /** Called when a server answers that the store cannot work with. */
  readonly onUnsupported: (error: StoreError) => void;
  readonly clock?: Clock;
}

/**
 * The store's own connection. It knows which server is at the other end before it sends a command, bounds each call in
 * time, and answers nothing while it does not know.
 *
 * It is a circuit breaker too. Open, there is no connection, and every call fails at once. Each probe is a new connection, one at a
 * time, since only that finds the primary after a failover, or a way past a cable that was pulled: it must tell who the server is, be
 * taken over, and see a read and a write answered in time. Then it is closed, and calls go through.
 */
export class RedisConnection implements Connection {
  private readonly client: RedisClient;
  /**
   * Counts connections. A call notes it when its commands are composed and looks again when the reply is there: a reply
   * that crosses a reconnect says nothing about the server that is there now.
   */
  private generation = 0;
  /** Undefined while the circuit is open. */
  private session: ServerSession | undefined;
  private state: "new" | "up" | "down" | "closed" = "new";
  /** What every call gets while the circuit is open: made once, since there may be many. */
  private refusal = unavailable(undefined);
  private readonly endHandshake: () => void;
  private readonly clock: Clock;
  private readonly deadlines: Deadlines;
  private readonly pauses: ProbePauses;
  private readonly breaker: CircuitBreaker;

  constructor(
    source: RedisLike,
    private readonly options: RedisConnectionOptions,
  ) {
    this.clock = options.clock ?? systemClock;
    this.deadlines = new Deadlines(this.clock);
    this.pauses = new ProbePauses(options.breaker);
    this.breaker = new CircuitBreaker(options.breaker.openAfter, this.pauses);
    const { timeout } = options.context;
    const client = source.duplicate(connectionOptions(timeout, () => this.pauses.next()));
    this.client = client;
    this.endHandshake = limitHandshakes(client, timeout);
    client.on("ready", () => void this.probe());
    client.on("close", () => this.lose());
    client.on("end", () => this.lose());
    client.on("error", (error) => {
      // Errors of a connection that is up come with a close, or concern one command, which is rejected with them.
      if (this.session === undefined) this.report("down", error);
    });
  }

  /** What a call would work with now; undefined while the circuit is open. */
  get current(): ServerSession | undefined {
    return this.session;
  }

  call<T>(work: (session: ServerSession) => Promise<T>): Promise<T> {
    return this.within(this.options.context.timeout, work);
  }

  /** A call that may take so long. */
  within<T>(limit: number, work: (session: ServerSession) => Promise<T>): Promise<T> {
    const { session, generation } = this;
    if (session === undefined) return Promise.reject(this.refusal);
    return new Promise<T>((resolve, reject) => {
      const deadline = this.deadlines.set(limit, () => {
        const error = timedOut(limit);
        reject(error);
        this.note(error, generation, deadline.at - limit);
      });
      work(session).then(
        (value) => {
          const isInTime = this.deadlines.met(deadline);
          if (generation !== this.generation) return reject(this.refusal);
          if (isInTime) this.breaker.succeeded();
          resolve(value);
        },
        (error: unknown) => {
          if (this.deadlines.met(deadline) && isAnswer(error)) this.note(error, generation, deadline.at - limit);
          reject(error instanceof StoreError ? error : failed(error));
        },
      );
    });
  }

  /** Nobody was there at the start. */
  missed(): void {
    if (this.state === "new") this.report("down", timedOut(this.options.patience));
  }

  async close(): Promise<void> {
    const isUp = this.session !== undefined;
    this.state = "closed";
    this.refusal = new StoreError("STORE_UNAVAILABLE", "The store is closed.");
    this.lose();
    if (isUp) await this.bounded(this.options.context.timeout, this.client.quit()).catch(() => undefined);
    // After a quit that was answered this does nothing; otherwise it also stops the reconnecting.
    this.client.disconnect();
    this.deadlines.stop();
  }

  private async probe(): Promise<void> {
    const generation = ++this.generation;
    const isOver = () => generation !== this.generation || this.state === "closed";
    try {
      const keys = await this.identify(isOver);
      if (keys === undefined) return;
      const session = { client: this.client, keys };
      await this.bounded(this.options.patience, this.options.takeOver(session));
      // As any call would have to be. A full server answers both, and one that takes no writes does not take this one.
      const nothing = [keys.nothing(this.options.nowhere())];
      const trial = Promise.all([this.client.mget(nothing), this.client.unlink(nothing)]);
      await this.bounded(this.options.context.timeout, unlessElsewhere(trial));
      if (isOver()) return;
      this.breaker.closed(this.clock.monotonic());
      this.session = session;
      this.report("up");
      this.options.onUp();
    } catch (error) {
      if (isOver()) return;
      this.report("down", error);
      this.client.disconnect(true);
    }
  }

  /** @returns undefined if there is nothing to go on with */
  private async identify(isOver: () => boolean): Promise<RedisKeys | undefined> {
    const info = await this.client.info("server").catch((error: unknown) => {
      if (!isForbidden(error)) throw error;
      if (!isOver()) this.refuse(NAMELESS, error);
    });
    if (isOver() || info === undefined) return undefined;
    this.endHandshake();
    const runId = /^run_id:(\S+)/m.exec(info)?.[1];
    if (runId === undefined) return this.refuse(NAMELESS);
    // A client of one node would look for everything in other places than a client of the cluster.
    const isClusterNode = /^redis_mode:cluster\b/m.test(info);
    if (isClusterNode !== this.options.spread.stripes > 1) return this.refuse(isClusterNode ? NODE : NO_CLUSTER);
    return new RedisKeys(this.options.context.namespace, serverIdOf(runId), this.options.spread);
  }

  private refuse(problem: string, cause?: unknown): undefined {
    this.endHandshake();
    const unsupported = new StoreError("STORE_UNSUPPORTED", problem, { cause: withoutValues(cause) });
    this.report("down", unsupported);
    this.options.onUnsupported(unsupported);
  }

  /** A call has failed: time to open? */
  private note(error: unknown, generation: number, begun: number): void {
    if (generation !== this.generation) return;
    // It was answered, and hits are too. Did it count, a cache that is full would serve nothing.
    if (isNoFault(error)) return this.breaker.succeeded();
    const now = this.clock.monotonic();
    if (isReplica(error)) this.breaker.trip(now);
    else if (!this.breaker.failed(begun, now)) return;
    this.lose(error);
    this.client.disconnect(true);
  }

  /** @param cause undefined if the connection has ended by itself */
  private lose(cause?: unknown): void {
    this.endHandshake();
    this.generation++;
    if (this.session !== undefined && cause === undefined) this.pauses.lost();
    this.session = undefined;
    this.report("down", cause);
  }

  /** Tells each change once. */
  private report(state: "up" | "down", error?: unknown): void {
    if (this.state === "closed") return;
    const cause = withoutValues(error);
    if (state === "up") this.refusal = unavailable(undefined);
    else if (cause !== undefined) this.refusal = cause instanceof StoreError ? cause : unavailable(cause);
    if (this.state === state) return;
    this.state = state;
    this.options.context.onStateChange?.(state, cause);
  }

  private bounded<T>(limit: number, work: Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const deadline = this.deadlines.set(limit, () => reject(timedOut(limit)));
      work.then(resolve, reject).finally(() => this.deadlines.met(deadline));
    });
  }
}
