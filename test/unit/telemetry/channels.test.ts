import { afterEach, describe, expect, it } from "@jest/globals";
import { subscribe, tracingChannel, unsubscribe } from "node:diagnostics_channel";
import { inspect } from "node:util";
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-base";
import { Registry } from "prom-client";
import type { CacheEventName, OperationName, TracedOperation } from "typeorm-coherent";
import { traceCaches } from "typeorm-coherent/opentelemetry";
import { collectCacheMetrics } from "typeorm-coherent/prometheus";
import { CacheReporter } from "../../../src/telemetry/cache-reporter";
import { emailOf, openClinic, Patient, Ward } from "../../support/clinic";
import { redisForBlock } from "../../support/redis-for-block";
import { until, type RedisServer } from "../../support/redis-server";

const OPERATIONS = Object.keys({
  ...{ read: 0, fill: 0, lock: 0, unlock: 0, invalidate: 0, store: 0 },
} satisfies Record<OperationName, number>) as OperationName[];
const EVENTS = Object.keys({
  ...{ hit: 0, miss: 0, fill: 0, unfilled: 0, bypass: 0, lock: 0, invalidate: 0, writeThrough: 0, storeError: 0 },
  ...{ storeState: 0, staleHit: 0, nearHit: 0, checked: 0, invalidated: 0, gap: 0, rejected: 0, closed: 0 },
} satisfies Record<CacheEventName, number>) as CacheEventName[];
const STEPS = ["start", "end", "asyncStart", "asyncEnd", "error"] as const;

const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

function listen(name: string, heard: (message: unknown) => void): void {
  subscribe(name, heard);
  undo.push(() => unsubscribe(name, heard));
}

function steps(name: OperationName): string[] {
  const seen: string[] = [];
  for (const step of STEPS) listen(`tracing:typeorm-coherent:${name}:${step}`, () => seen.push(step));
  return seen;
}

const ABOUT = { entity: "Patient", method: "find", by: "key" } as const;

describe("an operation", () => {
  const reporter = new CacheReporter("clinic");

  it("that nobody listens to is only run: nothing is made", () => {
    const about = () => {
      throw new Error("made for nobody");
    };
    const run = (operation: unknown) => [operation];
    expect(reporter.trace("read", about, run)).toEqual([undefined]);
    expect(OPERATIONS.map((name) => reporter.isTraced(name))).toEqual(OPERATIONS.map(() => false));
  });

  it("that answers at once does so also if somebody listens", () => {
    const seen = steps("read");
    expect(
      reporter.trace(
        "read",
        () => ABOUT,
        () => "answer",
      ),
    ).toBe("answer");
    expect(seen).toEqual(["start", "end", "asyncStart", "asyncEnd"]);
  });

  it("is over when its promise is, and hands on what that was", async () => {
    const seen = steps("read");
    let answer: (value: string) => void = () => undefined;
    const told: TracedOperation<"read">[] = [];
    listen("tracing:typeorm-coherent:read:asyncEnd", (message) => told.push(message as TracedOperation<"read">));
    const running = reporter.trace(
      "read",
      () => ABOUT,
      () => new Promise<string>((resolve) => (answer = resolve)),
    );
    expect(seen).toEqual(["start", "end"]);
    answer("answer");
    expect(await running).toBe("answer");
    expect(seen).toEqual(["start", "end", "asyncStart", "asyncEnd"]);
    expect(told).toEqual([{ cache: "clinic", ...ABOUT, duration: expect.any(Number) }]);
  });

  it.each([
    [
      "throws",
      () => {
        throw new TypeError("of a value");
      },
    ],
    ["rejects", () => Promise.reject(new TypeError("of a value"))],
  ])("that %s fails, with an error that says nothing more than its name", async (_how, run) => {
    const seen = steps("read");
    const told: TracedOperation<"read">[] = [];
    listen("tracing:typeorm-coherent:read:error", (message) => told.push(message as TracedOperation<"read">));
    const running = async () => reporter.trace("read", () => ABOUT, run);
    await expect(running()).rejects.toThrow("of a value");
    expect(seen.filter((step) => step !== "end")).toEqual(["start", "error", "asyncStart", "asyncEnd"]);
    expect(told[0]?.error?.name).toBe("TypeError");
    expect(inspect(told)).not.toContain("of a value");
  });

  it("can be followed with Node's own TracingChannel", () => {
    const seen: unknown[] = [];
    const followed = tracingChannel<object, object>("typeorm-coherent:fill");
    const store = { run: (value: unknown, work: () => unknown) => (seen.push(value), work()) };
    followed.start.bindStore(store as never, () => "bound" as never);
    undo.push(() => followed.start.unbindStore(store as never));
    reporter.trace(
      "fill",
      () => ({ entity: "Patient", entries: 1 }),
      () => seen.push("run"),
    );
    expect(seen).toEqual(["bound", "run"]);
  });
});

