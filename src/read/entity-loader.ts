import type {
  DataSource,
  EntityManager,
  FindManyOptions,
  ObjectLiteral,
  QueryRunner,
  SelectQueryBuilder,
} from "typeorm";
import { ALIAS, type RawRow, type RowCodec, type RowImage } from "../codec/row-codec";
import type { Tag } from "../core/tag";
import type { EntityModel } from "../metadata/entity-model";
import { memberTags, type KeyMembers } from "./key-members";
import { currentScope, inScope } from "./read-scope";

/** A result as the database gave it: what the caller gets, and the rows that it was made of. */
export interface Loaded {
  readonly entities: readonly ObjectLiteral[];
  readonly rows: readonly RowImage[];
  readonly memberTags: readonly Tag[];
}

/** How to load. */
export interface LoadOptions {
  readonly find: FindManyOptions<ObjectLiteral>;
  /** False where TypeORM would make no entities, as for `exists()`. */
  readonly listeners: boolean;
  /** Rows whose tags are read first. */
  readonly members: readonly KeyMembers[];
}

/** Loads as TypeORM's own find methods do, and tells load listeners of entities that were not loaded. */
export class EntityLoader {
  /** @param transparent whether the SELECTs that are sent here would be cached if nobody said otherwise */
  constructor(
    private readonly dataSource: DataSource,
    private readonly transparent: boolean,
  ) {}

  /** Runs the query that `find` would run with these options. */
  load(
    manager: EntityManager,
    model: EntityModel,
    codec: RowCodec,
    { find, listeners, members }: LoadOptions,
  ): Promise<Loaded> {
    return this.onPrimary(async (runner) => {
      const tags = await memberTags(runner ?? manager, members);
      const query = manager.createQueryBuilder(model.metadata.target, ALIAS, runner).setFindOptions(uncached(find));
      let images: readonly RowImage[] | undefined;
      noteRows(query, (rows) => (images = rows.map((row) => codec.imageOf(row))));
      const { entities, raw } = await query.callListeners(listeners).getRawAndEntities<RawRow>();
      // Without an image, a row may have been changed since: it is used and not kept.
      const rows = raw.length === 0 ? [] : (images ?? raw.map(() => UNKNOWN));
      const own = model.sources === undefined ? rows : rowsOfView(rows, entities.length);
      return { entities, rows: own, memberTags: tags };
    });
  }

  /** Runs the query that `count` would run with these options. */
  count(
    manager: EntityManager,
    model: EntityModel,
    { find, members }: Pick<LoadOptions, "find" | "members">,
  ): Promise<{ readonly count: number; readonly memberTags: readonly Tag[] }> {
    return this.onPrimary(async (runner) => {
      const tags = await memberTags(runner ?? manager, members);
      const query = manager.createQueryBuilder(model.metadata.target, ALIAS, runner).setFindOptions(uncached(find));
      return { count: await query.getCount(), memberTags: tags };
    });
  }

  /** Runs load listeners and subscribers on entities that were rebuilt, as TypeORM does after a load. */
  async announce(model: EntityModel, entities: readonly ObjectLiteral[]): Promise<void> {
    if (entities.length === 0 || !this.hasLoadListeners(model)) return;
    const runner = this.dataSource.createQueryRunner();
    try {
      await (runner as RunnerWithBroadcaster).broadcaster.broadcast("Load", model.metadata, entities);
    } finally {
      await runner.release();
    }
  }

  /** A replica that lags would fill the cache with what is already outdated. What is sent in here is cached by nobody else. */
  async onPrimary<Result>(run: (runner: QueryRunner | undefined) => Promise<Result>): Promise<Result> {
    const runner = "replication" in this.dataSource.options ? this.dataSource.createQueryRunner("master") : undefined;
    try {
      const isOffered = currentScope().cached ?? this.transparent;
      return isOffered ? await inScope({ cached: false }, () => run(runner)) : await run(runner);
    } finally {
      await runner?.release();
    }
  }

  /** Mostly there are none, and then a hit does not wait for them. */
  hasLoadListeners({ metadata }: EntityModel): boolean {
    return (
      metadata.afterLoadListeners.length > 0 ||
      metadata.childEntityMetadatas.some((child) => child.afterLoadListeners.length > 0) ||
      this.dataSource.subscribers.some((subscriber) => subscriber.afterLoad !== undefined)
    );
  }
}

/** A row that is there and cannot be kept. */
const UNKNOWN: RowImage = { text: undefined, primaryKey: [], unique: new Map() };

/**
 * TypeORM makes one entity of rows of a view that are alike, and none of a row that is all null. Where that does not explain
 * how many entities there are, it has taken unlike rows for the same, which a hit would not repeat.
 */
function rowsOfView(rows: readonly RowImage[], entities: number): readonly RowImage[] {
  if (rows.some(({ text }) => text === undefined)) return rows;
  const unlike = [...new Map(rows.map((row) => [row.text, row])).values()];
  return unlike.length === entities ? unlike : rows.map(() => UNKNOWN);
}

/** TypeORM's own query cache knows no writes: what it returns must not get into this one. It may be on for every query. */
function uncached(find: FindManyOptions<ObjectLiteral>): FindManyOptions<ObjectLiteral> {
  return { ...find, cache: false };
}

/** Shows the rows of a query as the driver returned them, before TypeORM makes entities of them. */
function noteRows(query: SelectQueryBuilder<ObjectLiteral>, note: (rows: readonly RawRow[]) => void): void {
  const internals = query as unknown as QueryInternals;
  const { loadRawResults, clone } = internals;
  internals.loadRawResults = async (runner) => {
    const rows = await loadRawResults.call(query, runner);
    note(rows);
    return rows;
  };
  // With joins and a limit, TypeORM first finds the ids, and then has a clone load their rows.
  internals.clone = () => {
    const copy = clone.call(query);
    noteRows(copy, note);
    return copy;
  };
}

interface QueryInternals {
  loadRawResults: (runner: QueryRunner) => Promise<RawRow[]>;
  clone: () => SelectQueryBuilder<ObjectLiteral>;
}

interface RunnerWithBroadcaster {
  readonly broadcaster: {
    broadcast(event: "Load", metadata: EntityModel["metadata"], entities: readonly ObjectLiteral[]): Promise<void>;
  };
}
