import {
  ChildEntity,
  Column,
  Entity,
  JoinColumn,
  JoinTable,
  ManyToMany,
  ManyToOne,
  MoreThan,
  OneToOne,
  PrimaryColumn,
  PrimaryGeneratedColumn,
  TableInheritance,
  type EntityManager,
} from "typeorm";
import { CacheKey, Cached } from "typeorm-coherent";
import {
  coarse,
  coarseAlone,
  committing,
  exact,
  NEXT_ID,
  precise,
  sorted,
  wide,
  type Shape,
  type WritePath,
} from "./shape";

@Entity()
@TableInheritance({ column: { type: "varchar", length: 20, name: "kind" } })
@Cached()
class Animal {
  @PrimaryGeneratedColumn() id!: number;
  @CacheKey() @Column({ length: 40 }) name!: string;
}

@ChildEntity()
class Cat extends Animal {
  @Column({ default: 9 }) lives!: number;
}

@ChildEntity()
class Dog extends Animal {
  @CacheKey() @Column({ type: "varchar", length: 40, nullable: true }) trick!: string | null;
}

/** Rows of several classes in one table, read and written by the repositories of each. */
const ANIMALS: Shape = {
  name: "single-table inheritance",
  entities: [Cat, Dog, Animal],
  seed: async ({ manager }) => {
    await manager.insert(Cat, [
      { id: 1, name: "Tom" },
      { id: 2, name: "Kit" },
    ]);
    await manager.insert(Dog, [
      { id: 3, name: "Rex", trick: "sit" },
      { id: 4, name: "Kit" },
    ]);
  },
  reads: (of) => {
    const all: ReturnType<Shape["reads"]> = {};
    for (const entity of [Animal, Cat, Dog] as (new () => Animal)[]) {
      const repository = of(entity);
      // To a child's repository a row of another class is none, and drops what it knows of it all the same.
      const kind = entity === Animal ? exact : wide;
      for (const id of [1, 2, 3, NEXT_ID]) all[`${entity.name} ${id}`] = kind(() => repository.findOneBy({ id }));
      for (const name of ["Kit", "Rex", "New"]) {
        all[`${entity.name} ${name}`] = kind(() => sorted(repository.findBy({ name })));
        all[`number of ${entity.name} ${name}`] = wide(() => repository.countBy({ name }));
      }
    }
    all["cats with lives"] = wide(() => sorted(of(Cat).findBy({ lives: MoreThan(1) })));
    for (const trick of ["sit", "roll"]) all[`trick ${trick}`] = exact(() => sorted(of(Dog).findBy({ trick })));
    return all;
  },
  other: (m) => m.update(Cat, 2, { lives: 1 }),
  paths: () => ({
    "save of a child": precise((m) => m.save(Cat, { id: 1, name: "New", lives: 8 })),
    "save by the parent's repository": precise((m) => m.save(Animal, { id: 1, name: "New" })),
    "a new child": precise((m) => m.save(m.create(Dog, { name: "New", trick: "sit" }))),
    "a new parent": precise((m) => m.save(Animal, { name: "New" })),
    "insert of a child": coarseAlone((m) => m.insert(Dog, { name: "New", trick: "roll" })),
    "update by id, by the parent's repository": coarseAlone((m) => m.update(Animal, 1, { name: "New" })),
    "update by id, of a child's column": precise((m) => m.update(Cat, 1, { lives: 8 })),
    "update by a key, by the parent's repository": coarse((m) => m.update(Animal, { name: "Rex" }, { name: "New" })),
    "the key of one child": coarse((m) => m.update(Dog, { name: "Rex" }, { trick: "roll" })),
    "update of another child's row": {
      ...coarseAlone((m) => m.update(Dog, 1, { name: "New" })),
      touches: ["Animal 1"],
    },
    "increment of a child's column by a key": precise((m) => m.increment(Cat, { name: "Kit" }, "lives", 1)),
    "delete by the parent's repository": precise((m) => m.delete(Animal, 3)),
    "delete by the child's": { ...precise((m) => m.delete(Dog, { name: "Kit" })), touches: ["Animal 2"] },
    remove: precise(async (m) => m.remove(await m.findOneByOrFail(Animal, { id: 3 }))),
    "a child becomes another one": coarseAlone((m) =>
      m.query("UPDATE animal SET kind = 'Dog', trick = 'sit' WHERE id = 1"),
    ),
    "children become others": precise((m) => m.query("UPDATE animal SET kind = 'Dog' WHERE name = 'Kit'")),
  }),
};