describe("what channels, metrics and spans tell", () => {
  let server: RedisServer;
  redisForBlock((_client, started) => (server = started));

  const HIDDEN = [
    "diagnosis-of-",
    "a-value-that-nobody-may-see",
    emailOf(1),
    emailOf(2),
    "471147114",
    "entry-secret-that",
  ];

  it("has no value of a row, no parameter, no key and no secret in it, whatever happens", async () => {
    const said: [string, unknown][] = [];
    const note = (name: string) => (message: unknown) => {
      // As it is now: the message of an operation changes until its end.
      said.push([name, inspect(message, { depth: 10, showHidden: true, maxArrayLength: null })]);
    };
    for (const name of EVENTS) listen(`typeorm-coherent:${name}`, note(name));
    for (const name of OPERATIONS)
      for (const step of STEPS) listen(`tracing:typeorm-coherent:${name}:${step}`, note(`${name}:${step}`));
    const exporter = new InMemorySpanExporter();
    const tracerProvider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
    undo.push(traceCaches({ tracerProvider }));
    const clinic = await openClinic(server.url, "clinic", {
      entrySecret: "entry-secret-that-nobody-may-see",
      consistencyCheck: { sampleRate: 1 },
    });
    undo.push(() => clinic.close());
    const { cache, dataSource } = clinic;
    const registry = new Registry();
    undo.push(collectCacheMetrics(registry, cache));
    const patients = cache.repository(Patient);
    for (const id of [1, 1, 471147114]) await patients.findOneBy({ id });
    for (const _time of [1, 2]) await patients.findOneBy({ email: emailOf(1) });
    for (const _time of [1, 2]) await patients.find({ where: { diagnosis: "a-value-that-nobody-may-see" } });
    for (const _time of [1, 2, 3]) await cache.repository(Ward).findOneBy({ id: 1 });
    await patients.save({ id: 1, diagnosis: "a-value-that-nobody-may-see", email: emailOf(2).replace("2", "9") });
    await dataSource.query("UPDATE patient SET diagnosis = ? WHERE email = ?", [
      "a-value-that-nobody-may-see",
      emailOf(2),
    ]);
    await patients
      .insert({ id: 471147114, email: emailOf(3), wardId: 1, diagnosis: "diagnosis-of-471147114" })
      .catch(() => undefined);
    await dataSource
      .transaction(async (manager) => {
        await manager.delete(Patient, { email: emailOf(2) });
        throw new Error("rolled back");
      })
      .catch(() => undefined);
    await cache.invalidate(Patient, { id: 471147114 });
    await dataSource.query("DROP TABLE ward");
    await cache
      .repository(Ward)
      .find({ where: { name: "a-value-that-nobody-may-see" } })
      .catch(() => undefined);
    await server.kill("SIGTERM");
    await until(() => cache.stats().storeState === "down");
    await patients.findOneBy({ email: emailOf(1) });
    await dataSource.query("UPDATE patient SET diagnosis = 'diagnosis-of-nobody' WHERE id = 471147114");
    await server.restart();
    await until(() => cache.stats().pending === 0);
    const metrics = await registry.metrics();
    await cache.close();
    const spans = inspect(
      exporter.getFinishedSpans().map(({ name, attributes, status, events }) => [name, attributes, status, events]),
      { depth: 10, maxArrayLength: null },
    );
    const all = [...said.map(([name, text]) => `${name} ${String(text)}`), metrics, spans];
    // Each of these was heard, so that what is looked through is all there is.
    const heard = new Set(said.map(([name]) => name));
    const expected = [
      "hit",
      "miss",
      "fill",
      "bypass",
      "lock",
      "invalidate",
      "writeThrough",
      "storeError",
      "storeState",
    ];
    const failing = [
      "read:error",
      "lock:error",
      "store:error",
      "unlock:asyncEnd",
      "invalidate:asyncEnd",
      "checked",
      "closed",
    ];
    for (const name of [...expected, ...failing]) expect(heard).toContain(name);
    expect(spans).toMatch(/cache read Patient[^]*cache lock[^]*QueryFailedError/);
    for (const hidden of HIDDEN) for (const text of all) expect(text).not.toContain(hidden);
  });
});
