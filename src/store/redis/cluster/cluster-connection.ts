import { setTimeout as delay } from "node:timers/promises";
import { systemClock } from "../../../core/clock";
import { groupBy } from "../../../core/group-by";
import { StoreError } from "../../../errors";
import type { StoreContext } from "../../store";
import type { BreakerSettings } from "../breaker-options";
import { ClusterCommands } from "./cluster-commands";
import { ClusterKeys } from "./cluster-keys";
import { ClusterParts, type Part } from "./cluster-parts";
import { ClusterTopology, nodeOptions, type ClusterLike } from "./cluster-topology";
import { ProbePauses } from "../probe-pauses";
import type { RedisClient, RedisLike } from "../redis-client";
import { RedisConnection, type Connection, type ServerSession, type Session } from "../redis-connection";
import { failed, isAnswer, isElsewhere, isUnguarded, NotHere, unavailable } from "../refusals";
import type { Spread } from "../spread";

/** What the connection to a cluster needs of the store that it belongs to. */
export interface ClusterConnectionOptions {
  readonly context: StoreContext;
  readonly breaker: BreakerSettings;
  readonly spread: Spread;
  /** Taken over as soon as their nodes are there; others are when they are asked for. */
  readonly parts: readonly string[];
  /** Milliseconds, as scripts take them. */
  readonly lockTtl: string;
  /** Milliseconds for taking over what a node has. */
  readonly patience: number;
  /** Called each time that all nodes answer from now on. */
  readonly onUp: () => void;
  /** Called when a node answers that the store cannot work with. */
  readonly onUnsupported: (error: StoreError) => void;
}

/** Milliseconds between two tries of a call that insists. */
const AGAIN_AFTER = 5;
/** Milliseconds between two looks for nodes and parts that are missing. */
const LOOK_EVERY = 250;

/**
 * The store's own connections to the nodes of a cluster: one to each that serves a part of its tables, each with a circuit breaker and an
 * identity of its own. A key names the server that it is meant for, and goes to nobody else.
 */
export class ClusterConnection implements Connection {
  private readonly topology: ClusterTopology;
  private readonly nodes = new Map<string, RedisConnection>();
  private readonly parts: ClusterParts;
  private readonly session: Session;
  private readonly keys: ClusterKeys;
  private readonly timer: NodeJS.Timeout;
  private readonly followers: (() => void)[] = [];
  private state: "new" | "up" | "down" | "closed" = "new";

  constructor(
    private readonly source: ClusterLike,
    private readonly options: ClusterConnectionOptions,
  ) {
    const { context, spread } = options;
    this.keys = new ClusterKeys(context.namespace, spread, (part) => this.serverOf(part));
    this.session = {
      keys: this.keys,
      client: new ClusterCommands(this.keys, (key, command) => this.sendTo(key, command)),
    };
    this.parts = new ClusterParts(spread, source.options.keyPrefix ?? "", options.lockTtl);
    for (const part of options.parts) this.parts.know(part);
    const pauses = new ProbePauses(options.breaker);
    this.topology = new ClusterTopology(source, {
      timeout: context.timeout,
      pause: () => pauses.next(),
      onChange: () => {
        pauses.lost();
        this.follow();
      },
      onError: (error) => {
        if (this.nodes.size === 0) this.report("down", error);
      },
    });
    this.timer = setInterval(() => this.look(), LOOK_EVERY).unref();
  }

  async call<T>(work: (session: Session) => Promise<T>, insists = false): Promise<T> {
    const begun = systemClock.monotonic();
    for (;;) {
      try {
        return await work(this.session);
      } catch (error) {
        const spent = systemClock.monotonic() - begun;
        if (!insists || !isElsewhere(error) || spent + AGAIN_AFTER > this.options.context.timeout) {
          throw error instanceof StoreError ? error : failed(error);
        }
        await delay(AGAIN_AFTER);
      }
    }
  }

  missed(): void {
    if (this.state === "new") this.report("down", unavailable(undefined));
  }

  async close(): Promise<void> {
    this.state = "closed";
    clearInterval(this.timer);
    this.topology.close();
    await Promise.all(Array.from(this.nodes.values(), (node) => node.close()));
  }

  /** The address of the node that serves a part. */
  ownerOf(part: string): string | undefined {
    return this.topology.ownerOf(this.know(part).slot);
  }

  /** A client of a node that can be copied. */
  sourceAt(address: string): RedisLike | undefined {
    const node = this.topology.nodeAt(address);
    return node && { duplicate: (override) => node.duplicate(nodeOptions(this.source, override)) };
  }

  /** Whether a node says that it serves a part. */
  async isServedBy(part: string, address: string): Promise<boolean> {
    const node = this.nodes.get(address);
    if (node === undefined || this.ownerOf(part) !== address) return false;
    try {
      await node.call(({ client, keys }) => client.mget([keys.guard(part)]));
      return true;
    } catch (error) {
      this.learn(answerIn(error), address);
      return false;
    }
  }

