import {
  Column,
  Entity,
  PrimaryColumn,
  PrimaryGeneratedColumn,
  type DeepPartial,
  type EntityManager,
  type FindOptionsWhere,
  type ObjectLiteral,
} from "typeorm";
import { CacheKey, Cached } from "typeorm-coherent";
import { coarse, coarseAlone, exact, precise, wide, type Shape, type WritePath } from "./shape";

/** Two columns, neither of them given by the database. */
@Entity()
@Cached()
class Seat {
  @PrimaryColumn({ length: 10 }) line!: string;
  @PrimaryColumn() place!: number;
  @CacheKey() @Column({ length: 20 }) guest!: string;
  @Column({ default: 1 }) price!: number;
}

@Entity()
@Cached()
class Ticket {
  @PrimaryGeneratedColumn("uuid") id!: string;
  @CacheKey() @Column({ length: 20 }) guest!: string;
  @Column({ default: 1 }) price!: number;
}

class Address {
  @CacheKey() @Column({ length: 20 }) guest!: string;
  @Column({ default: 1 }) price!: number;
}

/** Keys and other columns stand in an object inside of the entity. */
@Entity()
@Cached()
class Parcel {
  @PrimaryColumn() id!: number;
  @Column(() => Address) to!: Address;
}

const uuid = (digit: number) => `${String(digit).repeat(8)}-1111-4111-8111-111111111111`;

/** An entity with a primary key, a declared key "guest" and another column "price"; rows 1 and 2 share a guest, 3 has one alone. */
interface Keyed<Entity extends ObjectLiteral> {
  readonly name: string;
  readonly entity: new () => Entity;
  readonly table: string;
  readonly id: (number: number) => FindOptionsWhere<Entity> & DeepPartial<Entity>;
  /** The same as SQL. */
  readonly sqlId: (number: number) => string;
  readonly values: (values: { guest?: string; price?: number }) => object;
  /** The database's names of guest and price. */
  readonly guest: string;
  readonly price: string;
  /** The database gives the primary key, which is known to nobody before. */
  readonly generated: boolean;
}

function keyed<Entity extends ObjectLiteral>(given: Keyed<Entity>): Shape {
  const { entity, id, values } = given;
  const row = (number: number, guest: string) => ({ ...id(number), ...values({ guest }) }) as DeepPartial<Entity>;
  const where = (guest: string) => values({ guest }) as FindOptionsWhere<Entity>;
  const of = (m: EntityManager) => m.getRepository(entity);
  return {
    name: given.name,
    entities: [entity],
    seed: (dataSource) =>
      dataSource.getRepository(entity).insert([row(1, "ann"), row(2, "ann"), row(3, "cyd")] as never),
    reads: (repositoryOf) => {
      const repository = repositoryOf(entity);
      const all: ReturnType<Shape["reads"]> = {};
      for (const number of [1, 2, 3, 4]) {
        all[`id ${number}`] = exact(() => repository.findOneBy(id(number)));
        all[`exists ${number}`] = wide(() => repository.existsBy(id(number)));
      }
      for (const guest of ["ann", "bob", "cyd"]) {
        const rows = () => repository.findBy(where(guest));
        all[`guest ${guest}`] = exact(async () => (await rows()).map((one) => JSON.stringify(one)).sort());
        all[`count of guest ${guest}`] = wide(() => repository.countBy(where(guest)));
      }
      return all;
    },
    other: (m) => of(m).update(id(2), values({ price: 1000 })),
    paths: ({ name }) => keyedPaths(given, row, where, name),
  };
}

