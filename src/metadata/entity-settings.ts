import { inspect } from "node:util";
import type { EntityMetadata } from "typeorm";
import ms from "ms";
import { jitteredTtl } from "../core/ttl";
import { CacheConfigError } from "../errors";
import type {
  CachedOptions,
  CacheOptions,
  Duration,
  EntityCacheOptions,
  KeyBuilder,
  NearOptions,
  SingleFlightScope,
  Strategy,
  ViewSource,
} from "../options";
import { cachedOptionsOf, declaredKeysOf, lineage } from "./decorators";

/** What an entity's decorators and options amount to; times in milliseconds. */
export interface EntitySettings {
  readonly strategy: Strategy;
  readonly ttl: number;
  /** 0: no negative entries. */
  readonly negativeTtl: number;
  readonly jitter: number;
  /** Of an entry in the store. */
  readonly maxEntryBytes: number;
  /** Milliseconds; undefined: nothing that is stale is served. */
  readonly staleWhileRevalidate?: number | undefined;
  /** Among whom one load is shared. Default: process. */
  readonly singleFlight?: SingleFlightScope | undefined;
  /** Undefined: no copies. */
  readonly near?: NearSettings | undefined;
  readonly keyBuilder: KeyBuilder | undefined;
  /** Property paths; each list is one key. The primary key is not among them. */
  readonly keys: readonly (readonly string[])[];
  /** What a view is said to be made of; undefined if nothing is said. */
  readonly dependsOn?: readonly ViewSource[] | undefined;
}

const DEFAULTS = Object.freeze({
  strategy: "invalidate",
  ttl: "10m",
  negativeTtl: "1m",
  jitter: 0.1,
  maxEntryBytes: 1024 * 1024,
} as const);

/** How copies in this process are kept. */
export interface NearSettings {
  readonly mode: "verify" | "trust";
  readonly max: number;
  readonly maxBytes: number;
  readonly ttl: number;
}

/** @returns undefined if the entity is not to be cached */
export function settingsOf(metadata: EntityMetadata, options: CacheOptions): EntitySettings | undefined {
  const named = namedOptions(metadata, options);
  if (named === false) return undefined;
  const decorated = typeof metadata.target === "function" ? cachedOptionsOf(metadata.target) : undefined;
  if (decorated === undefined && named === undefined && options.entities !== "all") return undefined;
  const declared = typeof metadata.target === "function" ? declaredKeysOf(metadata.target) : [];
  const paths = [...declared, ...embeddedKeys(metadata), ...keysIn(named, metadata.name)];
  const merged = merge(DEFAULTS, options.defaults, decorated, named);
  return {
    ...resolve(
      metadata.tableType === "view" ? ofView(merged, [decorated, named], metadata.name) : merged,
      options,
      metadata.name,
    ),
    dependsOn: dependsOnOf(metadata, named?.dependsOn ?? decorated?.dependsOn),
    keys: distinct(paths.map((path) => (typeof path === "string" ? [path] : path))),
  };
}

/**
 * The settings of what belongs to no cached entity.
 *
 * @throws CacheConfigError `CONFIG_INVALID`
 */
export function defaultSettings(options: CacheOptions): EntitySettings {
  return { ...resolve(merge(DEFAULTS, options.defaults), options, "defaults"), keys: [] };
}

/**
 * How long an entry is kept, in milliseconds: its TTL with jitter, or for as long as it may be served although it is stale.
 *
 * @param ttl milliseconds that it is fresh
 */
export function lifetimeOf(
  ttl: number,
  { jitter, staleWhileRevalidate = 0 }: Pick<EntitySettings, "jitter" | "staleWhileRevalidate">,
): number {
  return Math.max(jitteredTtl(ttl, jitter, Math.random()), staleWhileRevalidate);
}

/**
 * Milliseconds of a duration.
 *
 * @throws CacheConfigError `CONFIG_INVALID` if it is not one, or not above `least`
 */
