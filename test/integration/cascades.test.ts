import { Column, Entity, ManyToOne, PrimaryColumn, type DataSource } from "typeorm";
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
