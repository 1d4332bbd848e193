import { setTimeout as delay } from "node:timers/promises";
import { groupBy } from "../../core/group-by";
import { groupOf, type Tag } from "../../core/tag";
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
import { breakerSettings, type BreakerOptions, type BreakerSettings } from "./breaker-options";
import { ReadBatch } from "./read-batch";
import { checkCopies, readEntries } from "./read-entries";
import type { RedisLike } from "./redis-client";
import { RedisConnection } from "./redis-connection";
import { channelOf } from "./redis-keys";
import { RedisSubscriber } from "./redis-subscriber";
import { takeOver } from "./take-over";
import { milliseconds, runScript, scripts } from "./run-script";
import { unlockCommand } from "./unlock-command";

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
 * Keeps entries and tags in Redis (5 or later), where all processes that use the same database share them.
 *
 * The client is only copied: the store opens a connection of its own with the same address and credentials, because a
 * command must never be queued or sent again (see connectionOptions), and closes only that one. While Redis cannot be
 * reached, every call rejects at once and the connection is tried again without end.
 *
 * @throws CacheConfigError CONFIG_INVALID if `client` is not an ioredis `Redis`, or an option cannot be meant
 * @example
 * const cache = await attachCache(dataSource, { store: new RedisStore(new Redis("redis://localhost")) });
 */
export class RedisStore implements Store {
  readonly name = "redis";
  private readonly tokens: TokenSource;
  private readonly breaker: BreakerSettings;
  private connection: RedisConnection | undefined;
  private context: StoreContext | undefined;
  private readonly subscribers: RedisSubscriber[] = [];
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
  private lockTtl = "";
  /** The servers that this store was connected to. */
  private readonly seen = new Set<string>();

  constructor(
    /** The client that was passed in. */
    readonly source: RedisLike,
    options: RedisStoreOptions = {},
  ) {
    if (typeof source?.duplicate !== "function") {
      throw new CacheConfigError(
        "CONFIG_INVALID",
        "RedisStore takes an ioredis client: new RedisStore(new Redis(url)).",
      );
    }
    if (source.isCluster === true) {
      throw new CacheConfigError(
        "CONFIG_INVALID",
        "RedisStore takes an ioredis Redis; a Cluster is not supported yet.",
      );
    }
    this.tokens = options.tokens ?? createTokenSource();
    this.breaker = breakerSettings(options.breaker);
  }

  /**
   * Connects, and makes the guards of `groups`. Resolves after a second at the latest if Redis cannot be reached.
   *
   * @throws StoreError STORE_UNSUPPORTED if the server does not tell its `run_id`
   * @throws CacheStateError ALREADY_ATTACHED if the store is open; a store serves one cache
   */
  async open(context: StoreContext, groups: readonly string[]): Promise<void> {
    if (this.connection !== undefined) {
      throw new CacheStateError("ALREADY_ATTACHED", "This RedisStore is open already; give each cache its own.");
    }
    const patience = Math.max(context.timeout, PATIENCE_AT_START);
    this.lockTtl = String(Math.ceil(context.lockTtl));
    this.context = context;
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.connection?.missed();
        resolve();
      }, patience);
      const settle = (then: () => void) => {
        clearTimeout(timer);
        then();
      };
      this.connection = new RedisConnection(this.source, {
        context,
        breaker: this.breaker,
        takeOver: (session) => takeOver(session, groups, this.seen, this.lockTtl),
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
    const token = this.tokens();
    const groups = byGroup(tags);
    return this.opened().call(async ({ client, keys }) => {
      const captured = new Map<Tag, Token>();
      await Promise.all(
        Array.from(groups, async ([group, members]) => {
          const guarded = [keys.guard(group), ...members.map((tag) => keys.tag(tag))];
          const reply = await runScript(client, scripts().prepare, guarded, [
            this.lockTtl,
            token,
            milliseconds(tagTtl),
          ]);
          members.forEach((tag, at) => captured.set(tag, textAt(reply, at)));
        }),
      );
      return tags.map((tag) => captured.get(tag)!);
    });
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
    const locked = byGroup(tags);
    const read = byGroup(readTags);
    const token = this.tokens();
    return this.opened().call(async ({ client, keys }) => {
      const captured = new Map<Tag, Token>();
      await Promise.all(
        Array.from(new Set([...locked.keys(), ...read.keys()]), async (group) => {
          const lockTags = locked.get(group) ?? [];
          const members = read.get(group) ?? [];
          const guarded = [keys.guard(group), ...[...lockTags, ...members].map((tag) => keys.tag(tag))];
          const args = [holder, this.lockTtl, String(lockTags.length), token, milliseconds(tagTtl)];
          const sent = [keys.channel, messages?.get(group) ?? ""];
          const reply = await runScript(client, scripts().lock, guarded, [...args, ...sent]);
          members.forEach((tag, at) => captured.set(tag, textAt(reply, at)));
        }),
      );
      return readTags.map((tag) => captured.get(tag)!);
    });
  }

  async unlock(request: UnlockRequest): Promise<UnlockAnswer> {
    if (request.tags.length === 0) return { held: true, written: 0 };
    const groups = byGroup(request.tags);
    return this.opened().call(async ({ client, keys }) => {
      const replies = await Promise.all(
        Array.from(groups, ([group, tags]) => {
          const command = unlockCommand(keys, group, tags, request);
          return runScript(client, scripts().unlock, command.keys, command.args);
        }),
      );
      let held = true;
      let written = 0;
      for (const reply of replies) {
        const [ours, entries] = reply as [number, number];
        held &&= ours === 1;
        written += entries;
      }
      return { held, written };
    });
  }

  async invalidate(tags: readonly Tag[], messages: ReadonlyMap<string, string> = new Map()): Promise<void> {
    const groups = byGroup(tags);
    const silent = tags.filter((tag) => !messages.has(groupOf(tag)));
    if (silent.length + messages.size === 0) return;
    await this.opened().call(({ client, keys }) =>
      Promise.all([
        ...(silent.length === 0 ? [] : [client.unlink(silent.map((tag) => keys.tag(tag)))]),
        ...Array.from(messages, ([group, message]) => {
          const members = (groups.get(group) ?? []).map((tag) => keys.tag(tag));
          return runScript(client, scripts().invalidate, [keys.guard(group), ...members], [keys.channel, message]);
        }),
      ]),
    );
  }

  /** On a connection of its own, which is tried again without end; resolves when it is up, or after a second. */
  async listen(listener: StoreListener, heartbeat: number): Promise<void> {
    this.opened();
    const { namespace, timeout } = this.context!;
    const channel = channelOf(namespace);
    const subscriber = new RedisSubscriber(this.source, {
      channel,
      listener,
      heartbeat,
      timeout,
      pauses: this.breaker,
    });
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

  private opened(): RedisConnection {
    if (this.connection !== undefined) return this.connection;
    throw notOpen();
  }
}

function notOpen(): StoreError {
  return new StoreError("STORE_UNAVAILABLE", "The store is not open.");
}

/** Tags by the group whose guard they are under, each once. */
function byGroup(tags: readonly Tag[]): Map<string, Tag[]> {
  return groupBy(new Set(tags), groupOf);
}

function textAt(reply: unknown, index: number): Token {
  return (reply as Token[])[index]!;
}
