/** What the store needs of the client that the user passes in: that it can be copied. An ioredis `Redis` can. */
export interface RedisLike {
  readonly isCluster?: boolean;
  duplicate(override: ConnectionOptions): RedisClient;
}

/** The commands that calls of the store are made of; of one server, or of all nodes of a cluster. */
export interface RedisCommands {
  mget(keys: string[]): Promise<(string | null)[]>;
  set(key: string, value: string): Promise<unknown>;
  set(key: string, value: string, unit: "PX", ttl: number): Promise<unknown>;
  set(key: string, value: string, unit: "PX", ttl: number, condition: "NX"): Promise<unknown>;
  unlink(keys: string[]): Promise<number>;
  evalsha(sha1: string, keyCount: number, ...args: string[]): Promise<unknown>;
  eval(lua: string, keyCount: number, ...args: string[]): Promise<unknown>;
}

/** What the store calls on a connection of its own. */
export interface RedisClient extends RedisCommands {
  info(section: string): Promise<string>;
  cluster(subcommand: "COUNTKEYSINSLOT", slot: number): Promise<number>;
  cluster(subcommand: "GETKEYSINSLOT", slot: number, count: number): Promise<string[]>;
  subscribe(...channels: string[]): Promise<unknown>;
  ping(): Promise<unknown>;
  quit(): Promise<unknown>;
  disconnect(reconnect?: boolean): void;
  on(event: "connect" | "ready" | "close" | "end", listener: () => void): unknown;
  on(event: "error", listener: (error: unknown) => void): unknown;
  on(event: "message", listener: (channel: string, text: string) => void): unknown;
}

/** How the store's own connection differs from the user's; whatever is not named here is inherited. */
export interface ConnectionOptions {
  readonly enableOfflineQueue: false;
  readonly autoResendUnfulfilledCommands: false;
  readonly autoResubscribe: false;
  readonly maxRetriesPerRequest: 0;
  readonly enableReadyCheck: true;
  readonly enableAutoPipelining: false;
  readonly lazyConnect: false;
  readonly readOnly: false;
  readonly role: "master";
  readonly stringNumbers: false;
  readonly commandTimeout: undefined;
  readonly connectTimeout: number;
  readonly disconnectTimeout: number;
  readonly retryStrategy: (attempt: number) => number;
  readonly reconnectOnError: null;
  /** Of a node of a cluster: the client of the cluster has it, not those of the nodes. */
  readonly keyPrefix?: string;
}

/**
 * Milliseconds that a new connection gets to become ready; a host that vanished after the TCP handshake never does. The few round trips
 * that it takes must fit in, and a new try be near when the host is back.
 */
export function handshakeLimit(timeout: number): number {
  return Math.max(1000, 8 * timeout);
}

/**
 * Ends each new connection that does not become ready in time.
 *
 * @param timeout milliseconds that a call may take
 * @returns a function to call when it is ready, or lost
 */
export function limitHandshakes(client: RedisClient, timeout: number): () => void {
  let timer: NodeJS.Timeout | undefined;
  client.on("connect", () => {
    clearTimeout(timer);
    timer = setTimeout(() => client.disconnect(true), handshakeLimit(timeout)).unref();
  });
  return () => clearTimeout(timer);
}

/**
 * Options of the store's own connection.
 *
 * The key prefix names the server, so a command that was composed for one server must never reach another: nothing is
 * queued while there is no connection, and nothing is sent again. `maxRetriesPerRequest: 0` makes ioredis reject what a
 * lost connection has left unanswered at once; it would otherwise stay pending for ever.
 *
 * @param timeout milliseconds that a call may take
 * @param retryStrategy milliseconds until the next try
 */
export function connectionOptions(timeout: number, retryStrategy: (attempt: number) => number): ConnectionOptions {
  return {
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    // Whoever listens must know from when on he hears.
    autoResubscribe: false,
    maxRetriesPerRequest: 0,
    enableReadyCheck: true,
    // Waiting for the end of the turn costs a lone command as much as all else that the client does for it. Reads are batched
    // before they get here, and a socket that is busy gathers what is written meanwhile anyway.
    enableAutoPipelining: false,
    lazyConnect: false,
    readOnly: false,
    role: "master",
    stringNumbers: false,
    // The store has a timer of its own, because ioredis counts from when a pipeline is sent, not from the call.
    commandTimeout: undefined,
    connectTimeout: handshakeLimit(timeout),
    // A server that hangs does not say goodbye, and no new connection is made before it is given up.
    disconnectTimeout: timeout,
    // Never gives up, whatever the user's client does: a store that is away must come back by itself.
    retryStrategy,
    // The store sees errors itself.
    reconnectOnError: null,
  };
}
