import { afterEach, describe, expect, it } from "@jest/globals";
import { hasSubscribers } from "node:diagnostics_channel";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Registry } from "prom-client";
import { CacheConfigError } from "typeorm-coherent";
import { collectCacheMetrics } from "typeorm-coherent/prometheus";
import { emailOf, openClinic, Patient, Ward, type Clinic } from "../../support/clinic";
import { redisForBlock } from "../../support/redis-for-block";
import { until, type RedisServer } from "../../support/redis-server";

const docs = (name: string) => readFileSync(join(__dirname, "..", "..", "..", "docs", name), "utf8");

/** The samples of a registry, `name{labels}` to value. */
async function samples(registry: Registry): Promise<Record<string, number>> {
  const lines = (await registry.metrics()).split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return Object.fromEntries(
    lines.map((line) => {
      const at = line.lastIndexOf(" ");
      return [line.slice(0, at), Number(line.slice(at + 1))];
    }),
  );
}

describe("the metrics of a cache", () => {
  let server: RedisServer;
  redisForBlock((_client, started) => (server = started));
  const closing: (() => unknown)[] = [];
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });

  async function open(namespace = "clinic", options = {}): Promise<Clinic> {
    const clinic = await openClinic(server.url, namespace, options);
    closing.push(() => clinic.close());
    return clinic;
  }

  it("count what reads and writes have done", async () => {
    const { cache, dataSource } = await open();
    const registry = new Registry();
    closing.push(collectCacheMetrics(registry, cache));
    const patients = cache.repository(Patient);
    for (const _time of [1, 2, 3]) await patients.findOneBy({ id: 1 });
    for (const _time of [1, 2]) await cache.repository(Ward).findOneBy({ id: 1 });
    for (const _time of [1, 2]) await cache.repository(Ward).findOneBy({ id: 1 });
    await patients.find({ where: { diagnosis: "none" } });
    await dataSource.transaction(async (manager) => {
      await manager.withRepository(patients).findOneBy({ id: 1 });
      await manager.update(Patient, { id: 1 }, { diagnosis: "better" });
    });
    await dataSource.query("UPDATE patient SET diagnosis = 'worse' WHERE id = 2");
    await cache.invalidate(Ward, { id: 1 });
    await cache.clear();
    const found = await samples(registry);
    const of = (name: string, labels: string) => found[`typeorm_coherent_${name}{cache="clinic"${labels}}`];
    expect(of("hits_total", ',entity="Patient"')).toBe(2);
    expect(of("hits_total", ',entity="Ward"')).toBe(3);
    expect(of("near_hits_total", ',mode="verify"')).toBe(2);
    expect(of("misses_total", ',entity="Patient",reason="absent"')).toBe(2);
    expect(of("bypasses_total", ',entity="Patient",reason="transaction"')).toBe(1);
    expect(of("fills_total", ',entity="Patient"')).toBe(2);
    expect(of("write_throughs_total", ',entity="Patient"')).toBeGreaterThan(0);
    expect(of("invalidations_total", ',path="transaction",table="patient"')).toBe(1);
    expect(of("invalidations_total", ',path="statement",table="patient"')).toBe(1);
    expect(of("invalidations_total", ',path="by-hand",table="ward"')).toBe(2);
    expect(of("read_seconds_count", ',entity="Patient",outcome="hit"')).toBe(2);
    expect(of("read_seconds_count", ',entity="Patient",outcome="miss"')).toBe(2);
    expect(of("lock_wait_seconds_count", ',path="transaction",outcome="ok"')).toBe(1);
    expect(of("lock_held_seconds_count", ',path="transaction"')).toBe(1);
    expect(of("lock_held_seconds_sum", ',path="statement"')).toBeGreaterThan(0);
    // Two hits and two misses of patients; a ward that is missed, put into the process, and twice verified there.
    expect(of("store_seconds_count", ',operation="read",outcome="ok"')).toBe(6);
    expect(of("store_seconds_count", ',operation="check",outcome="ok"')).toBe(2);
    expect(of("store_seconds_count", ',operation="unlock",outcome="ok"')).toBe(2);
    expect(of("breaker_open", "")).toBe(0);
    expect(of("store_outages_total", "")).toBe(0);
    expect(of("pending_invalidations", "")).toBe(0);
    await until(async () => (await samples(registry))['typeorm_coherent_near_copies{cache="clinic"}'] === 0);
  });

  it("tell of a Redis that is away, and of what was made up for", async () => {
    const { cache, dataSource } = await open();
    const registry = new Registry();
    closing.push(collectCacheMetrics(registry, cache));
    const of = async (name: string) => (await samples(registry))[`typeorm_coherent_${name}`];
    await server.kill("SIGTERM");
    await until(async () => (await of('breaker_open{cache="clinic"}')) === 1);
    await cache.repository(Patient).findOneBy({ id: 1 });
    await dataSource.query("UPDATE patient SET diagnosis = 'x' WHERE id = 1");
    expect(await of('pending_invalidations{cache="clinic"}')).toBeGreaterThan(0);
    expect(await of('bypasses_total{cache="clinic",entity="Patient",reason="store-unavailable"}')).toBe(1);
    expect(await of('store_errors_total{cache="clinic",operation="lock"}')).toBe(1);
    expect(await of('lock_wait_seconds_count{cache="clinic",path="statement",outcome="failed"}')).toBe(1);
    expect(await of('store_outages_total{cache="clinic"}')).toBe(1);
    await server.restart();
    await until(async () => (await of('pending_invalidations{cache="clinic"}')) === 0);
    expect(await of('breaker_open{cache="clinic"}')).toBe(0);
    expect(await of('invalidations_total{cache="clinic",path="made-up-for",table="patient"}')).toBe(1);
  });

  it("are those of the caches that were named, and end with them", async () => {
    const [named, other, unnamed] = await Promise.all([open("a"), open("b"), open("c")]);
    const registry = new Registry();
    const stop = collectCacheMetrics(registry, [named.cache, other.cache]);
    closing.push(stop);
    expect(() => collectCacheMetrics(registry, unnamed.cache)).toThrow(CacheConfigError);
    for (const { cache } of [named, other, unnamed]) await cache.repository(Patient).findOneBy({ email: emailOf(2) });
    const misses = Object.keys(await samples(registry)).filter((line) => line.includes("misses_total"));
    expect(misses.map((line) => /cache="(.)"/.exec(line)?.[1])).toEqual(["a", "b"]);
    await named.cache.close();
    expect(hasSubscribers("typeorm-coherent:hit")).toBe(true);
    await other.cache.close();
    for (const channel of [
      "typeorm-coherent:hit",
      "typeorm-coherent:closed",
      "tracing:typeorm-coherent:store:asyncEnd",
    ])
      expect([channel, hasSubscribers(channel)]).toEqual([channel, false]);
    expect(registry.getMetricsAsArray().length).toBeGreaterThan(0);
    stop();
    expect(registry.getMetricsAsArray()).toEqual([]);
  });

  it("have names that the dashboard and the docs know, and no others", async () => {
    const { cache } = await open();
    const registry = new Registry();
    closing.push(collectCacheMetrics(registry, cache));
    const metrics = await registry.getMetricsAsJSON();
    const exported = metrics.flatMap(({ name, type }) =>
      String(type) === "histogram" ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
    );
    const dashboard = JSON.parse(docs("grafana-dashboard.json")) as Dashboard;
    const asked = dashboard.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));
    const variables = dashboard.templating.list.flatMap(({ query }) => (typeof query === "string" ? [query] : []));
    const used = [...asked, ...variables].flatMap((text) => text.match(/typeorm_coherent_\w+/g) ?? []);
    expect(used.filter((name) => !exported.includes(name))).toEqual([]);
    const isShown = (name: string) => used.some((one) => one.startsWith(name));
    expect(metrics.map(({ name }) => name).filter((name) => !isShown(name))).toEqual([]);
    const described = new Set(docs("telemetry.md").match(/typeorm_coherent_\w+/g));
    expect(metrics.map(({ name }) => name).filter((name) => !described.has(name))).toEqual([]);
  });

  it("come with a dashboard that Grafana can import", () => {
    const { __inputs, __requires, panels, uid, schemaVersion } = JSON.parse(
      docs("grafana-dashboard.json"),
    ) as Dashboard;
    expect(__inputs).toEqual([
      expect.objectContaining({ name: "DS_PROMETHEUS", type: "datasource", pluginId: "prometheus" }),
    ]);
    expect(__requires.map(({ id }) => id)).toEqual(expect.arrayContaining(["grafana", "prometheus"]));
    expect([typeof uid, typeof schemaVersion]).toEqual(["string", "number"]);
    const shown = panels.filter(({ type }) => type !== "row");
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    for (const { title, datasource, targets, gridPos } of shown) {
      expect([title, datasource?.uid]).toEqual([title, "${DS_PROMETHEUS}"]);
      expect(targets?.every(({ expr }) => expr.includes('cache=~"$cache"'))).toBe(true);
      expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
    }
  });
});

interface Dashboard {
  readonly __inputs: readonly object[];
  readonly __requires: readonly { readonly id: string }[];
  readonly uid: string;
  readonly schemaVersion: number;
  readonly templating: { readonly list: readonly { readonly query?: unknown }[] };
  readonly panels: readonly {
    readonly id: number;
    readonly type: string;
    readonly title: string;
    readonly gridPos: { readonly x: number; readonly w: number };
    readonly datasource?: { readonly uid: string };
    readonly targets?: readonly { readonly expr: string }[];
  }[];
}
