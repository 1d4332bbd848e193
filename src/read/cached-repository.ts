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
import { isPromise, type Awaitable } from "../core/awaitable";
import type { BypassReason } from "../events";
import { dataSourceOf } from "../metadata/data-source-hooks";
import type { EntityModel } from "../metadata/entity-model";
import type { CacheReporter } from "../telemetry/cache-reporter";
import { cacheableQuery, type ReadKind } from "./cacheable-query";
import { currentScope, inScope } from "./read-scope";
import type { ReadCall, ReadResult, ReadThrough } from "./read-through";

/** What a repository finds its cache by. */
export interface Reader {
  readonly readThrough: ReadThrough;
  readonly reporter: CacheReporter;
  /** Undefined for an entity that is not cached. */
  readonly modelOf: (target: Repository<ObjectLiteral>["target"]) => EntityModel | undefined;
  /** Whether TypeORM's own methods look here first. */
  readonly transparent: boolean;
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
 * A full TypeORM repository whose find methods are served from the cache: by primary key, by declared keys and by
 * `In([...])` on a unique key without building any SQL, everything else under the SQL that TypeORM makes of it. Reads inside a transaction are
 * TypeORM's own, and so is whatever has a {@link BypassReason}.
 *
 * @example
 * const products = cache.repository(Product);
 * await products.findOneBy({ sku: "A-1" });
 */
export class CachedRepository<Entity extends ObjectLiteral> extends Repository<Entity> {
  static {
    // TypeORM 0.3 alone has these; its types say so there.
    const inherited = Repository.prototype as unknown as Record<
      string,
      ((...args: unknown[]) => Promise<unknown>) | undefined
    >;
    for (const method of ["exist", "findByIds", "findOneById"]) {
      const typeorm = inherited[method];
      if (typeorm === undefined) continue;
      Object.defineProperty(this.prototype, method, {
        value(this: CachedRepository<ObjectLiteral>, ...args: unknown[]) {
          return this.statements(method, () => typeorm.apply(this, args));
        },
      });
    }
  }

  override find(options: FindManyOptions<Entity> = {}): Promise<Entity[]> {
    return this.entities("find", "many", options, () => super.find(options));
  }

  override findBy(where: Where<Entity>): Promise<Entity[]> {
    return this.entities("findBy", "many", { where }, () => super.findBy(where));
  }

  override findOne(options: FindOneOptions<Entity>): Promise<Entity | null> {
    return this.first("findOne", options, () => super.findOne(options));
  }

  override findOneBy(where: Where<Entity>): Promise<Entity | null> {
    return this.first("findOneBy", { where }, () => super.findOneBy(where));
  }

  override async findOneOrFail(options: FindOneOptions<Entity>): Promise<Entity> {
    const found = await this.first("findOneOrFail", options, () => super.findOneOrFail(options));
    return found ?? this.notFound(options);
  }

  override async findOneByOrFail(where: Where<Entity>): Promise<Entity> {
    const found = await this.first("findOneByOrFail", { where }, () => super.findOneByOrFail(where));
    return found ?? this.notFound(where);
  }

  /** Shares the entry of `findOne` with the same key: a row that is there is the answer. */
  override exists(options: FindManyOptions<Entity> = {}): Promise<boolean> {
    return this.whether("exists", options, () => super.exists(options));
  }

  override existsBy(where: Where<Entity>): Promise<boolean> {
    return this.whether("existsBy", { where }, () => super.existsBy(where));
  }

  override count(options: FindManyOptions<Entity> = {}): Promise<number> {
    return this.number("count", options, () => super.count(options));
  }

  override countBy(where: Where<Entity>): Promise<number> {
    return this.number("countBy", { where }, () => super.countBy(where));
  }

  override findAndCount(options?: FindManyOptions<Entity>): Promise<[Entity[], number]> {
    return this.statements("findAndCount", () => super.findAndCount(options));
  }

  override findAndCountBy(where: Where<Entity>): Promise<[Entity[], number]> {
    return this.statements("findAndCountBy", () => super.findAndCountBy(where));
  }

  override sum(column: NumericColumn<Entity>, where?: Where<Entity>): Promise<number | null> {
    return this.statements("sum", () => super.sum(column, where));
  }

  override average(column: NumericColumn<Entity>, where?: Where<Entity>): Promise<number | null> {
    return this.statements("average", () => super.average(column, where));
  }

  override minimum(column: NumericColumn<Entity>, where?: Where<Entity>): Promise<number | null> {
    return this.statements("minimum", () => super.minimum(column, where));
  }

  override maximum(column: NumericColumn<Entity>, where?: Where<Entity>): Promise<number | null> {
    return this.statements("maximum", () => super.maximum(column, where));
  }

