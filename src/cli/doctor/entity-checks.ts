import ms from "ms";
import type { DataSource } from "typeorm";
import type { EntityModel } from "../../metadata/entity-model";
import type { ResolvedOptions } from "../../options";
import { library } from "../needed";
import { finding, type Finding } from "./finding";

/**
 * What is cached, and how.
 *
 * @throws CacheConfigError for what attaching would refuse
 */
export function entityChecks(dataSource: DataSource, { options, namespace }: ResolvedOptions): Finding[] {
  const { models } = library().resolveSchema(dataSource, options);
  return [
    cached(dataSource, models),
    ...(models.length === 0 ? [] : [keys(models), strategies(models)]),
    namespaceCheck(dataSource, namespace, options.namespace !== undefined),
  ];
}

function cached(dataSource: DataSource, models: readonly EntityModel[]): Finding {
  const check = finding("entities");
  const names = new Set(models.map(({ name }) => name));
  const others = dataSource.entityMetadatas
    .filter(({ name, tableType }) => !names.has(name) && !tableType.endsWith("junction"))
    .map(({ name }) => name);
  const seen = `cached: ${[...names].join(", ") || "none"}; not cached: ${others.join(", ") || "none"}`;
  if (models.length === 0) return check.fail(seen, "Put @Cached() on entities, or name them in the option entities.");
  const hollow = models.filter(({ cacheable }) => !cacheable).map(({ name }) => name);
  return hollow.length === 0
    ? check.ok(seen)
    : check.warn(
        `${seen}; never found by key: ${hollow.join(", ")}`,
        "They have virtual columns, relation ids or no primary key; their reads are kept by statement only.",
      );
}

/** A unique column is there to be looked up by; without a key it is found by its statement, and dropped by every write of the table. */
function keys(models: readonly EntityModel[]): Finding {
  const check = finding("keys");
  const undeclared = models.flatMap(({ name, metadata, keys: declared }) => {
    const ids = new Set(
      declared.map(({ columns }) =>
        columns
          .map(({ databaseName }) => databaseName)
          .sort()
          .join(),
      ),
    );
    return library()
      .uniqueColumnSets(metadata)
      .filter((set) => !ids.has([...set].sort().join()))
      .map((set) => `${name}.${set.join("+")}`);
  });
  const keyless = models
    .filter((model) => model.keys.every(({ columns }) => columns.length === 0))
    .map(({ name }) => name);
  const seen = models
    .map(
      ({ name, keys: all }) =>
        `${name} by ${
          all
            .map(({ id }) => id)
            .filter(Boolean)
            .join(" or ") || "nothing"
        }`,
    )
    .join("; ");
  if (keyless.length > 0)
    return check.warn(seen, `Without a key reads are found by statement only: ${keyless.join(", ")}.`);
  return undeclared.length === 0
    ? check.ok(seen)
    : check.warn(
        seen,
        `Unique, and no @CacheKey: ${[...new Set(undeclared)].join(", ")}. If rows are looked up by it, declare it: then a write drops that row only.`,
      );
}

function strategies(models: readonly EntityModel[]): Finding {
  const check = finding("strategies");
  const seen = models
    .map(
      ({ name, settings: { strategy, ttl, near } }) =>
        `${name}: ${strategy}, ttl ${ms(ttl)}${near === undefined ? "" : `, near ${near.mode}`}`,
    )
    .join("; ");
  const stale = models.filter(({ settings }) => settings.staleWhileRevalidate !== undefined).map(({ name }) => name);
  return stale.length === 0
    ? check.ok(seen)
    : check.warn(seen, `staleWhileRevalidate gives up the promise for ${stale.join(", ")}; see docs/consistency.md.`);
}

function namespaceCheck({ options }: DataSource, namespace: string, isGiven: boolean): Finding {
  const check = finding("namespace");
  const { database } = options;
  return options.type.includes("sqlite") && database === ":memory:" && !isGiven
    ? check.warn(
        "a database in memory has another namespace each time",
        "Set the option namespace, if processes are to share the cache.",
      )
    : check.ok(namespace);
}
