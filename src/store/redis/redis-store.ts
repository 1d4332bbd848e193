import { randomInt } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { Tag } from "../../core/tag";
import { createTokenSource, type Token, type TokenSource } from "../../core/token";
import { CacheConfigError, CacheStateError, StoreError } from "../../errors";
import type {
  CheckRequest,
  FillRequest,
  FlightRequest,
  ReadAnswer,
  ReadRequest,
  Store,
  StoreContext,
  StoreListener,
  UnlockAnswer,
  UnlockRequest,
} from "../store";
import { ClusterConnection } from "./cluster/cluster-connection";
import { ClusterSubscriber } from "./cluster/cluster-subscriber";
import type { ClusterLike } from "./cluster/cluster-topology";
import { breakerSettings, type BreakerOptions, type BreakerSettings } from "./breaker-options";
import { ReadBatch } from "./read-batch";
import { checkCopies, readEntries } from "./read-entries";
import type { RedisLike } from "./redis-client";
import { Messages } from "./messages";
import { RedisConnection, type RedisConnectionOptions, type ServerSession } from "./redis-connection";
import { RedisSubscriber } from "./redis-subscriber";
import { takeOver } from "./take-over";
import { milliseconds, runScript, scripts } from "./run-script";
import { Spread, type PlacedChannel } from "./spread";
import { invalidateTags, lockTags, prepareTags, type TagSettings } from "./tag-commands";
import { Tenures } from "./tenures";
import { unlockTags } from "./unlock-command";

/** What the constructor of {@link RedisStore} takes besides the client. */
export interface RedisStoreOptions {
  /** Where tokens come from. Default: the operating system's CSPRNG. For tests. */
  readonly tokens?: TokenSource;
  /** When Redis is no longer asked, and how it is tried again; see docs/outages.md. */
  readonly breaker?: BreakerOptions;
}

/** Milliseconds that the start may wait for the first connection, if a call may not take longer. */
const PATIENCE_AT_START = 1000;

/**
 * Keeps entries and tags in Redis (5 or later), where all processes that use the same database share them: on one server, or on a
 * Redis Cluster, each table spread over its nodes.
 *
 * The client is only copied: the store opens connections of its own with the same addresses and credentials, because a
 * command must never be queued or sent again (see connectionOptions), and closes only those. While Redis cannot be
 * reached, every call rejects at once and the connection is tried again without end.
 *
 * @throws CacheConfigError CONFIG_INVALID if `client` is not an ioredis `Redis` or `Cluster`, or an option cannot be meant
 * @example
 * const cache = await attachCache(dataSource, { store: new RedisStore(new Redis("redis://localhost")) });
 * @example
 * const nodes = [{ host: "redis-1" }, { host: "redis-2" }, { host: "redis-3" }];
 * const cache = await attachCache(dataSource, { store: new RedisStore(new Redis.Cluster(nodes)) });
 */
export class RedisStore implements Store {
  readonly name = "redis";
  private readonly tokens: TokenSource;
  private readonly breaker: BreakerSettings;
  private connection: RedisConnection | ClusterConnection | undefined;
  private context: StoreContext | undefined;
  private readonly subscribers: (RedisSubscriber | ClusterSubscriber)[] = [];
  private readonly reads = new ReadBatch<ReadRequest, ReadAnswer>((requests) =>
    this.connection === undefined
      ? Promise.reject(notOpen())
      : this.connection.call((session) => readEntries(session, requests)),
  );
  private readonly checks = new ReadBatch<CheckRequest, boolean>((copies) =>
    this.connection === undefined
      ? Promise.reject(notOpen())
      : this.connection.call((session) => checkCopies(session, copies)),
  );
  private settings: TagSettings;
  /** The servers that this store was connected to. */
  private readonly seen = new Set<string>();
  private readonly tenures = new Tenures();
  private readonly messages: Messages;
  private channels: readonly PlacedChannel[] = [];
  /** Of this store among all that send messages. */
  private readonly turn = randomInt(1 << 16);

  constructor(
    /** The client that was passed in. */
    readonly source: RedisLike | ClusterLike,
    options: RedisStoreOptions = {},
  ) {
    if (typeof source?.duplicate !== "function" || (isCluster(source) && typeof source.options !== "object")) {
      throw new CacheConfigError(
        "CONFIG_INVALID",
        "RedisStore takes an ioredis client: new RedisStore(new Redis(url)), or new RedisStore(new Redis.Cluster(nodes)).",
      );
    }
    if (isCluster(source) && source.options.keyPrefix?.includes("{") === true) {
      throw new CacheConfigError(
        "CONFIG_INVALID",
        "The keyPrefix of the Cluster has a brace, which would keep all keys on one node. Leave it out.",
      );
    }
    const spread = isCluster(source) ? Spread.overCluster() : Spread.whole;
    this.settings = { spread, lockTtl: 0, makesGuards: !isCluster(source) };
    this.messages = new Messages(isCluster(source) ? (message) => this.publish(message) : undefined);
    this.tokens = options.tokens ?? createTokenSource();
    this.breaker = breakerSettings(options.breaker);
  }

  get stripes(): number {
    return this.settings.spread.stripes;
  }

