import type { Redis } from "ioredis";
import { messageOf } from "../../core/message-of";
import { CacheConfigError, StoreError } from "../../errors";
import type { RedisLike } from "../../store/redis/redis-client";
import { withoutValues } from "../../store/redis/without-values";
import { ioredis } from "../needed";

/** Milliseconds. */
const PATIENCE = 5000;

/** How the connection of a command differs from one of an application: it is tried once, and says what is wrong. */
const OPTIONS = {
  lazyConnect: true,
  connectTimeout: PATIENCE,
  commandTimeout: undefined,
  maxRetriesPerRequest: 0,
  retryStrategy: () => null,
  enableOfflineQueue: false,
  connectionName: "typeorm-coherent-cli",
};

/** A Redis that a command may ask. */
export interface RedisPlace {
  /** Without credentials. */
  readonly address: string;
  /** Not connected yet. */
  readonly client: Redis;
  /** Connects it. */
  connect(): Promise<void>;
}

/** @throws CacheConfigError CONFIG_INVALID if it is no URL of a Redis; the URL is not repeated, since it may hold a password */
export function redisAt(url: string, origin: string): RedisPlace {
  if (!URL.canParse(url) || !/^rediss?:$/.test(new URL(url).protocol)) {
    throw new CacheConfigError(
      "CONFIG_INVALID",
      `${origin} must be a URL: redis://user:password@host:6379/0, or rediss:// for TLS.`,
    );
  }
  return place(new (ioredis())(url, OPTIONS));
}

/** The server that a client of the application is for, on a connection of its own. */
export function redisLike(source: RedisLike): RedisPlace {
  return place((source as unknown as Redis).duplicate(OPTIONS));
}

function place(client: Redis): RedisPlace {
  const { host, port, path, db } = client.options;
  const address = path ?? `${host}:${port}${db ? `/${db}` : ""}`;
  let reason: unknown;
  client.on("error", (error) => (reason = error));
  return {
    address,
    client,
    connect: async () => {
      try {
        await client.connect();
      } catch (error) {
        client.disconnect();
        const cause = withoutValues(reason ?? error);
        throw new StoreError("STORE_UNAVAILABLE", `Redis at ${address} cannot be reached: ${said(cause)}`, { cause });
      }
    },
  };
}

/** Where a name has several addresses, Node.js says nothing but the codes of what went wrong. */
function said(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  return messageOf(error) || code || "no reason was given";
}
