import { randomUUID } from "node:crypto";
import Redis, { type RedisOptions } from "ioredis";
import { systemClock } from "../../src/core/clock";
import { NearStore } from "../../src/near-cache/near-store";
import type { Store, StoreContext } from "../../src/store/store";
import { RedisStore } from "../../src/store/redis/redis-store";
import { RedisKeys, serverIdOf } from "../../src/store/redis/redis-keys";
import { type RedisServer, startRedis, until } from "../support/redis-server";
import type { Setup, StoreHarness } from "./world";

/** Takes time from everything that guards have a deadline for: as if the clock of the server had gone on. */
export const AGE = `
  for _, guard in ipairs(redis.call("KEYS", "*:g")) do
    local fields = redis.call("HGETALL", guard)
    for at = 1, #fields, 2 do
      local function earlier(deadline) return string.format("%.0f", deadline - ARGV[1]) end
      local value = fields[at] == "q" and earlier(fields[at + 1]) or string.gsub(fields[at + 1], "%d+%f[ %z]", earlier)
      redis.call("HSET", guard, fields[at], value)
    end
  end`;

/** One Redis server for a suite, a namespace of its own for each test. */
export class RedisHarness implements StoreHarness {
  readonly losesData = true;
  server!: RedisServer;

  constructor(private readonly options: RedisOptions = {}) {}

  async start(): Promise<void> {
    this.server = await startRedis();
  }

  stop(): Promise<void> {
    return this.server.stop();
  }

  async setUp(context: Omit<StoreContext, "namespace">): Promise<Setup & RedisSetup> {
    const client = new Redis(this.server.port, "127.0.0.1", this.options);
    const namespace = `db-${randomUUID()}`;
    const [store, other, unopened] = [new RedisStore(client), new RedisStore(client), new RedisStore(client)];
    await store.open({ ...context, namespace }, ["shop.product", "shop.order"]);
    await other.open({ ...context, namespace }, []);
    const keys = new RedisKeys(namespace, serverIdOf(await runIdOf(client)));

    const age = async (milliseconds: number) => void (await client.eval(AGE, 0, milliseconds));
    await age(context.lockTtl);
    return {
      client,
      keys,
      store,
      other,
      unopened,
      age,
      async outlive(milliseconds) {
        // Redis expires by a clock that it reads now and then, in whole milliseconds.
        const end = (await timeOf(client)) + milliseconds + 5;
        await until(async () => (await timeOf(client)) > end);
      },
      lose: {
        tag: async (tag) => void (await client.del(keys.tag(tag))),
        guard: async (group) => void (await client.del(keys.guard(group))),
        entry: async (group, key) => void (await client.del(keys.entry(group, key))),
        everything: async () => void (await client.flushall()),
      },
      async tearDown() {
        await store.close();
        await other.close();
        await client.quit();
      },
    };
  }
}

/** The same, with copies of everything in each process. */
export class NearHarness extends RedisHarness {
  override async setUp(context: Omit<StoreContext, "namespace">): Promise<Setup & RedisSetup> {
    const setup = await super.setUp(context);
    const near = (store: Store) =>
      new NearStore(store, {
        settings: () => new Map([["shop.product", { mode: "verify", max: 100, maxBytes: 1e6, ttl: 1e9 }]]),
        bound: 1000,
        clock: systemClock,
        onHit: () => undefined,
      });
    return { ...setup, store: near(setup.store), other: near(setup.other), unopened: near(setup.unopened) };
  }
}

/** What tests of Redis alone look at besides. */
export interface RedisSetup {
  /** The client that was passed in, for looking at the data and spoiling it. */
  readonly client: Redis;
  readonly keys: RedisKeys;
}

/** The id that the server gives itself at each start. */
export async function runIdOf(client: Redis): Promise<string> {
  return /^run_id:(\S+)/m.exec(await client.info("server"))![1]!;
}

/** The clock of the server, in milliseconds. */
export async function timeOf(client: Redis): Promise<number> {
  const [seconds, microseconds] = await client.time();
  return Number(seconds) * 1000 + Number(microseconds) / 1000;
}