@Entity()
class Member {
  @PrimaryColumn() id!: number;
  @ManyToMany(() => Club)
  @JoinTable({ name: "membership", joinColumn: { name: "memberId" }, inverseJoinColumn: { name: "clubId" } })
  clubs!: unknown[];
}

@Entity()
class Club {
  @PrimaryColumn() id!: number;
}

/** The join table of a many-to-many relation, as an entity of its own. */
@Entity("membership")
@Cached()
class Membership {
  @PrimaryColumn() memberId!: number;
  @CacheKey() @PrimaryColumn() clubId!: number;
  @ManyToOne(() => Member, { onDelete: "CASCADE" }) @JoinColumn({ name: "memberId" }) member!: Member;
  @ManyToOne(() => Club, { onDelete: "CASCADE" }) @JoinColumn({ name: "clubId" }) club!: Club;
}

const relation = (m: EntityManager, member: number) => m.createQueryBuilder().relation(Member, "clubs").of(member);

const MEMBERSHIPS: Shape = {
  name: "a join table",
  entities: [Membership, Member, Club],
  seed: async ({ manager }) => {
    await manager.insert(Club, [{ id: 1 }, { id: 2 }, { id: 3 }]);
    await manager.save(Member, [
      { id: 1, clubs: [{ id: 1 }, { id: 2 }] },
      { id: 2, clubs: [{ id: 2 }] },
    ]);
  },
  reads: (of) => {
    const memberships = of(Membership);
    const all: ReturnType<Shape["reads"]> = {};
    for (const clubId of [1, 2, 3]) {
      all[`club ${clubId}`] = exact(() => sorted(memberships.findBy({ clubId }), "memberId"));
      all[`members of club ${clubId}`] = wide(() => memberships.countBy({ clubId }));
      for (const memberId of [1, 2]) {
        all[`member ${memberId} of club ${clubId}`] = exact(() => memberships.findOneBy({ memberId, clubId }));
      }
    }
    const order = { memberId: "ASC", clubId: "ASC" } as const;
    all["all, with their members"] = wide(() => memberships.find({ relations: { member: true }, order }));
    return all;
  },
  other: (m) => m.delete(Membership, { memberId: 2, clubId: 2 }),
  paths: () => ({
    "save with other relations": precise((m) => m.save(Member, { id: 1, clubs: [{ id: 3 }] })),
    "save with more": precise((m) => m.save(Member, { id: 2, clubs: [{ id: 2 }, { id: 3 }] })),
    "save with none": precise((m) => m.save(Member, { id: 1, clubs: [] })),
    "relation add": coarseAlone((m) => relation(m, 2).add([1, 3])),
    "relation remove": precise((m) => relation(m, 1).remove(2)),
    "relation add and remove": coarseAlone((m) => relation(m, 1).addAndRemove(3, [1, 2])),
    "save of the entity itself": precise((m) => m.save(Membership, { memberId: 2, clubId: 3 })),
    "insert of the entity itself": coarseAlone((m) => m.insert(Membership, { memberId: 2, clubId: 3 })),
    "delete of the entity itself": precise((m) => m.delete(Membership, { clubId: 2 })),
    "delete of one side": coarse((m) => m.delete(Member, 1)),
    "remove of the other side": precise(async (m) => m.remove(await m.findOneByOrFail(Club, { id: 2 }))),
    "raw insert": coarseAlone((m) => {
      const columns = ["memberId", "clubId"].map((name) => m.connection.driver.escape(name)).join(", ");
      return m.query(`INSERT INTO membership (${columns}) VALUES (2, 1)`);
    }),
    "raw delete": coarse((m) => m.query(`DELETE FROM membership WHERE ${m.connection.driver.escape("memberId")} = 1`)),
  }),
};

@Entity()
@Cached()
class Vehicle {
  @PrimaryColumn() id!: number;
  @CacheKey() @Column({ length: 40 }) name!: string;
}

/** What more there is to some vehicles: it has their primary key. */
@Entity()
@Cached()
class Truck {
  @PrimaryColumn() id!: number;
  @OneToOne(() => Vehicle, { eager: true, cascade: true, onDelete: "CASCADE" })
  @JoinColumn({ name: "id" })
  vehicle!: Vehicle;
  @CacheKey() @Column({ name: "tons" }) load!: number;
}

const truck = (id: number, name: string, load: number) => ({ id, load, vehicle: { id, name } });