function keyedPaths<Entity extends ObjectLiteral>(
  { entity, id, sqlId, table, guest, price, generated, values }: Keyed<Entity>,
  row: (number: number, guest: string) => DeepPartial<Entity>,
  where: (guest: string) => FindOptionsWhere<Entity>,
  database: string,
): Record<string, WritePath> {
  const of = (m: EntityManager) => m.getRepository(entity);
  const set = (given: { guest?: string; price?: number }) => values(given) as never;
  const loaded = (m: EntityManager, number: number) => of(m).findOneByOrFail(id(number));
  const unnamed = () => ({ ...values({ guest: "ann" }), ...(generated ? {} : id(4)) }) as DeepPartial<Entity>;
  const quote = (m: EntityManager, name: string) => m.connection.driver.escape(name);
  return {
    "save, new": precise((m) => of(m).save(unnamed())),
    "save, new, with its id": precise((m) => of(m).save(row(4, "bob"))),
    "save, partial": precise((m) => of(m).save({ ...id(1), ...values({ price: 5 }) } as DeepPartial<Entity>)),
    "save, another key": precise((m) => of(m).save(row(1, "bob"))),
    "save, several": precise((m) => of(m).save([row(1, "bob"), row(4, "ann")])),
    insert: coarseAlone((m) => of(m).insert(unnamed() as never)),
    "insert, several": coarseAlone((m) => of(m).insert([row(4, "bob"), row(5, "ann")] as never)),
    upsert: coarse((m) => of(m).upsert([row(1, "bob"), row(4, "ann")] as never, Object.keys(id(1)))),
    "update by id": precise((m) => of(m).update(id(1), set({ price: 5 }))),
    "update by id, a key": coarseAlone((m) => of(m).update(id(1), set({ guest: "bob" }))),
    "update by a key": precise((m) => of(m).update(where("ann"), set({ price: 5 }))),
    "QueryBuilder update": coarse((m) =>
      m
        .createQueryBuilder()
        .update(entity)
        .set(set({ guest: "bob" }))
        .where(`${quote(m, price)} > 0`)
        .execute(),
    ),
    "delete by id": precise((m) => of(m).delete(id(1))),
    "delete by a key": precise((m) => of(m).delete(where("ann"))),
    "QueryBuilder delete": coarse((m) =>
      m
        .createQueryBuilder()
        .delete()
        .from(entity)
        .where(`${quote(m, guest)} <> 'cyd'`)
        .execute(),
    ),
    remove: precise(async (m) => of(m).remove(await loaded(m, 1))),
    "raw update": coarseAlone((m) => m.query(`UPDATE ${table} SET ${quote(m, guest)} = 'bob' WHERE ${sqlId(1)}`)),
    "raw update of all": coarse((m) => m.query(`UPDATE ${table} SET ${quote(m, price)} = ${quote(m, price)} + 1`)),
    "raw delete": precise((m) => m.query(`DELETE FROM ${table} WHERE ${sqlId(1)} OR ${sqlId(2)}`)),
    "clear()": { ...coarse((m) => of(m).clear()), commits: database === "mariadb" },
  };
}

/** Primary keys of other kinds than a number that the database gives, and keys inside of embedded columns. */
export const KEYED: readonly Shape[] = [
  keyed<Seat>({
    name: "a composite primary key",
    entity: Seat,
    table: "seat",
    id: (number) => ({ line: number % 2 === 0 ? "B" : "A", place: number }),
    sqlId: (number) => `(place = ${number} AND line = '${number % 2 === 0 ? "B" : "A"}')`,
    values: (values) => values,
    guest: "guest",
    price: "price",
    generated: false,
  }),
  keyed<Ticket>({
    name: "a uuid",
    entity: Ticket,
    table: "ticket",
    id: (number) => ({ id: uuid(number) }),
    sqlId: (number) => `id = '${uuid(number)}'`,
    values: (values) => values,
    guest: "guest",
    price: "price",
    generated: true,
  }),
  keyed<Parcel>({
    name: "embedded columns",
    entity: Parcel,
    table: "parcel",
    id: (number) => ({ id: number }),
    sqlId: (number) => `id = ${number}`,
    values: (values) => ({ to: values }),
    guest: "toGuest",
    price: "toPrice",
    generated: false,
  }),
];