export function milliseconds(duration: Duration, option: string, least = 1, entity?: string): number {
  const value = typeof duration === "number" ? duration : typeof duration === "string" ? parse(duration) : NaN;
  if (!Number.isFinite(value) || value < least) {
    throw new CacheConfigError(
      "CONFIG_INVALID",
      `${option}${entity === undefined ? "" : ` of ${entity}`} is ${inspect(duration)}, but must be at least ${least} milliseconds: a number, or a text such as "10m".`,
      entity === undefined ? {} : { entity },
    );
  }
  return Math.round(value);
}

function parse(duration: string): number {
  try {
    return ms(duration as ms.StringValue) ?? NaN;
  } catch {
    return NaN;
  }
}

function namedOptions(metadata: EntityMetadata, options: CacheOptions): EntityCacheOptions | false | undefined {
  if (typeof options.entities !== "object" || !Object.hasOwn(options.entities, metadata.name)) return undefined;
  const named: unknown = options.entities[metadata.name];
  if (named === undefined || named === false) return named;
  if (typeof named === "object" && named !== null && !Array.isArray(named)) return named;
  throw invalid(metadata.name, "what entities says of it must be an object of options, or false to turn it off.");
}

function keysIn(named: EntityCacheOptions | undefined, entity: string): readonly (string | readonly string[])[] {
  const keys: unknown = named?.keys ?? [];
  const isPath = (path: unknown) => typeof path === "string" && path !== "";
  const isKey = (key: unknown) => isPath(key) || (Array.isArray(key) && key.length > 0 && key.every(isPath));
  if (Array.isArray(keys) && keys.every(isKey)) return keys as (string | readonly string[])[];
  throw invalid(entity, 'keys must be a list of property paths, or of lists of them: ["sku", ["tenantId", "slug"]].');
}

/** Later settings win; one that is there but undefined says nothing. */
function merge(
  defaults: typeof DEFAULTS,
  ...settings: readonly (CachedOptions | undefined)[]
): CachedOptions & Required<Pick<CachedOptions, keyof typeof DEFAULTS>> {
  const said = settings.map((one) => Object.entries(one ?? {}).filter(([, value]) => value !== undefined));
  return { ...defaults, ...(Object.fromEntries(said.flat()) as CachedOptions) };
}

type Merged = ReturnType<typeof merge>;

/** A default strategy is meant for tables; one that the view names itself is meant. */
function ofView(merged: Merged, own: readonly (CachedOptions | undefined)[], entity: string): Merged {
  const named = own.findLast((options) => options?.strategy !== undefined)?.strategy;
  if (named === "write-through") {
    throw invalid(
      entity,
      'strategy "write-through" is for tables: which rows of a view a write changes is not known. Use "invalidate".',
    );
  }
  return { ...merged, strategy: named ?? "invalidate" };
}

function dependsOnOf(metadata: EntityMetadata, dependsOn: unknown): readonly ViewSource[] | undefined {
  if (dependsOn === undefined) return undefined;
  if (!Array.isArray(dependsOn)) {
    throw invalid(
      metadata.name,
      'dependsOn must be a list of entity names, table names or classes: ["product", Category].',
    );
  }
  if (metadata.tableType === "view") return dependsOn as readonly ViewSource[];
  throw invalid(metadata.name, "dependsOn is for views, and this is a table. Take it off.");
}

