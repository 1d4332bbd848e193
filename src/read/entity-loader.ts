import { FindOperator, In, type DataSource, type EntityManager, type FindManyOptions, type ObjectLiteral } from "typeorm";
import { ALIAS, type RawRow, type RowCodec, type StoredRow } from "../codec/row-codec";
import type { EntityModel } from "../metadata/entity-model";

/** A result as the database gave it: what the caller gets, and the rows that it was made of. */
export interface Loaded {
  readonly entities: readonly ObjectLiteral[];
  readonly rows: readonly RawRow[];
}

/** Loads and rebuilds entities the way TypeORM's own find methods do. */
export class EntityLoader {
  constructor(private readonly dataSource: DataSource) {}

  /**
   * Runs the query that `find` would run with these options, on the primary: a replica that lags would fill the cache with
   * what is already outdated.
   */
  async load(manager: EntityManager, model: EntityModel, options: FindManyOptions<ObjectLiteral>): Promise<Loaded> {
    const { cache: _, ...uncached } = options;
    const runner = "replication" in this.dataSource.options ? this.dataSource.createQueryRunner("master") : undefined;
    try {
      const query = manager.createQueryBuilder(model.metadata.target, ALIAS, runner);
      const { entities, raw } = await query.setFindOptions(uncached).getRawAndEntities<RawRow>();
      return { entities, rows: raw };
    } finally {
      await runner?.release();
    }
  }

  /** Entities from stored rows, load listeners and subscribers run as for a fresh load. */
  async rebuild(model: EntityModel, codec: RowCodec, rows: readonly StoredRow[]): Promise<ObjectLiteral[]> {
    const entities = rows.map((row) => codec.hydrate(row));
    if (entities.length > 0 && this.hasLoadListeners(model)) {
      const runner = this.dataSource.createQueryRunner();
      try {
        await (runner as RunnerWithBroadcaster).broadcaster.broadcast("Load", model.metadata, entities);
      } finally {
        await runner.release();
      }
    }
    return entities;
  }

  private hasLoadListeners({ metadata }: EntityModel): boolean {
    return (
      metadata.afterLoadListeners.length > 0 ||
      metadata.childEntityMetadatas.some((child) => child.afterLoadListeners.length > 0) ||
      this.dataSource.subscribers.some((subscriber) => subscriber.afterLoad !== undefined)
    );
  }
}

/** `options` with the ids of a multi-get replaced by those that were missed. */
export function withIds(
  options: FindManyOptions<ObjectLiteral>,
  values: readonly unknown[],
): FindManyOptions<ObjectLiteral> {
  return { ...options, where: replaceIn(options.where, values) as ObjectLiteral };
}

function replaceIn(where: unknown, values: readonly unknown[]): unknown {
  if (where instanceof FindOperator) return In([...values]);
  if (Array.isArray(where)) return where.map((one) => replaceIn(one, values));
  if (typeof where !== "object" || where === null) return where;
  return Object.fromEntries(Object.entries(where).map(([name, value]) => [name, replaceIn(value, values)]));
}

interface RunnerWithBroadcaster {
  readonly broadcaster: {
    broadcast(event: "Load", metadata: EntityModel["metadata"], entities: readonly ObjectLiteral[]): Promise<void>;
  };
}
