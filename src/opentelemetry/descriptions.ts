import { SpanKind, type Attributes } from "@opentelemetry/api";
import type { OperationName, TracedOperation } from "../telemetry/operations";

/** How an operation looks as a span. */
export interface Description {
  readonly name: string;
  readonly kind: SpanKind;
  /** Known when it begins. */
  readonly attributes: Attributes;
  /** Known when it is over. */
  readonly outcome: Attributes;
}

const PREFIX = "typeorm_coherent";

const DESCRIPTIONS: { readonly [Name in OperationName]: (operation: TracedOperation<Name>) => Description } = {
  read: ({ cache, entity, method, by, outcome, reason, hits, misses }) => ({
    name: entity === "" ? "cache read" : `cache read ${entity}`,
    kind: SpanKind.INTERNAL,
    attributes: about(cache, { entity, method, by }),
    outcome: own({ outcome, reason, hits, misses }),
  }),
  fill: ({ cache, entity, entries }) => ({
    name: entity === "" ? "cache fill" : `cache fill ${entity}`,
    kind: SpanKind.INTERNAL,
    attributes: about(cache, { entity, entries }),
    outcome: {},
  }),
  lock: ({ cache, path, cause, tables, tags, attempts }) => ({
    name: "cache lock",
    kind: SpanKind.INTERNAL,
    attributes: about(cache, { path, cause, tables: [...tables], tags }),
    outcome: own({ attempts }),
  }),
  unlock: ({ cache, path, cause, tables, tags, held }) => ({
    name: "cache unlock",
    kind: SpanKind.INTERNAL,
    attributes: about(cache, { path, cause, tables: [...tables], tags }),
    outcome: own({ held_ms: held }),
  }),
  invalidate: ({ cache, path, cause, tables, tags }) => ({
    name: "cache invalidate",
    kind: SpanKind.INTERNAL,
    attributes: about(cache, { path, cause, tables: [...tables], tags }),
    outcome: {},
  }),
  // https://opentelemetry.io/docs/specs/semconv/db/database-spans/
  store: ({ cache, store, operation, items }) => ({
    name: `${operation} ${store}`,
    kind: store === "memory" ? SpanKind.INTERNAL : SpanKind.CLIENT,
    attributes: {
      ...about(cache, { items }),
      ...(store === "memory" ? {} : { "db.system.name": store }),
      "db.operation.name": operation,
    },
    outcome: {},
  }),
};

export function described<Name extends OperationName>(name: Name, operation: TracedOperation<Name>): Description {
  return DESCRIPTIONS[name](operation);
}

function about(cache: string, more: Attributes): Attributes {
  return own({ cache, ...more });
}

/** Under a name of ours, without what is not known. */
function own(attributes: Attributes): Attributes {
  return Object.fromEntries(
    Object.entries(attributes).flatMap(([name, value]) => (value === undefined ? [] : [[`${PREFIX}.${name}`, value]])),
  );
}
