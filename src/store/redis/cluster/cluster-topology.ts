import { handshakeLimit, type ConnectionOptions, type RedisLike } from "../redis-client";

/** What the store needs of a client of a cluster that the user passes in: that it can be copied. An ioredis `Cluster` can. */
export interface ClusterLike {
  readonly isCluster: boolean;
  readonly options: { readonly keyPrefix?: string | undefined; readonly redisOptions?: object | undefined };
  duplicate(startupNodes: [], options: object): ClusterClient;
}

/** What the store calls on its own copy. */
export interface ClusterClient {
  /** The addresses that serve each slot, the primary first. */
  readonly slots: readonly (readonly string[] | undefined)[];
  readonly status: string;
  nodes(role: "master"): readonly ClusterNode[];
  refreshSlotsCache(callback: (error?: unknown) => void): void;
  disconnect(reconnect?: boolean): void;
  on(event: "refresh", listener: () => void): unknown;
  on(event: "error" | "node error", listener: (error: unknown) => void): unknown;
}

/** A client of one node, which is only copied. */
export interface ClusterNode extends RedisLike {
  readonly options: { readonly host?: string | undefined; readonly port?: number | undefined };
}

/** Milliseconds between two looks at the map of slots, while nobody misses anything. */
const REFRESH_EVERY = 5000;
/** Milliseconds between two looks at the earliest. */
const REFRESH_AT_MOST_EVERY = 50;

/**
 * Which node serves which slot, as the nodes tell; no command of the store goes this way. The map may be old, and is never relied upon: a
 * node that does not have a slot says so.
 */
export class ClusterTopology {
  private readonly client: ClusterClient;
  /** What a node said when it was asked for a slot that it does not have, until the map says the same. */
  private readonly moves = new Map<number, string>();
  private isRefreshing = false;
  private closed = false;

  constructor(
    source: ClusterLike,
    options: {
      readonly timeout: number;
      readonly pause: () => number;
      readonly onChange: () => void;
      readonly onError: (error: unknown) => void;
    },
  ) {
    this.client = source.duplicate([], {
      lazyConnect: false,
      enableOfflineQueue: false,
      enableAutoPipelining: false,
      // A cluster that lacks some slots serves the others.
      enableReadyCheck: false,
      slotsRefreshInterval: REFRESH_EVERY,
      clusterRetryStrategy: options.pause,
      redisOptions: {
        ...source.options.redisOptions,
        connectTimeout: handshakeLimit(options.timeout),
        reconnectOnError: null,
      },
    });
    this.client.on("refresh", () => {
      for (const [slot, address] of this.moves) if (this.client.slots[slot]?.[0] === address) this.moves.delete(slot);
      options.onChange();
    });
    this.client.on("error", options.onError);
    this.client.on("node error", options.onError);
  }

  /** The address of the node that serves a slot; undefined if none is known. */
  ownerOf(slot: number): string | undefined {
    return this.moves.get(slot) ?? this.client.slots[slot]?.[0];
  }

  /** A client of the node that can be copied; undefined if there is none any more. */
  nodeAt(address: string): RedisLike | undefined {
    return this.client.nodes("master").find((node) => addressOf(node) === address);
  }

  /** A node that does not have a slot has said who has it. */
  moved(slot: number, address: string): void {
    // The cluster may call its nodes by other names than those by which they are reached from here.
    if (this.nodeAt(address) !== undefined) this.moves.set(slot, address);
    this.refresh();
  }

  /** A node is away: what it is said to have is not believed any more. */
  lost(address: string): void {
    for (const [slot, owner] of this.moves) if (owner === address) this.moves.delete(slot);
    this.refresh();
  }

  /** Has the map fetched anew, soon. */
  refresh(): void {
    if (this.isRefreshing || this.closed) return;
    this.isRefreshing = true;
    this.client.refreshSlotsCache((error) => {
      setTimeout(() => (this.isRefreshing = false), REFRESH_AT_MOST_EVERY).unref();
      // Nobody whom it knows answers: begin anew with the addresses that were given.
      if (error !== undefined && error !== null && !this.closed && this.client.status === "ready")
        this.client.disconnect(true);
    });
  }

  close(): void {
    this.closed = true;
    this.client.disconnect();
  }
}

/** The options of a connection to a node: only the client of the cluster puts something in front of every key. */
export function nodeOptions(source: ClusterLike, options: ConnectionOptions): ConnectionOptions {
  return { ...options, keyPrefix: source.options.keyPrefix ?? "" };
}

function addressOf({ options }: ClusterNode): string {
  return `${options.host}:${options.port}`;
}
