import { Column, Entity, PrimaryColumn, type DataSource, type Repository } from "typeorm";
import { CacheKey, Cached, type CachedRepository, type CoherentCache } from "typeorm-coherent";
import { attachMemory } from "../support/cache-harness";
import { describeEachDatabase } from "../support/databases";

@Entity()
@Cached({ strategy: "write-through" })
class Account {
  @PrimaryColumn() id!: number;
  @CacheKey() @Column({ default: 1 }) branch!: number;
  @Column({ default: 0 }) balance!: number;
}

// Nothing of ours may wait for a second connection while it holds the first.
describeEachDatabase("a pool of one connection", (database) => {
  let dataSource: DataSource;
  let cache: CoherentCache;
  let cached: CachedRepository<Account>;
  let plain: Repository<Account>;
  beforeAll(async () => {
    dataSource = await database.open([Account], { poolSize: 1 });
    cache = await attachMemory(dataSource);
    cached = cache.repository(Account);
    plain = dataSource.getRepository(Account);
    await plain.insert(Array.from({ length: 5 }, (_, index) => ({ id: index + 1 })));
  });

  it("is enough for writes and reads of all kinds side by side, and nothing is stale after", async () => {
    const ids = [1, 2, 3, 4, 5];
    for (let round = 0; round < 5; round += 1) {
      const writes = [
        ...ids.map((id) => cached.save({ id, balance: round, branch: round % 3 })),
        ...ids.map((id) => cached.update(id, { branch: (round + id) % 3 })),
        ...ids.map((id) => cached.increment({ id }, "balance", 1)),
        cache.invalidate(Account, { id: 1 }),
      ];
      const reads = ids.flatMap((id) => [
        cached.findOneBy({ id }),
        cached.findBy({ branch: id % 3 }),
        cached.countBy({ branch: id % 3 }),
      ]);
      await Promise.all([...writes, ...reads]);
      const { hits } = cache.stats();
      for (let attempt = 0; attempt < 2; attempt += 1) {
        for (const id of ids) expect(await cached.findOneBy({ id })).toEqual(await plain.findOneBy({ id }));
        for (const branch of [0, 1, 2]) {
          expect(await cached.countBy({ branch })).toBe(await plain.countBy({ branch }));
        }
      }
      expect(cache.stats().hits - hits).toBeGreaterThanOrEqual(8);
    }
  });

  // On SQLite all of a process share the connection.
  if (database.name === "sqlite") return;

  it("that somebody else holds makes writes wait, and no read of what is cached", async () => {
    await cached.findOneBy({ id: 1 });
    const runner = dataSource.createQueryRunner();
    await runner.connect();
    const { hits } = cache.stats();
    const writing = cached.update(1, { balance: 77 });
    expect(await cached.findOneBy({ id: 1 })).not.toMatchObject({ balance: 77 });
    expect(cache.stats().hits).toBe(hits + 1);
    await runner.release();
    await writing;
    expect(await cached.findOneBy({ id: 1 })).toMatchObject({ balance: 77 });
  });
});