  /** Calls back whenever a part may have got another owner. */
  onFollowed(follower: () => void): void {
    this.followers.push(follower);
  }

  /** Who serves a part now, and may; the part is made ready if nobody does. */
  private serverOf(part: string): string | undefined {
    const session = this.sessionOf(this.know(part));
    return session !== undefined && this.parts.isTaken(session, part) ? session.keys.serverId : undefined;
  }

  private sessionOf({ slot }: Part): ServerSession | undefined {
    return this.nodes.get(this.topology.ownerOf(slot) ?? "")?.current;
  }

  private know(part: string): Part {
    // Not at once: a key is being made.
    return this.parts.know(part, () => setImmediate(() => this.follow()));
  }

  private async sendTo<Reply>(key: string, command: (client: RedisClient) => Promise<Reply>): Promise<Reply> {
    const { hashTag, serverId } = this.keys.addressOf(key);
    const { slot, part } = this.parts.at(hashTag);
    const address = this.topology.ownerOf(slot) ?? "";
    const node = this.nodes.get(address);
    if (node === undefined) throw unavailable(undefined);
    try {
      // One that is away refuses with what it knows of the reason.
      return await node.call((session) =>
        session.keys.serverId === serverId ? command(session.client) : Promise.reject(new NotHere()),
      );
    } catch (error) {
      const answer = answerIn(error);
      if (isUnguarded(answer) && node.current !== undefined) this.parts.forget(node.current, part);
      this.learn(answer, address);
      throw answer;
    }
  }

  /** What an answer says about who serves what. */
  private learn(error: unknown, from: string): void {
    const moved = /^MOVED (\d+) (\S+)/.exec(error instanceof Error ? error.message : "");
    if (moved !== null)
      this.topology.moved(Number(moved[1]), moved[2]!.startsWith(":") ? `${hostOf(from)}${moved[2]!}` : moved[2]!);
    if (isElsewhere(error)) this.follow();
  }

  /** Makes connections and parts be as the map says. */
  private follow(): void {
    if (this.state === "closed") return;
    const wanted = groupBy(this.parts.all(), ({ slot }) => this.topology.ownerOf(slot) ?? "");
    wanted.delete("");
    for (const [address, node] of this.nodes) {
      if (wanted.has(address)) continue;
      this.nodes.delete(address);
      void node.close();
    }
    for (const [address, owned] of wanted) {
      const parts = owned.map(({ part }) => part);
      const node = this.nodes.get(address) ?? this.connect(address);
      const session = node?.current;
      if (node === undefined || session === undefined) continue;
      this.parts.keep(session, parts);
      const open = this.parts.open(session, parts);
      if (open.length === 0) continue;
      void node
        .within(this.options.patience, (now) => this.parts.takeOver(now, open))
        .then(
          () => this.lookAround(),
          () => undefined,
        );
    }
    this.lookAround();
    for (const follower of this.followers) follower();
  }

  private connect(address: string): RedisConnection | undefined {
    const source = this.sourceAt(address);
    if (source === undefined) return undefined;
    const { context, breaker, spread, patience, onUnsupported } = this.options;
    const node = new RedisConnection(source, {
      context: {
        ...context,
        onStateChange: (state, cause) => {
          if (state === "down") this.topology.lost(address);
          this.lookAround(cause);
        },
      },
      breaker,
      spread,
      takeOver: (session) => this.parts.takeOver(session, this.partsOf(address)),
      nowhere: () => this.partsOf(address)[0] ?? "",
      patience,
      onUp: () => this.follow(),
      onUnsupported,
    });
    this.nodes.set(address, node);
    return node;
  }

  private partsOf(address: string): string[] {
    return this.parts.all().flatMap(({ part, slot }) => (this.topology.ownerOf(slot) === address ? [part] : []));
  }

  /** What is missing is looked for, until it is found. */
  private look(): void {
    if (this.isWhole()) return;
    this.topology.refresh();
    this.follow();
  }

  private isWhole(): boolean {
    return this.parts.all().every(({ part }) => this.serverOf(part) !== undefined);
  }

  private lookAround(cause?: unknown): void {
    // A part on its way is no reason to call the store away.
    const isAnswering = this.parts.all().every((part) => this.sessionOf(part) !== undefined);
    if (isAnswering) this.report("up");
    else if (this.state === "up") this.report("down", cause);
    if (this.isWhole()) this.options.onUp();
  }

  /** Tells each change once. */
  private report(state: "up" | "down", cause?: unknown): void {
    if (this.state === "closed" || this.state === state) return;
    this.state = state;
    this.options.context.onStateChange?.(state, cause);
  }
}

/** What the server has answered, or why nothing was sent to it. */
function answerIn(error: unknown): unknown {
  if (!(error instanceof StoreError)) return error;
  return isAnswer(error.cause) || error.cause instanceof NotHere ? error.cause : error;
}

function hostOf(address: string): string {
  return address.slice(0, address.lastIndexOf(":"));
}
