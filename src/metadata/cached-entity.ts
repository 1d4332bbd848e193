import type { EntityTarget, ObjectLiteral } from "typeorm";
import { CacheConfigError } from "../errors";
import type { Strategy } from "../options";
import type { EntityModel } from "./entity-model";

/** A cached entity, and how it is cached; times in milliseconds. */
export interface CachedEntity {
  readonly name: string;
  /** The path of its table. */
  readonly table: string;
  readonly strategy: Strategy;
  readonly ttl: number;
  /** 0: "there is no such row" is not remembered. */
  readonly negativeTtl: number;
  /** Property paths of the declared keys, each a list; the primary key is not among them. */
  readonly keys: readonly (readonly string[])[];
  /** How copies in this process are believed; undefined: there are none. */
  readonly near: "verify" | "trust" | undefined;
}

export function cachedEntity({ name, metadata, settings }: EntityModel): CachedEntity {
  const { strategy, ttl, negativeTtl, keys, near } = settings;
  return { name, table: metadata.tablePath, strategy, ttl, negativeTtl, keys, near: near?.mode };
}

export function notCached(target: EntityTarget<ObjectLiteral>): CacheConfigError {
  const name = typeof target === "function" ? target.name : JSON.stringify(target);
  return new CacheConfigError(
    "NOT_CACHED",
    `${name} is not cached. Put @Cached() on it, or name it in the option entities.`,
  );
}