  private entities(
    method: string,
    kind: ReadKind,
    options: FindManyOptions<Entity>,
    typeorm: () => Promise<Entity[]>,
  ): Promise<Entity[]> {
    return this.serve(method, kind, options, ENTITIES as object as ByKey<Entity[], Entity[]>, typeorm);
  }

  private first(
    method: string,
    options: FindOneOptions<Entity>,
    typeorm: () => Promise<Entity | null>,
  ): Promise<Entity | null> {
    return this.serve(method, "one", options, FIRST as object as ByKey<Entity[], Entity | null>, typeorm);
  }

  private whether(method: string, options: FindManyOptions<Entity>, typeorm: () => Promise<boolean>): Promise<boolean> {
    return this.serve(method, "exists", options, EXISTS, typeorm);
  }

  private number(method: string, options: FindManyOptions<Entity>, typeorm: () => Promise<number>): Promise<number> {
    return this.serve(method, "count", options, COUNT, typeorm);
  }

  /** By key if that says it all, else by the statements that TypeORM makes of the call. */
  private serve<Found extends object | boolean | number, Result>(
    method: string,
    kind: ReadKind,
    options: FindManyOptions<Entity>,
    { look, resultOf }: ByKey<Found, Result>,
    typeorm: () => Promise<Result>,
  ): Promise<Result> {
    // TypeORM 0.3 and 1.x disagree on whether the options of one entity are those of any.
    const untyped: object = options;
    const plan = this.plan(kind, untyped);
    if (plan === undefined) return this.statements(method, typeorm);
    if (typeof plan === "string") return this.past(method, plan, typeorm);
    const { readThrough, reporter, call } = plan;
    const looked = reporter.isTraced("read")
      ? reporter.trace(
          "read",
          () => ({ entity: call.model.name, method, by: "key" }),
          (operation) => look(readThrough, { ...call, operation }),
        )
      : look(readThrough, call);
    const finish = (found: Found | BypassReason) =>
      typeof found === "string" ? this.past(method, found, typeorm) : resultOf(found);
    return isPromise(looked) ? looked.then(finish) : Promise.resolve(finish(looked));
  }

  /** TypeORM's own way, and nothing of it from the cache. */
  private past<Result>(method: string, reason: BypassReason, typeorm: () => Promise<Result>): Promise<Result> {
    this.bypass(method, reason);
    const isOffered = currentScope().cached ?? readerOf(this.manager)?.transparent ?? false;
    return isOffered ? inScope({ cached: false }, typeorm) : typeorm();
  }

  private statements<Result>(method: string, typeorm: () => Promise<Result>): Promise<Result> {
    return inScope({ cached: true, method }, typeorm);
  }

  private plan(
    kind: ReadKind,
    options: FindManyOptions<ObjectLiteral>,
  ): (Pick<Reader, "readThrough" | "reporter"> & { readonly call: ReadCall }) | BypassReason | undefined {
    const { manager } = this;
    const reader = readerOf(manager);
    if (reader === undefined) return "closed";
    if (this.queryRunner !== undefined || manager.queryRunner !== undefined) return "transaction";
    const closed = reader.closedFor();
    if (closed !== undefined) return closed;
    const model = reader.modelOf(this.target);
    if (model === undefined) return undefined;
    const read = cacheableQuery(model, kind, options);
    return read === undefined || typeof read === "string"
      ? read
      : { readThrough: reader.readThrough, reporter: reader.reporter, call: { manager, model, read, options } };
  }

  private bypass(method: string, reason: BypassReason): void {
    readerOf(this.manager)?.reporter.emit("bypass", { entity: this.metadata.name, method, reason });
  }

  private notFound(criteria: unknown): never {
    throw new EntityNotFoundError(this.target, criteria);
  }
}

/** How a method finds by key, and what it makes of that. */
interface ByKey<Found, Result> {
  readonly look: (readThrough: ReadThrough, call: ReadCall) => Awaitable<Found | BypassReason>;
  readonly resultOf: (found: Found) => Result;
}

const asFound = <Found>(found: Found): Found => found;
const ENTITIES: ByKey<ReadResult, ReadResult> = {
  look: (through, call) => through.entities(call),
  resultOf: asFound,
};
const FIRST: ByKey<ReadResult, ObjectLiteral | null> = { ...ENTITIES, resultOf: ([first]) => first ?? null };
const EXISTS: ByKey<boolean, boolean> = { look: (through, call) => through.exists(call), resultOf: asFound };
const COUNT: ByKey<number, number> = { look: (through, call) => through.count(call), resultOf: asFound };

type Where<Entity> = FindOptionsWhere<Entity> | FindOptionsWhere<Entity>[];
type NumericColumn<Entity extends ObjectLiteral> = Parameters<Repository<Entity>["sum"]>[0];

function readerOf(manager: EntityManager): Reader | undefined {
  const found = dataSourceOf(manager);
  return found === undefined ? undefined : readers.get(found);
}