  /**
   * Connects, and makes the guards of `groups`. Resolves after a second at the latest if Redis cannot be reached.
   *
   * @throws StoreError STORE_UNSUPPORTED if the server does not tell its `run_id`, or is a node of a cluster and `client` is not
   * @throws CacheStateError ALREADY_ATTACHED if the store is open; a store serves one cache
   */
  async open(context: StoreContext, groups: readonly string[]): Promise<void> {
    if (this.connection !== undefined) {
      throw new CacheStateError("ALREADY_ATTACHED", "This RedisStore is open already; give each cache its own.");
    }
    const patience = Math.max(context.timeout, PATIENCE_AT_START);
    this.settings = { ...this.settings, lockTtl: context.lockTtl };
    this.context = context;
    this.channels = this.settings.spread.channels(context.namespace);
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.connection?.missed();
        resolve();
      }, patience);
      const settle = (then: () => void) => {
        clearTimeout(timer);
        then();
      };
      this.connection = this.connect(context, groups, {
        patience,
        onUp: () => settle(resolve),
        onUnsupported: (error) => settle(() => reject(error)),
      });
    }).catch(async (error: unknown) => {
      await this.close();
      throw error;
    });
  }

  read(requests: readonly ReadRequest[]): Promise<ReadAnswer[]> {
    return requests.length === 0 ? Promise.resolve([]) : this.reads.read(requests);
  }

  check(copies: readonly CheckRequest[]): Promise<boolean[]> {
    return copies.length === 0 ? Promise.resolve([]) : this.checks.read(copies);
  }

  async prepare(tags: readonly Tag[], tagTtl: number): Promise<Token[]> {
    if (tags.length === 0) return [];
    const minting = { token: this.tokens(), tagTtl };
    return this.opened().call((session) => prepareTags(session, this.settings, tags, minting));
  }

  async fill(entries: readonly FillRequest[]): Promise<void> {
    if (entries.length === 0) return;
    await this.opened().call(({ client, keys }) =>
      Promise.all(
        entries.map(({ group, key, value, ttl }) => client.set(keys.entry(group, key), value, "PX", Math.ceil(ttl))),
      ),
    );
  }

  claim({ group, key, holder, ttl }: FlightRequest): Promise<boolean> {
    return this.opened().call(
      async ({ client, keys }) =>
        (await client.set(keys.flight(group, key), holder, "PX", Math.ceil(ttl), "NX")) !== null,
    );
  }

  async release({ group, key, holder }: FlightRequest): Promise<void> {
    await this.opened().call(({ client, keys }) =>
      runScript(client, scripts().release, [keys.flight(group, key)], [holder]),
    );
  }

  async lock(
    tags: readonly Tag[],
    holder: string,
    readTags: readonly Tag[],
    tagTtl: number,
    messages?: ReadonlyMap<string, string>,
  ): Promise<Token[]> {
    if (tags.length === 0 && readTags.length === 0) return [];
    const command = { tags, readTags, holder, token: this.tokens(), tagTtl };
    return this.messages.with(messages, (messageFor) =>
      this.opened().call((session) => lockTags(session, this.settings, { ...command, messageFor }), true),
    );
  }

  async unlock(request: UnlockRequest): Promise<UnlockAnswer> {
    if (request.tags.length === 0) return { held: true, written: 0 };
    const { spread } = this.settings;
    return this.messages.with(request.messages, (messageFor) =>
      this.opened().call((session) => unlockTags(session, spread, request, messageFor), true),
    );
  }

  async invalidate(tags: readonly Tag[], messages: ReadonlyMap<string, string> = new Map()): Promise<void> {
    if (tags.length + messages.size === 0) return;
    await this.messages.with(messages, (messageFor, parts) =>
      this.opened().call((session) => invalidateTags(session, this.settings, tags, messageFor, parts), true),
    );
  }

  /** On a connection of its own, which is tried again without end; resolves when it is up, or after a second. */
  async listen(listener: StoreListener, heartbeat: number): Promise<void> {
    this.opened();
    const { timeout } = this.context!;
    const options = { listener, heartbeat, timeout, pauses: this.breaker };
    const subscriber = isCluster(this.source)
      ? new ClusterSubscriber(this.connection as ClusterConnection, this.channels, options)
      : new RedisSubscriber(this.source, { ...options, channels: this.channels.map(({ channel }) => channel) });
    this.subscribers.push(subscriber);
    const patience = new AbortController();
    const { signal } = patience;
    await Promise.race([subscriber.first, delay(PATIENCE_AT_START, undefined, { signal })]).catch(() => undefined);
    patience.abort();
  }

  async close(): Promise<void> {
    const { connection } = this;
    this.connection = undefined;
    for (const subscriber of this.subscribers.splice(0)) subscriber.close();
    await connection?.close();
  }

  private connect(
    context: StoreContext,
    groups: readonly string[],
    start: Pick<RedisConnectionOptions, "patience" | "onUp" | "onUnsupported">,
  ): RedisConnection | ClusterConnection {
    const { source, breaker } = this;
    const { spread } = this.settings;
    const lockTtl = milliseconds(context.lockTtl);
    if (isCluster(source)) {
      const parts = groups.flatMap((group) => spread.partsOf(group));
      parts.push(...this.channels.map(({ part }) => part));
      return new ClusterConnection(source, { context, breaker, spread, parts, lockTtl, ...start });
    }
    const takingOver = (session: ServerSession) => takeOver(session, groups, this.seen, this.tenures, lockTtl);
    return new RedisConnection(source, { context, breaker, spread, takeOver: takingOver, nowhere: () => "", ...start });
  }

  /** In a cluster, where no script of a table can send it: see Spread.channels. */
  private publish(message: string): Promise<unknown> {
    const { channel, part } = this.channels[this.turn % this.channels.length]!;
    return this.opened().call(
      ({ client, keys }) => runScript(client, scripts().invalidate, [keys.guard(part)], [channel, message, "0"]),
      true,
    );
  }

  private opened(): RedisConnection | ClusterConnection {
    if (this.connection !== undefined) return this.connection;
    throw notOpen();
  }
}

function notOpen(): StoreError {
  return new StoreError("STORE_UNAVAILABLE", "The store is not open.");
}

function isCluster(source: RedisLike | ClusterLike): source is ClusterLike {
  return source.isCluster === true;
}
