import {
  Column,
  DeleteDateColumn,
  Entity,
  EntitySchema,
  JoinColumn,
  JoinTable,
  ManyToMany,
  ManyToOne,
  OneToMany,
  OneToOne,
  PrimaryColumn,
  type DataSource,
  type ObjectLiteral,
} from "typeorm";
import { CacheKey, Cached, type CoherentCache } from "typeorm-coherent";
import { attachMemory } from "../support/cache-harness";
import { describeEachDatabase } from "../support/databases";

/** Not cached itself: its deletions still reach cached children. */
@Entity()
class Region {
  @PrimaryColumn() id!: number;
}

@Entity()
@Cached()
class Branch {
  @PrimaryColumn() id!: number;
  @ManyToOne(() => Region, { onDelete: "CASCADE", onUpdate: "CASCADE" }) region!: Region;
  @CacheKey() @Column() regionId!: number;
}

@Entity()
@Cached({ strategy: "write-through" })
class Desk {
  @PrimaryColumn() id!: number;
  @ManyToOne(() => Branch, { onDelete: "CASCADE", onUpdate: "CASCADE" }) branch!: Branch;
  @CacheKey() @Column() branchId!: number;
}

@Entity()
@Cached()
class Phone {
  @PrimaryColumn() id!: number;
  @ManyToOne(() => Desk, { onDelete: "SET NULL", nullable: true }) desk!: Desk | null;
  @CacheKey() @Column({ type: "int", nullable: true }) deskId!: number | null;
}

/** Points at itself: the closure over foreign keys must end. */
@Entity()
@Cached()
class Folder {
  @PrimaryColumn() id!: number;
  @ManyToOne(() => Folder, { onDelete: "CASCADE", nullable: true }) parent!: Folder | null;
  @CacheKey() @Column({ type: "int", nullable: true }) parentId!: number | null;
}

const CACHED = [Branch, Desk, Phone, Folder];

describeEachDatabase("what the database does by itself", (database) => {
  let dataSource: DataSource;
  let cache: CoherentCache;

  beforeAll(async () => {
    dataSource = await database.open([Region, ...CACHED]);
    cache = await attachMemory(dataSource);
  });
  beforeEach(async () => {
    for (const entity of [Phone, Desk, Branch, Region, Folder])
      await dataSource.createQueryBuilder().delete().from(entity).execute();
    await dataSource.getRepository(Region).insert([{ id: 1 }, { id: 2 }]);
    await dataSource.getRepository(Branch).insert([
      { id: 1, regionId: 1 },
      { id: 2, regionId: 2 },
    ]);
    await dataSource.getRepository(Desk).insert([
      { id: 1, branchId: 1 },
      { id: 2, branchId: 2 },
    ]);
    await dataSource.getRepository(Phone).insert([
      { id: 1, deskId: 1 },
      { id: 2, deskId: 2 },
    ]);
    await dataSource.getRepository(Folder).insert([{ id: 1 }, { id: 2, parentId: 1 }, { id: 3, parentId: 2 }]);
    await everything(cached);
  });

  const cached = (entity: (typeof CACHED)[number]) => cache.repository<Desk>(entity);
  const plain = (entity: (typeof CACHED)[number]) => dataSource.getRepository<Desk>(entity);

  /** Every kind of read of every child, by the cache or past it. */
  async function everything(repositoryOf: typeof plain): Promise<unknown[]> {
    const results: unknown[] = [];
    for (const entity of CACHED) {
      const repository = repositoryOf(entity);
      const key =
        entity === Branch ? "regionId" : entity === Desk ? "branchId" : entity === Phone ? "deskId" : "parentId";
      for (const id of [1, 2, 3]) {
        results.push(await repository.findOneBy({ id }), await repository.existsBy({ [key]: id }));
        results.push(await repository.findBy({ [key]: id }), await repository.countBy({ [key]: id }));
      }
    }
    return results;
  }

  it.each<[string, () => Promise<unknown>]>([
    ["delete of a parent that is not cached", () => dataSource.getRepository(Region).delete(1)],
    ["remove of it", () => dataSource.getRepository(Region).remove({ id: 1 })],
    ["delete by SQL", () => dataSource.query("DELETE FROM branch WHERE id = 1")],
    ["delete in the middle", () => dataSource.getRepository(Desk).delete(2)],
    ["a cycle", () => dataSource.getRepository(Folder).delete(1)],
    ["a new primary key", () => dataSource.getRepository(Region).update(1, { id: 3 })],
    ["a new primary key two tables up, by SQL", () => dataSource.query("UPDATE branch SET id = 3 WHERE id = 1")],
    [
      "a transaction",
      () =>
        dataSource.transaction(async (manager) => {
          await manager.delete(Region, 2);
          await manager.delete(Folder, { id: 2 });
        }),
    ],
  ])("%s", async (_, write) => {
    const before = await everything(plain);
    await write();
    const now = await everything(plain);
    expect(now).not.toEqual(before);
    expect(await everything(cached)).toEqual(now);
    // And what those reads have filled is right too.
    expect(await everything(cached)).toEqual(now);
  });

  it("leaves the children alone when the delete is rolled back", async () => {
    const rolledBack = dataSource.transaction(async (manager) => {
      await manager.delete(Region, 1);
      throw new Error("changed my mind");
    });
    await expect(rolledBack).rejects.toThrow("changed my mind");
    const { hits } = cache.stats();
    expect(await everything(cached)).toEqual(await everything(plain));
    expect(cache.stats().hits - hits).toBe(48);
  });
});

