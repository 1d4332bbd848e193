import { afterAll, afterEach, beforeAll, describe, expect, it } from "@jest/globals";
import { AsyncLocalStorage } from "node:async_hooks";
import {
  context,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
  type Context,
  type ContextManager,
} from "@opentelemetry/api";
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
  type ReadableSpan,
} from "@opentelemetry/sdk-trace-base";
import { traceCaches } from "typeorm-coherent/opentelemetry";
import { openClinic, Patient, Ward } from "../../support/clinic";
import { redisForBlock } from "../../support/redis-for-block";
import type { RedisServer } from "../../support/redis-server";

/** What the context manager of the SDK for Node.js does. */
class AsyncContexts implements ContextManager {
  private readonly storage = new AsyncLocalStorage<Context>();
  active(): Context {
    return this.storage.getStore() ?? ROOT_CONTEXT;
  }
  with<A extends unknown[], F extends (...args: A) => ReturnType<F>>(
    active: Context,
    work: F,
    self?: ThisParameterType<F>,
    ...args: A
  ): ReturnType<F> {
    return this.storage.run(active, () => work.apply(self, args));
  }
  bind<T>(_active: Context, target: T): T {
    return target;
  }
  enable(): this {
    return this;
  }
  disable(): this {
    return this;
  }
}

