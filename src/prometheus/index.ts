import type { Registry } from "prom-client";
import { CacheConfigError } from "../errors";
import { Subscriptions } from "../telemetry/subscriptions";
import { createMetrics, NAMES, type MeteredCache, type Metrics } from "./metrics";

export type { MeteredCache } from "./metrics";

/**
 * Puts the metrics of one or several caches into a registry of prom-client; docs/telemetry.md lists them. They count from this call on, and
 * what is told by caches that were not named is left out. The label `cache` is the namespace: caches that share one are counted together.
 *
 * @returns a function that ends it and takes the metrics out of the registry; when all its caches are closed it stops listening by itself
 * @throws CacheConfigError `CONFIG_INVALID` if the registry has these metrics already: name all caches in one call
 * @example
 * collectCacheMetrics(register, cache);
 * app.get("/metrics", async (_request, reply) => reply.type(register.contentType).send(await register.metrics()));
 */
export function collectCacheMetrics(registry: Registry, caches: MeteredCache | readonly MeteredCache[]): () => void {
  const known = NAMES.find((name) => registry.getSingleMetric(name) !== undefined);
  if (known !== undefined) {
    throw new CacheConfigError(
      "CONFIG_INVALID",
      `The registry has ${known} already. Name all caches in one call of collectCacheMetrics(), or end the other first.`,
    );
  }
  const open: MeteredCache[] = "stats" in caches ? [caches] : [...caches];
  const all = [...open];
  const metrics = createMetrics(registry, all);
  for (const { namespace: cache } of all) metrics.outages.inc({ cache }, 0);
  const heard = new Subscriptions();
  count(heard, metrics, new Set(all.map(({ namespace }) => namespace)));
  heard.event("closed", ({ cache }) => {
    const at = open.findIndex(({ namespace }) => namespace === cache);
    if (at >= 0) open.splice(at, 1);
    if (open.length === 0) heard.end();
  });
  return () => {
    heard.end();
    for (const name of NAMES) registry.removeSingleMetric(name);
  };
}

/** What is told by caches that are not `metered` is another's. */
function count(heard: Subscriptions, metrics: Metrics, metered: ReadonlySet<string>): void {
  const event: Subscriptions["event"] = (name, listener) =>
    heard.event(name, (message) => {
      if (metered.has(message.cache)) listener(message);
    });
  const operation: Subscriptions["operation"] = (name, listener) =>
    heard.operation(name, (message) => {
      if (metered.has(message.cache)) listener(message);
    });

  event("hit", ({ cache, entity }) => metrics.hits.inc({ cache, entity }));
  event("staleHit", ({ cache, entity }) => metrics.staleHits.inc({ cache, entity }));
  event("nearHit", ({ cache, mode }) => metrics.nearHits.inc({ cache, mode }));
  event("miss", ({ cache, entity, why }) => metrics.misses.inc({ cache, entity, reason: why }));
  event("bypass", ({ cache, entity, reason }) => metrics.bypasses.inc({ cache, entity, reason }));
  event("fill", ({ cache, entity }) => metrics.fills.inc({ cache, entity }));
  event("unfilled", ({ cache, entity, why }) => metrics.unfilled.inc({ cache, entity, reason: why }));
  event("writeThrough", ({ cache, entity }) => metrics.writeThroughs.inc({ cache, entity }));
  event("invalidate", ({ cache, path, tables }) => {
    for (const table of tables) metrics.invalidations.inc({ cache, path, table });
  });
  event("storeError", ({ cache, operation: failed }) => metrics.storeErrors.inc({ cache, operation: failed }));
  event("storeState", ({ cache, state }) => metrics.outages.inc({ cache }, state === "down" ? 1 : 0));
  event("invalidated", ({ cache, operation: done, own }) =>
    metrics.heard.inc({ cache, operation: done, own: String(own) }),
  );
  event("gap", ({ cache, reason }) => metrics.gaps.inc({ cache, reason }));
  event("rejected", ({ cache, why }) => metrics.rejected.inc({ cache, reason: why }));
  event("checked", ({ cache, outcome }) => metrics.checks.inc({ cache, outcome }));

  operation("read", ({ cache, entity, outcome = "failed", error, duration = 0 }) =>
    metrics.reads.observe({ cache, entity, outcome: error === undefined ? outcome : "failed" }, duration / 1000),
  );
  operation("lock", ({ cache, path, error, duration = 0 }) =>
    metrics.lockWaits.observe({ cache, path, outcome: outcomeOf(error) }, duration / 1000),
  );
  operation("unlock", ({ cache, path, held = 0 }) => metrics.locksHeld.observe({ cache, path }, held / 1000));
  operation("store", ({ cache, operation: called, error, duration = 0 }) =>
    metrics.storeCalls.observe({ cache, operation: called, outcome: outcomeOf(error) }, duration / 1000),
  );
}

const outcomeOf = (error: unknown) => (error === undefined ? "ok" : "failed");