/** Its primary key is its foreign key, so that a new one goes on to whoever refers to it. */
@Entity()
@Cached()
class Country {
  @PrimaryColumn({ length: 10 }) code!: string;
}

@Entity()
@Cached()
class Capital {
  @PrimaryColumn({ length: 10 }) code!: string;
  @OneToOne(() => Country, { onDelete: "CASCADE", onUpdate: "CASCADE" })
  @JoinColumn({ name: "code", referencedColumnName: "code" })
  country!: Country;
}

@Entity()
@Cached()
class Street {
  @PrimaryColumn() id!: number;
  @ManyToOne(() => Capital, { onDelete: "CASCADE", onUpdate: "CASCADE" })
  @JoinColumn({ name: "code", referencedColumnName: "code" })
  capital!: Capital;
  @CacheKey() @Column({ length: 10 }) code!: string;
}

/** These two point at each other. */
@Entity()
@Cached()
class Hen {
  @PrimaryColumn() id!: number;
  @ManyToOne(() => Egg, { onDelete: "CASCADE", nullable: true }) egg!: unknown;
  @CacheKey() @Column({ type: "int", nullable: true }) eggId!: number | null;
}

@Entity()
@Cached()
class Egg {
  @PrimaryColumn() id!: number;
  @ManyToOne(() => Hen, { onDelete: "CASCADE", nullable: true }) hen!: unknown;
  @CacheKey() @Column({ type: "int", nullable: true }) henId!: number | null;
}

describeEachDatabase("what the database does by itself, two tables away and around", (database) => {
  let dataSource: DataSource;
  let cache: CoherentCache;
  beforeAll(async () => {
    dataSource = await database.open([Country, Capital, Street, Hen, Egg]);
    cache = await attachMemory(dataSource);
  });
  beforeEach(async () => {
    await dataSource.query("UPDATE hen SET eggId = NULL".replace("eggId", dataSource.driver.escape("eggId")));
    for (const entity of [Street, Capital, Country, Egg, Hen]) {
      await dataSource.createQueryBuilder().delete().from(entity).execute();
    }
    await dataSource.getRepository(Country).insert([{ code: "a" }, { code: "b" }]);
    await dataSource.getRepository(Capital).insert([{ code: "a" }, { code: "b" }]);
    await dataSource.getRepository(Street).insert([
      { id: 1, code: "a" },
      { id: 2, code: "b" },
    ]);
    await dataSource.getRepository(Hen).insert([{ id: 1 }, { id: 2 }]);
    await dataSource.getRepository(Egg).insert([
      { id: 1, henId: 1 },
      { id: 2, henId: 2 },
    ]);
    await dataSource.getRepository(Hen).update(1, { eggId: 2 });
    await everything((entity) => cache.repository(entity));
  });

  type RepositoryOf = (
    entity: new () => ObjectLiteral,
  ) => Pick<ReturnType<CoherentCache["repository"]>, "findOneBy" | "findBy" | "countBy">;

  async function everything(of: RepositoryOf): Promise<unknown[]> {
    const results: unknown[] = [];
    for (const code of ["a", "b", "c"]) {
      for (const entity of [Country, Capital]) results.push(await of(entity).findOneBy({ code }));
      results.push(await of(Street).findBy({ code }), await of(Street).countBy({ code }));
    }
    for (const id of [1, 2]) {
      for (const entity of [Street, Hen, Egg]) results.push(await of(entity).findOneBy({ id }));
      results.push(
        await of(Hen).findBy({ eggId: id }),
        await of(Egg).findBy({ henId: id }),
        await of(Egg).countBy({ henId: id }),
      );
    }
    return results;
  }

  it.each<[string, () => Promise<unknown>]>([
    ["a new primary key at the top", () => dataSource.getRepository(Country).update({ code: "a" }, { code: "c" })],
    ["a new primary key at the top, by SQL", () => dataSource.query("UPDATE country SET code = 'c' WHERE code = 'b'")],
    ["a delete at the top", () => dataSource.getRepository(Country).delete({ code: "a" })],
    ["a delete in a cycle of two", () => dataSource.getRepository(Egg).delete(2)],
    ["a delete at the other side of it", () => dataSource.getRepository(Hen).delete(2)],
  ])("%s", async (_, write) => {
    const before = await everything((entity) => dataSource.getRepository(entity));
    await write();
    const now = await everything((entity) => dataSource.getRepository(entity));
    expect(now).not.toEqual(before);
    for (let round = 0; round < 2; round += 1)
      expect(await everything((entity) => cache.repository(entity))).toEqual(now);
  });
});

