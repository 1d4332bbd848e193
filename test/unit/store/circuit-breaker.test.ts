import { describe, expect, it } from "@jest/globals";
import Redis from "ioredis";
import { CacheConfigError } from "../../../src/errors";
import { CircuitBreaker } from "../../../src/store/redis/circuit-breaker";
import { ProbePauses } from "../../../src/store/redis/probe-pauses";
import { RedisStore } from "../../../src/store/redis/redis-store";

const SETTINGS = { probeAfter: 50, probeAtMost: 400 };

describe("a circuit breaker", () => {
  const breakerOf = (openAfter: number) => new CircuitBreaker(openAfter, new ProbePauses(SETTINGS));

  it("opens after failures in a row, and not before", () => {
    const breaker = breakerOf(3);
    expect([breaker.failed(0, 10), breaker.failed(10, 20), breaker.failed(20, 30)]).toEqual([false, false, true]);
  });

  it("begins anew with each answer", () => {
    const breaker = breakerOf(2);
    for (let at = 0; at < 10; at += 1) {
      expect(breaker.failed(at * 10, at * 10 + 10)).toBe(false);
      breaker.succeeded();
    }
  });

  it("counts calls once that were under way together", () => {
    const breaker = breakerOf(2);
    const stall = Array.from({ length: 100 }, (_, call) => breaker.failed(call / 10, 50 + call / 10));
    expect(stall).not.toContain(true);
    expect(breaker.failed(60, 110)).toBe(true);
  });

  it("forgets what was before once it was closed again", () => {
    const breaker = breakerOf(2);
    breaker.failed(0, 10);
    expect(breaker.failed(10, 20)).toBe(true);
    breaker.closed(5);
    expect([breaker.failed(15, 25), breaker.failed(25, 35)]).toEqual([false, true]);
  });
});

describe("pauses between probes", () => {
  const take = (pauses: ProbePauses, count: number) => Array.from({ length: count }, () => pauses.next());

  it("double up to a bound, and half of each is chance", () => {
    expect(take(new ProbePauses(SETTINGS, () => 1), 6)).toEqual([50, 100, 200, 400, 400, 400]);
    expect(take(new ProbePauses(SETTINGS, () => 0), 6)).toEqual([25, 50, 100, 200, 200, 200]);
    const last = take(new ProbePauses(SETTINGS), 2000).at(-1)!;
    expect(last).toBeGreaterThanOrEqual(200);
    expect(last).toBeLessThanOrEqual(400);
  });

  it("begin anew after a connection that was lost", () => {
    const pauses = new ProbePauses(SETTINGS, () => 1);
    take(pauses, 3);
    pauses.up(0);
    pauses.lost();
    expect(pauses.next()).toBe(50);
  });

  it("go on where a probe was answered and calls then were not", () => {
    const pauses = new ProbePauses(SETTINGS, () => 1);
    take(pauses, 2);
    pauses.up(1000);
    pauses.failed(1399);
    expect(pauses.next()).toBe(200);
    pauses.up(2000);
    pauses.failed(2400);
    expect(pauses.next()).toBe(50);
  });
});

describe("the option breaker", () => {
  const client = new Redis({ lazyConnect: true });

  it.each([
    [{ openAfter: 0 }, "breaker.openAfter"],
    [{ openAfter: 1.5 }, "breaker.openAfter"],
    [{ openAfter: "5" }, "breaker.openAfter"],
    [{ probeAfter: 0 }, "breaker.probeAfter"],
    [{ probeAfter: Number.NaN }, "breaker.probeAfter"],
    [{ probeAtMost: Infinity }, "breaker.probeAtMost"],
    [{ probeAtMost: 10 }, "must not be below probeAfter"],
    [null, "breaker is null"],
    [5, "breaker is 5"],
  ])("%j is refused", (breaker, message) => {
    const construct = () => new RedisStore(client, { breaker: breaker as never });
    expect(construct).toThrow(CacheConfigError);
    expect(construct).toThrow(message);
  });

  it("may say one thing and leave out the others", () => {
    expect(() => new RedisStore(client, { breaker: { openAfter: 1 } })).not.toThrow();
    expect(() => new RedisStore(client, { breaker: { probeAtMost: 50 } })).not.toThrow();
  });
});