/** TypeORM has one table per hierarchy, or one per class; a table for what the parent has, one makes by a relation. */
const VEHICLES: Shape = {
  name: "class-table inheritance by a relation",
  entities: [Truck, Vehicle],
  seed: async ({ manager }) => {
    await manager.save(Truck, [truck(1, "Ant", 5), truck(2, "Bee", 7)]);
    await manager.insert(Vehicle, { id: 3, name: "Cat" });
  },
  reads: (of) => {
    const [trucks, vehicles] = [of(Truck), of(Vehicle)];
    const all: ReturnType<Shape["reads"]> = {};
    for (const id of [1, 2, 3, 4]) {
      all[`vehicle ${id}`] = exact(() => vehicles.findOneBy({ id }));
      all[`truck ${id}`] = wide(() => trucks.findOneBy({ id }));
      // A write of the other table leaves it alone.
      all[`truck ${id} alone`] = wide(() => trucks.findOne({ where: { id }, loadEagerRelations: false }));
    }
    for (const name of ["Ant", "New"]) {
      all[`vehicles ${name}`] = exact(() => sorted(vehicles.findBy({ name })));
      all[`trucks ${name}`] = wide(() => sorted(trucks.findBy({ vehicle: { name } })));
    }
    for (const load of [5, 9]) all[`trucks of ${load}`] = wide(() => sorted(trucks.findBy({ load })));
    return all;
  },
  other: (m) => m.update(Vehicle, 2, { name: "Bat" }),
  paths: () => ({
    "a new child with its parent": precise((m) => m.save(Truck, truck(4, "New", 9))),
    "save of both": precise((m) => m.save(Truck, truck(1, "New", 9))),
    "save of the child's part": precise((m) => m.save(Truck, { id: 1, load: 9 })),
    "update of the parent's part": coarseAlone((m) => m.update(Vehicle, 1, { name: "New" })),
    "update of the parent's part by a key": coarse((m) => m.update(Vehicle, { name: "Ant" }, { name: "New" })),
    "a parent becomes a child": precise((m) => m.save(Truck, { id: 3, load: 9 })),
    "a child becomes its parent": precise((m) => m.delete(Truck, 1)),
    "delete of both, by the parent's": precise((m) => m.delete(Vehicle, 1)),
    remove: precise(async (m) => m.remove(await m.findOneByOrFail(Vehicle, { id: 1 }))),
    "raw update of the parent's part": coarse((m) => m.query("UPDATE vehicle SET name = 'New' WHERE name <> 'Bee'")),
  }),
};

/** Nothing refers to it, so that it can be truncated. */
@Entity()
@Cached()
class LogLine {
  @PrimaryGeneratedColumn() id!: number;
  @CacheKey() @Column({ length: 40 }) text!: string;
}

const copied = async (m: EntityManager) => {
  await m.query("CREATE TABLE copy_of_log AS SELECT * FROM log_line");
  await m.query("DELETE FROM log_line");
  await m.query("INSERT INTO log_line (id, text) SELECT id + 1, text FROM copy_of_log");
  await m.query("DROP TABLE copy_of_log");
};

/** What empties a table, and DDL. */
const LOG: Shape = {
  name: "a table as a whole",
  entities: [LogLine],
  seed: ({ manager }) =>
    manager.insert(LogLine, [
      { id: 1, text: "a" },
      { id: 2, text: "b" },
    ]),
  reads: (of) => {
    const lines = of(LogLine);
    const all: ReturnType<Shape["reads"]> = {};
    for (const id of [1, 2, 3]) all[`line ${id}`] = exact(() => lines.findOneBy({ id }));
    for (const text of ["a", "b"]) {
      all[`lines ${text}`] = exact(() => sorted(lines.findBy({ text })));
      all[`number of ${text}`] = wide(() => lines.countBy({ text }));
    }
    return all;
  },
  other: (m) => m.update(LogLine, 2, { text: "c" }),
  paths: ({ name }): Record<string, WritePath> => {
    // MySQL commits before these, whatever is around them.
    const whole = name === "mariadb" ? committing : coarse;
    return {
      "clear()": whole((m) => m.clear(LogLine)),
      TRUNCATE: whole((m) => m.query(name === "sqlite" ? "DELETE FROM log_line" : "TRUNCATE TABLE log_line")),
      "CREATE and DROP": whole(copied),
      "a new column": whole(async (m) => {
        await m.query("ALTER TABLE log_line ADD COLUMN more int");
        await m.query("ALTER TABLE log_line DROP COLUMN more");
      }),
    };
  },
};

/** Tables that several entities, or none, are mapped to. */
export const OTHERS: readonly Shape[] = [ANIMALS, VEHICLES, MEMBERSHIPS, LOG];
