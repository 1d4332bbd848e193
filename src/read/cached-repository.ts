import {
  EntityNotFoundError,
  Repository,
  type DataSource,
  type EntityManager,
  type FindManyOptions,
  type FindOneOptions,
  type FindOptionsWhere,
  type ObjectLiteral,
} from "typeorm";
import type { BypassReason, CacheReporter } from "../events";
import type { EntityModel } from "../metadata/entity-model";
import { cacheableQuery, type ReadKind } from "./cacheable-query";
import type { ReadCall, ReadThrough } from "./read-through";

/** What a repository finds its cache by. */
export interface Reader {
  readonly readThrough: ReadThrough;
  readonly reporter: CacheReporter;
  /** Undefined for an entity that is not cached. */
  readonly modelOf: (target: Repository<ObjectLiteral>["target"]) => EntityModel | undefined;
  /** Why nothing may be served right now. */
  readonly closedFor: () => BypassReason | undefined;
}

const readers = new WeakMap<DataSource, Reader>();

/** Makes the repositories of a data source read through a cache; undefined takes it away again. */
export function setReader(dataSource: DataSource, reader: Reader | undefined): void {
  if (reader === undefined) readers.delete(dataSource);
  else readers.set(dataSource, reader);
}

/**
 * A full TypeORM repository whose find methods are served from the cache where it can serve them exactly: by primary key, by
 * `In([...])` on the primary key, and by declared keys. Everything else, and every read inside a transaction, is TypeORM's own.
 *
 * @example
 * const products = cache.repository(Product);
 * await products.findOneBy({ sku: "A-1" });
 */
export class CachedRepository<Entity extends ObjectLiteral> extends Repository<Entity> {
  override async find(options: FindManyOptions<Entity> = {}): Promise<Entity[]> {
    const found = await this.read("find", "many", options);
    return found ?? super.find(options);
  }

  override async findBy(where: FindOptionsWhere<Entity> | FindOptionsWhere<Entity>[]): Promise<Entity[]> {
    const found = await this.read("findBy", "many", { where });
    return found ?? super.findBy(where);
  }

  override async findOne(options: FindOneOptions<Entity>): Promise<Entity | null> {
    const found = await this.read("findOne", "one", options);
    return found === undefined ? super.findOne(options) : (found[0] ?? null);
  }

  override async findOneBy(where: FindOptionsWhere<Entity> | FindOptionsWhere<Entity>[]): Promise<Entity | null> {
    const found = await this.read("findOneBy", "one", { where });
    return found === undefined ? super.findOneBy(where) : (found[0] ?? null);
  }

  override async findOneOrFail(options: FindOneOptions<Entity>): Promise<Entity> {
    const found = await this.read("findOneOrFail", "one", options);
    return found === undefined ? super.findOneOrFail(options) : (found[0] ?? this.notFound(options));
  }

  override async findOneByOrFail(where: FindOptionsWhere<Entity> | FindOptionsWhere<Entity>[]): Promise<Entity> {
    const found = await this.read("findOneByOrFail", "one", { where });
    return found === undefined ? super.findOneByOrFail(where) : (found[0] ?? this.notFound(where));
  }

  /** Shares the entry of `findOne` with the same key: a row that is there is the answer. */
  override async exists(options: FindManyOptions<Entity> = {}): Promise<boolean> {
    const found = await this.serve("exists", "exists", options, (through, call) => through.exists(call));
    return found ?? super.exists(options);
  }

  override async existsBy(where: FindOptionsWhere<Entity> | FindOptionsWhere<Entity>[]): Promise<boolean> {
    const found = await this.serve("existsBy", "exists", { where }, (through, call) => through.exists(call));
    return found ?? super.existsBy(where);
  }

  override async count(options: FindManyOptions<Entity> = {}): Promise<number> {
    const found = await this.serve("count", "count", options, (through, call) => through.count(call));
    return found ?? super.count(options);
  }

  override async countBy(where: FindOptionsWhere<Entity> | FindOptionsWhere<Entity>[]): Promise<number> {
    const found = await this.serve("countBy", "count", { where }, (through, call) => through.count(call));
    return found ?? super.countBy(where);
  }

  override async findAndCount(options?: FindManyOptions<Entity>): Promise<[Entity[], number]> {
    this.bypass("findAndCount", "method");
    return super.findAndCount(options);
  }

  override async findAndCountBy(
    where: FindOptionsWhere<Entity> | FindOptionsWhere<Entity>[],
  ): Promise<[Entity[], number]> {
    this.bypass("findAndCountBy", "method");
    return super.findAndCountBy(where);
  }

  private read(method: string, kind: ReadKind, options: FindManyOptions<Entity>): Promise<Entity[] | undefined> {
    return this.serve(
      method,
      kind,
      options,
      (through, call) => through.entities(call) as Promise<Entity[] | BypassReason>,
    );
  }

  /** @returns undefined after a bypass */
  private async serve<Result extends readonly unknown[] | boolean | number>(
    method: string,
    kind: ReadKind,
    options: FindManyOptions<Entity>,
    read: (readThrough: ReadThrough, call: ReadCall) => Promise<Result | BypassReason>,
  ): Promise<Result | undefined> {
    // TypeORM 0.3 and 1.x disagree on whether the options of one entity are those of any.
    const untyped: object = options;
    const plan = this.plan(kind, untyped);
    const found = typeof plan === "string" ? plan : await read(plan.readThrough, plan.call);
    if (typeof found !== "string") return found;
    this.bypass(method, found);
    return undefined;
  }

  private plan(
    kind: ReadKind,
    options: FindManyOptions<ObjectLiteral>,
  ): { readonly readThrough: ReadThrough; readonly call: ReadCall } | BypassReason {
    const { manager } = this;
    const reader = readerOf(manager);
    if (reader === undefined) return "closed";
    if (this.queryRunner !== undefined || manager.queryRunner !== undefined) return "transaction";
    const closed = reader.closedFor();
    if (closed !== undefined) return closed;
    const model = reader.modelOf(this.target);
    if (model === undefined) return "entity";
    const read = cacheableQuery(model, kind, options);
    return typeof read === "string"
      ? read
      : { readThrough: reader.readThrough, call: { manager, model, read, options } };
  }

  private bypass(method: string, reason: BypassReason): void {
    readerOf(this.manager)?.reporter.emit("bypass", { entity: this.metadata.name, method, reason });
  }

  private notFound(criteria: unknown): never {
    throw new EntityNotFoundError(this.target, criteria);
  }
}

/** TypeORM 1.x calls it dataSource, 0.3 connection. */
function readerOf(manager: EntityManager): Reader | undefined {
  const { dataSource, connection } = manager as unknown as { dataSource?: DataSource; connection?: DataSource };
  const found = dataSource ?? connection;
  return found === undefined ? undefined : readers.get(found);
}
