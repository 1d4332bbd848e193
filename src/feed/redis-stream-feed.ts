import { createHash, randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { CacheConfigError } from "../errors";
import { BackingOff } from "./backing-off";
import type { ChangeFeed, ChangeSink } from "./change-feed";
import { decodeMessage } from "./change-message";
import type { OutsideChange } from "../core/change";

/** What the feed needs of the client that the user passes in: an ioredis `Redis` can be copied. */
export interface StreamClientSource {
  duplicate(override: object): StreamClient;
}

/** What the feed calls on its own connection. */
export interface StreamClient {
  call(command: string, ...args: (string | number)[]): Promise<unknown>;
  on(event: "ready", listener: () => void): unknown;
  on(event: "error", listener: (error: unknown) => void): unknown;
  disconnect(reconnect?: boolean): void;
}

/** What the constructor of {@link RedisStreamFeed} takes besides the client. */
export interface RedisStreamFeedOptions {
  /** The key of the stream. Default: `<namespace>:changes:stream`. */
  readonly stream?: string;
  /** The consumer group that all processes of the cache share. Default: "coherent". */
  readonly group?: string;
  /** As in the option `channel`: entries without its HMAC are ignored. Default: none. */
  readonly secret?: string;
  /** Milliseconds after which an entry that a process has taken and not finished is taken by another. Default: 30,000. */
  readonly claimAfter?: number;
}

const MOST_ENTRIES = 200;
/** Milliseconds that the start waits for the first connection. */
const PATIENCE_MS = 1000;
/** Milliseconds that the server holds a read that finds nothing. */
const BLOCK_MS = 1000;
/** Milliseconds that an answer may take beyond that. */
const ANSWER_MS = 2000;
/** Milliseconds after which a consumer that has nothing and does nothing is of a process that is gone. */
const IDLE_CONSUMER_MS = 3_600_000;

const LUA = join(__dirname, "scripts", "take.lua");

type Entry = readonly [id: string, fields: readonly string[] | null];

/**
 * Takes messages from a Redis stream, each at least once, whatever dies or is away meanwhile: the processes of the cache share the
 * work as one consumer group, and what a process did not finish is done by another. Programs send with
 *
 * ```
 * XADD shop:changes:stream MAXLEN ~ 100000 * message {"table":"product","id":1}
 * ```
 *
 * If the stream was cut before its entries were taken, or is gone, all that is watched is invalidated.
 *
 * @throws CacheConfigError CONFIG_INVALID if `client` is not an ioredis `Redis`, or an option cannot be meant
 * @example
 * await cache.feeds.add(new RedisStreamFeed(redis));
 */
export class RedisStreamFeed implements ChangeFeed {
  readonly name = "redis-stream";
  private readonly loop = new BackingOff();
  private readonly consumer = randomUUID();
  private readonly group: string;
  private readonly claimAfter: number;
  private readonly lua = readFileSync(LUA, "utf8");
  private readonly sha1 = createHash("sha1").update(this.lua).digest("hex");
  private client: StreamClient | undefined;
  private stream: string;
  /** Taken, and not handed over yet. */
  private entries: readonly Entry[] = [];
  private madeUpFor = "";
  private nextClaim = 0;

  constructor(
    private readonly source: StreamClientSource,
    private readonly options: RedisStreamFeedOptions = {},
  ) {
    const { stream = "", group = "coherent", claimAfter = 30_000, secret } = options;
    if (typeof source?.duplicate !== "function") throw invalid("takes an ioredis client: new RedisStreamFeed(redis)");
    if (typeof stream !== "string" || typeof group !== "string" || group === "")
      throw invalid("stream and group must be texts");
    if (!Number.isFinite(claimAfter) || claimAfter < 1) throw invalid("claimAfter must be a number of milliseconds");
    if (secret !== undefined && (typeof secret !== "string" || secret === ""))
      throw invalid("secret must be a text that is not empty");
    this.stream = stream;
    this.group = group;
    this.claimAfter = claimAfter;
  }

  /** Begins; what came in while no process was there is taken too. */
  async start(sink: ChangeSink): Promise<void> {
    if (this.stream === "") this.stream = `${sink.namespace}:changes:stream`;
    this.client = this.source.duplicate({
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: 0,
      retryStrategy: (attempt: number) => Math.min(50 * 2 ** Math.min(attempt, 6), 2000),
      lazyConnect: false,
      commandTimeout: undefined,
    });
    const { client } = this;
    client.on("error", () => undefined);
    const ready = new Promise<void>((resolve) => void client.on("ready", resolve));
    await Promise.race([ready, this.loop.pause(PATIENCE_MS)]);
    this.loop.start(
      () => this.turn(sink),
      (cause) => sink.warn(`The stream ${this.stream} cannot be read; it is tried again.`, cause),
    );
  }

  async stop(): Promise<void> {
    // What was taken and not handed over is left to the others.
    const stopped = this.loop.stop();
    this.client?.disconnect();
    await stopped;
  }

  private async turn(sink: ChangeSink): Promise<void> {
    await this.finish(sink);
    if (performance.now() >= this.nextClaim) await this.claim(sink);
    const last = await this.take(sink);
    if (this.entries.length > 0) return this.finish(sink);
    await this.send("XREAD", "BLOCK", BLOCK_MS, "STREAMS", this.stream, last);
  }

  /** @returns the last id that the group has taken */
  private async take(sink: ChangeSink): Promise<string> {
    for (;;) {
      const args = [1, this.stream, this.group, this.consumer, MOST_ENTRIES, this.madeUpFor];
      try {
        const [outcome, last, entries] = (await this.script(args)) as [string, string, Entry[] | undefined];
        if (outcome === "taken") {
          this.entries = entries ?? [];
          return last;
        }
        await sink.lost();
        this.madeUpFor = last;
      } catch (error) {
        if (!(error instanceof Error && error.message.includes("NOGROUP"))) throw error;
        // The first process of all makes it; later it is gone only if Redis has lost it.
        await sink.lost();
        await this.send("XGROUP", "CREATE", this.stream, this.group, "0", "MKSTREAM").catch((cause: unknown) => {
          if (!String(cause).includes("BUSYGROUP")) throw cause;
        });
      }
    }
  }

  private async finish(sink: ChangeSink): Promise<void> {
    const { entries } = this;
    if (entries.length === 0) return;
    const changes = entries.flatMap(([, fields]) => this.changeIn(fields, sink) ?? []);
    if (changes.length > 0) await sink.changed(changes);
    this.entries = [];
    await this.send("XACK", this.stream, this.group, ...entries.map(([id]) => id));
  }

  private changeIn(fields: readonly string[] | null, sink: ChangeSink): OutsideChange | undefined {
    const at = fields?.findIndex((name, index) => index % 2 === 0 && name === "message") ?? -1;
    const text = at < 0 ? "" : (fields?.[at + 1] ?? "");
    const heard = decodeMessage(text, this.options.secret);
    if (heard.kind === "asked") return heard;
    sink.rejected(heard.kind === "rejected" ? heard.why : "malformed");
    return undefined;
  }

  /** Takes over what a process has left that died, and what this one could not confirm. */
  private async claim(sink: ChangeSink): Promise<void> {
    this.nextClaim = performance.now() + this.claimAfter;
    let pending: (readonly [id: string, consumer: string, idle: number, times: number])[];
    try {
      pending = (await this.send("XPENDING", this.stream, this.group, "-", "+", MOST_ENTRIES)) as typeof pending;
    } catch (error) {
      if (error instanceof Error && error.message.includes("NOGROUP")) return;
      throw error;
    }
    const ids = pending.filter(([, , idle]) => idle >= this.claimAfter).map(([id]) => id);
    if (ids.length > 0) {
      const args = [this.stream, this.group, this.consumer, this.claimAfter, ...ids];
      const claimed = ((await this.send("XCLAIM", ...args)) as (Entry | null)[]).filter((entry) => entry !== null);
      const there = claimed.filter(([, fields]) => fields !== null);
      const gone: string[] = [];
      for (const id of ids.filter((one) => !there.some(([known]) => known === one))) {
        const found = (await this.send("XRANGE", this.stream, id, id)) as readonly unknown[];
        if (found.length === 0) gone.push(id);
      }
      if (gone.length > 0) {
        await sink.lost();
        await this.send("XACK", this.stream, this.group, ...gone);
      }
      this.entries = there;
      await this.finish(sink);
      // There may be more of them.
      if (pending.length === MOST_ENTRIES) this.nextClaim = 0;
    }
    await this.dropConsumers();
  }

  private async dropConsumers(): Promise<void> {
    const consumers = (await this.send("XINFO", "CONSUMERS", this.stream, this.group)) as readonly unknown[][];
    for (const consumer of consumers) {
      const field = (name: string) => consumer[consumer.indexOf(name) + 1];
      if (field("pending") !== 0 || Number(field("idle")) < IDLE_CONSUMER_MS) continue;
      await this.send("XGROUP", "DELCONSUMER", this.stream, this.group, String(field("name")));
    }
  }

  private async script(args: readonly (string | number)[]): Promise<unknown> {
    try {
      return await this.send("EVALSHA", this.sha1, ...args);
    } catch (error) {
      if (!(error instanceof Error && error.message.includes("NOSCRIPT"))) throw error;
      return this.send("EVAL", this.lua, ...args);
    }
  }

  /** A connection that is silent for longer than the server may be is closed, and another one is made. */
  private async send(command: string, ...args: (string | number)[]): Promise<unknown> {
    const { client } = this;
    if (client === undefined || this.loop.signal.aborted) throw new Error("The feed has stopped.");
    let timer: NodeJS.Timeout | undefined;
    const silence = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        client.disconnect(true);
        reject(new Error(`Redis did not answer within ${BLOCK_MS + ANSWER_MS} ms.`));
      }, BLOCK_MS + ANSWER_MS).unref();
    });
    try {
      return await Promise.race([client.call(command, ...args), silence]);
    } finally {
      clearTimeout(timer);
    }
  }
}

function invalid(problem: string): CacheConfigError {
  return new CacheConfigError("CONFIG_INVALID", `RedisStreamFeed: ${problem}.`);
}