function resolve(
  merged: CachedOptions & Required<Pick<CachedOptions, keyof typeof DEFAULTS>>,
  options: CacheOptions,
  entity: string,
): Omit<EntitySettings, "keys" | "dependsOn"> {
  const { strategy, jitter } = merged;
  if (strategy !== "write-through" && strategy !== "invalidate") {
    throw invalid(entity, `strategy is ${inspect(strategy)}, but must be "write-through" or "invalidate".`);
  }
  if (strategy === "write-through" && options.consistency === "relaxed") {
    throw invalid(
      entity,
      `strategy "write-through" needs the lock that consistency "relaxed" leaves out. Use "invalidate", or consistency "available" or "strict".`,
    );
  }
  if (typeof jitter !== "number" || !(jitter >= 0 && jitter < 1)) {
    throw invalid(entity, `jitter is ${inspect(jitter)}, but must be a share from 0 up to, not including, 1.`);
  }
  const keyBuilder = merged.keyBuilder ?? options.keyBuilder;
  if (keyBuilder !== undefined && typeof keyBuilder !== "function") {
    throw invalid(entity, "keyBuilder must be a function that returns the text of a key.");
  }
  const ttl = milliseconds(merged.ttl, "ttl", 1, entity);
  const negativeTtl = milliseconds(merged.negativeTtl, "negativeTtl", 0, entity);
  if (negativeTtl > ttl && merged.negativeTtl !== DEFAULTS.negativeTtl) {
    throw invalid(
      entity,
      `negativeTtl (${negativeTtl} ms) is longer than ttl (${ttl} ms). Shorten the one or lengthen the other.`,
    );
  }
  const { staleWhileRevalidate, singleFlight, maxEntryBytes } = merged;
  if (!Number.isSafeInteger(maxEntryBytes) || maxEntryBytes < 1) {
    throw invalid(entity, `maxEntryBytes is ${inspect(maxEntryBytes)}, but must be a positive integer.`);
  }
  if (singleFlight !== undefined && singleFlight !== "process" && singleFlight !== "everywhere") {
    throw invalid(entity, `singleFlight is ${inspect(singleFlight)}, but must be "process" or "everywhere".`);
  }
  return {
    strategy,
    jitter,
    near: nearSettings(merged.near, entity),
    keyBuilder,
    ttl,
    negativeTtl: Math.min(negativeTtl, ttl),
    singleFlight,
    maxEntryBytes,
    staleWhileRevalidate:
      staleWhileRevalidate === undefined || staleWhileRevalidate === false
        ? undefined
        : milliseconds(staleWhileRevalidate, "staleWhileRevalidate", 1, entity),
  };
}

function nearSettings(near: unknown, entity: string): NearSettings | undefined {
  if (near === undefined || near === false) return undefined;
  if (typeof near !== "object" || near === null) {
    throw invalid(entity, `near is ${inspect(near)}, but must be false or { mode, max, maxBytes, ttl }.`);
  }
  const { mode = "verify", max = 1000, maxBytes = 16 * 1024 * 1024, ttl = "1m" } = near as NearOptions;
  if (mode !== "verify" && mode !== "trust") {
    throw invalid(entity, `near.mode is ${inspect(mode)}, but must be "verify" or "trust".`);
  }
  for (const [name, value] of Object.entries({ max, maxBytes })) {
    if (!Number.isSafeInteger(value) || value < 1)
      throw invalid(entity, `near.${name} is ${inspect(value)}, but must be a positive integer.`);
  }
  return { mode, max, maxBytes, ttl: milliseconds(ttl, "near.ttl", 1, entity) };
}

/** Keys that stand on the properties of embedded classes, as paths from the entity. */
function embeddedKeys(metadata: EntityMetadata): (string | readonly string[])[] {
  return metadata.allEmbeddeds.flatMap((embedded) =>
    lineage(embedded.type as object).length === 0
      ? []
      : declaredKeysOf(embedded.type as object).map((key) =>
          typeof key === "string"
            ? `${embedded.propertyPath}.${key}`
            : key.map((path) => `${embedded.propertyPath}.${path}`),
        ),
  );
}

function distinct(keys: readonly (readonly string[])[]): (readonly string[])[] {
  return [...new Map(keys.map((paths) => [paths.join(","), paths])).values()];
}

function invalid(entity: string, problem: string): CacheConfigError {
  return new CacheConfigError("CONFIG_INVALID", `${entity}: ${problem}`, { entity });
}
