import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import Redis from "ioredis";
import { MemoryStore } from "../../../src/store/memory-store";
import { RedisKeys, serverIdOf } from "../../../src/store/redis/redis-keys";
import { RedisStore } from "../../../src/store/redis/redis-store";
import { type RedisServer, startRedis } from "../../support/redis-server";
import { Pair, type Outside } from "./pair";
import { modelData, RedisData } from "./redis-data";
import { type Call, TAGS, withLosses, withoutLosses } from "./world";

/*
 * The model says what the stores do. Any sequence of calls and losses gets the same answers from the model and from a real
 * store, and leaves the same tags, guards and entries in Redis, up to the names of tokens.
 *
 * MODEL_SEED=<number> repeats a run; a failure prints its seed and the shortest sequence that fails.
 */
const LOCK_TTL = 3_600_000;
const RUNS = process.env["MODEL"] === "full" ? 5000 : 300;
const seed = process.env["MODEL_SEED"];
const parameters = { numRuns: RUNS, ...(seed === undefined ? {} : { seed: Number(seed) }) };

describe("the model agrees with", () => {
  let server: RedisServer;
  let client: Redis;
  let store: RedisStore;
  let data: RedisData;
  beforeAll(async () => {
    server = await startRedis();
    client = new Redis(server.port, "127.0.0.1");
    store = new RedisStore(client);
    await store.open({ namespace: "db", lockTtl: LOCK_TTL, timeout: 10_000 }, []);
    const runId = /^run_id:(\S+)/m.exec(await client.info("server"))![1]!;
    data = new RedisData(client, new RedisKeys("db", serverIdOf(runId)));
  });
  afterAll(async () => {
    await store.close();
    client.disconnect();
    await server.stop();
  });

  it("the scripts, whatever is called and lost in which order", async () => {
    const seen = new Map<string, number>();
    const property = fc.asyncProperty(withLosses, async (calls) => {
      await data.reset();
      const pair = new Pair(store, data);
      for (const call of calls) {
        const answer = await sameAnswer(pair, call);
        const found = await data.look(pair);
        if (call.do === "lock") followSweep(pair, found.holders);
        expect([call, found]).toEqual([call, modelData(pair)]);
        count(seen, call, answer, await sameReads(pair, call));
      }
    });
    await fc.assert(property, parameters);
    expectCoverage(seen);
  }, 600_000);

  it("the memory store, as long as nothing is lost", async () => {
    const seen = new Map<string, number>();
    const property = fc.asyncProperty(withoutLosses, async (calls) => {
      let now = 0;
      const memory = new MemoryStore({ clock: { monotonic: () => now } });
      await memory.open({ namespace: "db", lockTtl: LOCK_TTL, timeout: 50 });
      const expireAll = async () => void (now += LOCK_TTL + 1);
      const pair = new Pair(memory, { expireAll } as Outside);
      for (const call of calls) {
        const answer = await sameAnswer(pair, call);
        count(seen, call, answer, await sameReads(pair, call));
      }
    });
    await fc.assert(property, parameters);
    expectCoverage(seen);
  }, 600_000);
});

/** What the store answers to a call, which is what the model does. */
async function sameAnswer(pair: Pair, call: Call): Promise<unknown> {
  const { store, model } = await pair.call(call);
  expect([call, store]).toEqual([call, model]);
  return store;
}

/** What the store has for every entry after a call, which is what the model has. */
async function sameReads(pair: Pair, call: Call): Promise<unknown> {
  const { store, model } = await pair.read();
  expect([call, store]).toEqual([call, model]);
  return store;
}

/** LOCK drops a few locks that are dead anyway, at random: the model drops the same. */
function followSweep(pair: Pair, holders: readonly string[]): void {
  TAGS.forEach((_, tag) => {
    if (holders[tag] === "") pair.world.redis.sweep(pair.state, tag);
  });
}

function count(seen: Map<string, number>, call: Call, answer: unknown, reads: unknown): void {
  const note = (what: string, happened: boolean) => seen.set(what, (seen.get(what) ?? 0) + Number(happened));
  note("hit", JSON.stringify(reads).includes("hit"));
  if (call.do === "capture") note("withheld", (answer as string[]).includes(""));
  if (call.do !== "unlock") return;
  const { held, written } = answer as { held: boolean; written: number };
  note("written", written > 0);
  note("not written", written === 0);
  note("lost", !held);
}

/** Otherwise both would only agree on nothing. */
function expectCoverage(seen: ReadonlyMap<string, number>): void {
  process.stdout.write(`  ${Array.from(seen, ([what, times]) => `${what} ${times}`).join(", ")}\n`);
  for (const times of seen.values()) expect(times).toBeGreaterThan(20);
}