const ORPHANS = ["nullify", "delete", "soft-delete", "disable"] as const;

describeEachDatabase("orphans", (database) => {
  describe.each(ORPHANS)("%s", (orphanedRowAction) => {
    const Parent = new EntitySchema<{ id: number; children: { id: number }[] }>({
      name: "Parent",
      columns: { id: { type: "int", primary: true } },
      relations: {
        children: { type: "one-to-many", target: "Child", inverseSide: "parent", cascade: true },
      },
    });
    const Child = new EntitySchema<{ id: number; parentId: number | null; deletedAt: Date | null; parent: unknown }>({
      name: "Child",
      columns: {
        id: { type: "int", primary: true },
        parentId: { type: "int", nullable: true },
        deletedAt: { type: database.name === "postgres" ? "timestamp" : "datetime", deleteDate: true, nullable: true },
      },
      relations: {
        parent: {
          type: "many-to-one",
          target: "Parent",
          inverseSide: "children",
          joinColumn: { name: "parentId" },
          nullable: true,
          orphanedRowAction,
        },
      },
    });

    it("are as the database has them", async () => {
      const dataSource = await database.open([Parent, Child]);
      const cache = await attachMemory(dataSource, {
        entities: { Child: { keys: ["parentId"], strategy: "write-through" } },
      });
      const parents = dataSource.getRepository(Parent);
      await parents.save({ id: 1, children: [{ id: 1 }, { id: 2 }] });
      const read = async (of: ReturnType<typeof dataSource.getRepository<{ id: number; parentId: number | null }>>) => [
        await of.findOneBy({ id: 1 }),
        await of.findOneBy({ id: 2 }),
        await of.findOneBy({ id: 3 }),
        (await of.findBy({ parentId: 1 })).map(({ id }) => id).sort(),
        await of.countBy({ parentId: 1 }),
      ];
      await read(cache.repository(Child));
      await parents.save({ id: 1, children: [{ id: 2 }, { id: 3 }] });
      const now = await read(dataSource.getRepository(Child));
      for (let round = 0; round < 2; round += 1) expect(await read(cache.repository(Child))).toEqual(now);
    });
  });
});

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
  @OneToMany(() => Membership, (membership) => membership.club) memberships!: unknown[];
  @DeleteDateColumn() deletedAt!: Date | null;
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

describeEachDatabase("a join table that is cached too", (database) => {
  let dataSource: DataSource;
  let cache: CoherentCache;
  beforeAll(async () => {
    dataSource = await database.open([Member, Club, Membership]);
    cache = await attachMemory(dataSource);
  });
  beforeEach(async () => {
    for (const entity of [Membership, Member, Club])
      await dataSource.createQueryBuilder().delete().from(entity).execute();
    await dataSource.getRepository(Club).insert([{ id: 1 }, { id: 2 }, { id: 3 }]);
    await dataSource.getRepository(Member).save([
      { id: 1, clubs: [{ id: 1 }, { id: 2 }] },
      { id: 2, clubs: [{ id: 2 }] },
    ]);
    await read(cache.repository(Membership));
  });

  async function read(
    of: Pick<ReturnType<typeof cache.repository<Membership>>, "findOneBy" | "findBy" | "countBy">,
  ): Promise<unknown[]> {
    const found: unknown[] = [];
    for (const clubId of [1, 2, 3]) {
      found.push((await of.findBy({ clubId })).map(({ memberId }) => memberId).sort(), await of.countBy({ clubId }));
      for (const memberId of [1, 2]) found.push(await of.findOneBy({ memberId, clubId }));
    }
    return found;
  }

  it.each<[string, () => Promise<unknown>]>([
    ["save with other relations", () => dataSource.getRepository(Member).save({ id: 1, clubs: [{ id: 3 }] })],
    ["save with none", () => dataSource.getRepository(Member).save({ id: 1, clubs: [] })],
    ["relation query builder, add", () => dataSource.createQueryBuilder().relation(Member, "clubs").of(2).add([1, 3])],
    ["relation query builder, remove", () => dataSource.createQueryBuilder().relation(Member, "clubs").of(1).remove(2)],
    [
      "relation query builder, both",
      () => dataSource.createQueryBuilder().relation(Member, "clubs").of(1).addAndRemove(3, [1, 2]),
    ],
    ["delete of one side", () => dataSource.getRepository(Member).delete(1)],
    ["remove of the other", () => dataSource.getRepository(Club).remove({ id: 2 } as Club)],
    ["the entity itself", () => dataSource.getRepository(Membership).save({ memberId: 2, clubId: 3 })],
    ["its deletion", () => dataSource.getRepository(Membership).delete({ clubId: 2 })],
  ])("%s", async (_, write) => {
    const before = await read(dataSource.getRepository(Membership));
    await write();
    const now = await read(dataSource.getRepository(Membership));
    expect(now).not.toEqual(before);
    for (let round = 0; round < 2; round += 1) expect(await read(cache.repository(Membership))).toEqual(now);
  });
});
