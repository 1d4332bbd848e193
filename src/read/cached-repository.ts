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
import { cacheableQuery, type CacheableRead, type ReadKind } from "./cacheable-query";
import type { ReadThrough } from "./read-through";

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
    const found = await this.read("exists", "one", { ...options, loadEagerRelations: false });
    return found === undefined ? super.exists(options) : found.length > 0;
  }

  override async existsBy(where: FindOptionsWhere<Entity> | FindOptionsWhere<Entity>[]): Promise<boolean> {
    const found = await this.read("existsBy", "one", { where, loadEagerRelations: false });
    return found === undefined ? super.existsBy(where) : found.length > 0;
  }

  override async count(options: FindManyOptions<Entity> = {}): Promise<number> {
    return (await this.readCount("count", options, () => super.count(options))) ?? super.count(options);
  }

  override async countBy(where: FindOptionsWhere<Entity> | FindOptionsWhere<Entity>[]): Promise<number> {
    return (await this.readCount("countBy", { where }, () => super.countBy(where))) ?? super.countBy(where);
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

  /** @returns undefined after a bypass */
  private async read(method: string, kind: ReadKind, options: FindManyOptions<Entity>): Promise<Entity[] | undefined> {
    const plan = this.plan(kind, options);
    const found =
      typeof plan === "string"
        ? plan
        : await plan.reader.readThrough.entities(this.manager, plan.model, plan.read, options);
    if (typeof found !== "string") return found as Entity[];
    this.bypass(method, found);
    return undefined;
  }

  private async readCount(
    method: string,
    options: FindManyOptions<Entity>,
    load: () => Promise<number>,
  ): Promise<number | undefined> {
    const plan = this.plan("count", options);
    const found = typeof plan === "string" ? plan : await plan.reader.readThrough.count(plan.model, plan.read, load);
    if (typeof found === "number") return found;
    this.bypass(method, found);
    return undefined;
  }

  private plan(
    kind: ReadKind,
    options: FindManyOptions<Entity>,
  ): { readonly reader: Reader; readonly model: EntityModel; readonly read: CacheableRead } | BypassReason {
    const reader = readerOf(this.manager);
    if (reader === undefined) return "closed";
    if (this.queryRunner !== undefined || this.manager.queryRunner !== undefined) return "transaction";
    const closed = reader.closedFor();
    if (closed !== undefined) return closed;
    const model = reader.modelOf(this.target);
    if (model === undefined) return "entity";
    const read = cacheableQuery(model, kind, options);
    return typeof read === "string" ? read : { reader, model, read };
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
