import { AsyncLocalStorage } from "node:async_hooks";
import { tracingChannel } from "node:diagnostics_channel";
import {
  context,
  SpanStatusCode,
  trace,
  type Attributes,
  type Context,
  type Span,
  type Tracer,
  type TracerProvider,
} from "@opentelemetry/api";
import { CacheError } from "../errors";
import type { OperationName, TracedOperation } from "../telemetry/operations";
import { described, type Description } from "./descriptions";

/** What {@link traceCaches} takes. */
export interface TraceOptions {
  /** Default: the one that is registered. */
  readonly tracerProvider?: TracerProvider;
  /** Which operations become spans. Default: all. */
  readonly operations?: readonly OperationName[];
}

const ALL: readonly OperationName[] = ["read", "fill", "lock", "unlock", "invalidate", "store"];

/**
 * Makes spans of what all caches of this process do: reads, fills, locks, unlocks, invalidations, and each call of the store. A span is a child
 * of the one that is active, and active itself for what happens inside, so that the statements of a miss are its children. Names and attributes
 * hold no keys, values or parameters; docs/telemetry.md lists them.
 *
 * @returns a function that ends it
 * @example
 * traceCaches(); // once, after the OpenTelemetry SDK was started
 */
export function traceCaches({ tracerProvider, operations = ALL }: TraceOptions = {}): () => void {
  const tracer = (tracerProvider ?? trace).getTracer("typeorm-coherent");
  const undo = operations.map((name) => follow(name, tracer));
  return () => {
    for (const step of undo.splice(0)) step();
  };
}

/**
 * What a channel runs an operation under. Node hands it the context that `begin` has made, and OpenTelemetry makes that the active one: what is
 * bound to a channel is asked for nothing but `run`.
 */
class ActiveContext extends AsyncLocalStorage<Context> {
  override run<Result>(active: Context, ...[work, ...args]: unknown[]): Result {
    return context.with(active, () => (work as (...args: unknown[]) => Result)(...args));
  }
}

function follow<Name extends OperationName>(name: Name, tracer: Tracer): () => void {
  const { start, asyncEnd } = tracingChannel<Context, TracedOperation<Name>>(`typeorm-coherent:${name}`);
  const spans = new WeakMap<object, Span>();
  const active = new ActiveContext();
  const begin = (operation: TracedOperation<Name>): Context => {
    const { name: called, kind, attributes } = described(name, operation);
    const span = tracer.startSpan(called, { kind, attributes });
    spans.set(operation, span);
    return trace.setSpan(context.active(), span);
  };
  const end = (message: unknown): void => {
    const operation = message as TracedOperation<Name>;
    const span = spans.get(operation);
    if (span === undefined) return;
    finish(span, operation.error, described(name, operation));
  };
  start.bindStore(active, begin);
  asyncEnd.subscribe(end);
  return () => {
    start.unbindStore(active);
    asyncEnd.unsubscribe(end);
  };
}

/** No message of an error goes into a span: a database quotes values in its own. */
function finish(span: Span, error: Error | undefined, { outcome }: Description): void {
  const attributes: Attributes = { ...outcome };
  if (error !== undefined) {
    attributes["error.type"] = error instanceof CacheError ? error.code : error.name;
    span.setStatus({ code: SpanStatusCode.ERROR });
  }
  span.setAttributes(attributes);
  span.end();
}