describe("the spans of a cache", () => {
  let server: RedisServer;
  redisForBlock((_client, started) => (server = started));
  const exporter = new InMemorySpanExporter();
  const tracerProvider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
  const tracer = tracerProvider.getTracer("test");
  beforeAll(() => void context.setGlobalContextManager(new AsyncContexts()));
  afterAll(() => context.disable());
  const closing: (() => unknown)[] = [];
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
    exporter.reset();
  });

  /** Whatever the database is asked becomes a span too, as instrumentations of drivers make it. */
  async function open(options = {}) {
    const clinic = await openClinic(server.url, "clinic", options, (sql) =>
      tracer.startSpan(sql.slice(0, 6).toLowerCase()).end(),
    );
    closing.push(() => clinic.close());
    closing.push(traceCaches({ tracerProvider }));
    exporter.reset();
    return clinic;
  }

  /** Runs `work` inside of a span of the application's, and shows the tree of all spans that were made. */
  async function treeOf(work: () => Promise<unknown>): Promise<string[]> {
    const root = tracer.startSpan("request");
    await context.with(trace.setSpan(context.active(), root), work).catch(() => undefined);
    root.end();
    const spans = exporter.getFinishedSpans();
    const below = (parent: string | undefined, depth: number): string[] =>
      spans
        .filter(({ parentSpanContext }) => parentSpanContext?.spanId === parent)
        .sort((one, other) => compare(one, other))
        .flatMap((span) => ["  ".repeat(depth) + span.name, ...below(span.spanContext().spanId, depth + 1)]);
    return below(undefined, 0);
  }

  const spanOf = (name: string): ReadableSpan => exporter.getFinishedSpans().find((span) => span.name === name)!;

  it("are children of the request, and parents of what happens inside", async () => {
    const { cache } = await open();
    const read = () => cache.repository(Patient).findOneBy({ id: 1 });
    expect(await treeOf(read)).toEqual([
      "request",
      "  cache read Patient",
      "    read redis",
      "    prepare redis",
      "    select",
      "    cache fill Patient",
      "      fill redis",
    ]);
    const attributes = { "typeorm_coherent.cache": "clinic", "typeorm_coherent.entity": "Patient" };
    expect(spanOf("cache read Patient")).toMatchObject({
      kind: SpanKind.INTERNAL,
      status: { code: SpanStatusCode.UNSET },
    });
    expect(spanOf("cache read Patient").attributes).toEqual({
      ...attributes,
      "typeorm_coherent.method": "findOneBy",
      "typeorm_coherent.by": "key",
      "typeorm_coherent.outcome": "miss",
      "typeorm_coherent.hits": 0,
      "typeorm_coherent.misses": 1,
    });
    expect(spanOf("cache fill Patient").attributes).toEqual({ ...attributes, "typeorm_coherent.entries": 1 });
    expect(spanOf("read redis").kind).toBe(SpanKind.CLIENT);
    expect(spanOf("read redis").attributes).toEqual({
      "db.system.name": "redis",
      "db.operation.name": "read",
      "typeorm_coherent.cache": "clinic",
      "typeorm_coherent.items": 1,
    });
    exporter.reset();
    expect(await treeOf(read)).toEqual(["request", "  cache read Patient", "    read redis"]);
    expect(spanOf("cache read Patient").attributes).toMatchObject({ "typeorm_coherent.outcome": "hit" });
    exporter.reset();
    const statement = () => cache.repository(Patient).find({ where: { diagnosis: "none" } });
    expect(await treeOf(statement)).toEqual(expect.arrayContaining(["  cache read Patient", "    select"]));
    expect(spanOf("cache read Patient").attributes).toMatchObject({ "typeorm_coherent.by": "statement" });
  });

  it("of reads that are missed at once do not mix", async () => {
    const { cache } = await open();
    const root = tracer.startSpan("request");
    await context.with(trace.setSpan(context.active(), root), () =>
      Promise.all([cache.repository(Patient).findOneBy({ id: 1 }), cache.repository(Ward).findOneBy({ id: 1 })]),
    );
    const parentOf = (name: string) => spanOf(name).parentSpanContext?.spanId;
    expect(parentOf("cache fill Patient")).toBe(spanOf("cache read Patient").spanContext().spanId);
    expect(parentOf("cache fill Ward")).toBe(spanOf("cache read Ward").spanContext().spanId);
  });

  it("show a write from its lock to its unlock", async () => {
    const { cache, dataSource } = await open();
    const write = () => dataSource.query("UPDATE ward SET name = 'west' WHERE id = 1");
    expect(await treeOf(write)).toEqual([
      "request",
      "  cache lock",
      "    lock redis",
      "  update",
      "  cache unlock",
      "    unlock redis",
    ]);
    expect(spanOf("cache lock").attributes).toEqual({
      "typeorm_coherent.cache": "clinic",
      "typeorm_coherent.path": "statement",
      "typeorm_coherent.cause": "update ward",
      "typeorm_coherent.tables": ["ward"],
      "typeorm_coherent.tags": 2,
      "typeorm_coherent.attempts": 1,
    });
    expect(spanOf("cache unlock").attributes["typeorm_coherent.held_ms"]).toBeGreaterThan(0);
    exporter.reset();
    await cache.invalidate(Ward);
    expect(exporter.getFinishedSpans().map(({ name }) => name)).toEqual(["invalidate redis", "cache invalidate"]);
  });

  it("say that the store or the database failed, and not with which words", async () => {
    const { cache, dataSource } = await open();
    await dataSource.query("DROP TABLE ward");
    exporter.reset();
    await expect(cache.repository(Ward).findOneBy({ id: 77 })).rejects.toThrow("no such table");
    const read = spanOf("cache read Ward");
    expect(read.status).toEqual({ code: SpanStatusCode.ERROR });
    expect([read.attributes["error.type"], read.events]).toEqual(["QueryFailedError", []]);
    await server.kill("SIGSTOP");
    try {
      exporter.reset();
      await cache.repository(Patient).findOneBy({ id: 1 });
    } finally {
      await server.kill("SIGCONT");
    }
    expect(spanOf("read redis").status).toEqual({ code: SpanStatusCode.ERROR });
    expect(spanOf("read redis").attributes["error.type"]).toBe("STORE_TIMEOUT");
    // The database has answered the caller.
    expect(spanOf("cache read Patient").status.code).toBe(SpanStatusCode.UNSET);
    expect(spanOf("cache read Patient").attributes).toMatchObject({
      "typeorm_coherent.outcome": "bypass",
      "typeorm_coherent.reason": "store-unavailable",
    });
  });

  it("are made of the operations that were asked for, until it is ended", async () => {
    const { cache } = await openClinic(server.url, "clinic").then((clinic) => {
      closing.push(() => clinic.close());
      return clinic;
    });
    const stop = traceCaches({ tracerProvider, operations: ["store"] });
    await cache.repository(Patient).findOneBy({ id: 1 });
    expect(new Set(exporter.getFinishedSpans().map(({ name }) => name))).toEqual(
      new Set(["read redis", "prepare redis", "fill redis"]),
    );
    stop();
    exporter.reset();
    await cache.repository(Patient).findOneBy({ id: 2 });
    expect(exporter.getFinishedSpans()).toEqual([]);
  });
});

/** By when they began; of those that began in one tick, in the order in which they ended. */
function compare(one: ReadableSpan, other: ReadableSpan): number {
  return one.startTime[0] - other.startTime[0] || one.startTime[1] - other.startTime[1];
}
