import Redis, { type RedisOptions } from "ioredis";
import { encodeEntry } from "../../src/core/entry";
import { RedisStore } from "../../src/store/redis/redis-store";
import type { Store, StoreContext } from "../../src/store/store";
import { type RedisServer, startRedis, until } from "../support/redis-server";

export const TAG = "g|id=1";
export const REQUEST = { key: "k", group: "g", query: "q", tags: ["g|", TAG] };

/** What a test has opened, closed again whatever happens. */
export const opened: (() => unknown)[] = [];
export async function closeAll(): Promise<void> {
  for (const close of opened.splice(0).reverse()) await close();
}

export async function serverWith(...args: string[]): Promise<RedisServer> {
  const server = await startRedis({ args });
  opened.push(() => server.stop());
  return server;
}

export function clientOf(server: { readonly port: number }, options: RedisOptions = {}): Redis {
  const client = new Redis(server.port, "127.0.0.1", { retryStrategy: () => 50, ...options });
  client.on("error", () => undefined);
  opened.push(() => client.disconnect());
  return client;
}

export async function openStore(client: Redis, more: Partial<StoreContext> = {}) {
  const states: string[] = [];
  const causes: unknown[] = [];
  const store = new RedisStore(client);
  opened.push(() => store.close());
  const onStateChange = (state: string, cause?: unknown) => {
    states.push(state);
    causes.push(cause);
  };
  await store.open({ namespace: "db", lockTtl: 40, timeout: 200, onStateChange, ...more }, ["g"]);
  return { store, states, causes };
}

export const answers = (store: Store) =>
  store.prepare(["g|"], 1000).then(
    ([token]) => token !== "",
    () => false,
  );

export const fill = async (store: Store, payload: string) => {
  await until(() => answers(store));
  const tokens = await store.prepare(REQUEST.tags, 60_000);
  const value = encodeEntry({ query: "q", rowTags: [], tokens, payload });
  await store.fill([{ key: "k", group: "g", value, ttl: 60_000 }]);
};

export const outcome = async (store: Store) => {
  const [answer] = await store.read([REQUEST]);
  return answer!.outcome === "hit" ? answer!.payload : answer!.why;
};

export const timed = async (work: Promise<unknown>) => {
  const start = performance.now();
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return { error, milliseconds: performance.now() - start };
};
