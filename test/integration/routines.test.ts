import { Column, Entity, PrimaryColumn, type DataSource } from "typeorm";
import { Cached, type CachedRepository, type CoherentCache } from "typeorm-coherent";
import { attachMemory } from "../support/cache-harness";
import { describeEachDatabase, type TestDatabase } from "../support/databases";

@Entity()
@Cached()
class Stock {
  @PrimaryColumn() id!: number;
  @Column() pieces!: number;
}

@Entity()
@Cached()
class Shelf {
  @PrimaryColumn() id!: number;
  @Column() label!: string;
}

const ROUTINES: Record<TestDatabase["name"], readonly string[]> = {
  // SQLite has none of its own, and functions that the application adds cannot write.
  sqlite: [],
  postgres: [
    `CREATE FUNCTION take_one(wanted int) RETURNS int LANGUAGE plpgsql AS $$
     BEGIN UPDATE stock SET pieces = pieces - 1 WHERE id = wanted; RETURN wanted; END $$`,
    `CREATE PROCEDURE take_two(wanted int) LANGUAGE plpgsql AS $$
     BEGIN UPDATE stock SET pieces = pieces - 1 WHERE id = wanted; COMMIT;
     UPDATE stock SET pieces = pieces - 1 WHERE id = wanted; END $$`,
  ],
  mariadb: [
    `CREATE FUNCTION take_one(wanted int) RETURNS int MODIFIES SQL DATA
     BEGIN UPDATE stock SET pieces = pieces - 1 WHERE id = wanted; RETURN wanted; END`,
    `CREATE PROCEDURE take_two(wanted int)
     BEGIN UPDATE stock SET pieces = pieces - 1 WHERE id = wanted; COMMIT;
     UPDATE stock SET pieces = pieces - 1 WHERE id = wanted; END`,
  ],
};

describeEachDatabase("stored routines", (database) => {
  let dataSource: DataSource;
  let cache: CoherentCache;
  let stocks: CachedRepository<Stock>;
  let shelves: CachedRepository<Shelf>;

  const open = async (routines: Record<string, readonly string[]>) => {
    dataSource = await database.open([Stock, Shelf]);
    for (const sql of ROUTINES[database.name]) await dataSource.query(sql);
    cache = await attachMemory(dataSource, { routines });
    stocks = cache.repository(Stock);
    shelves = cache.repository(Shelf);
    await stocks.insert({ id: 1, pieces: 10 });
    await shelves.insert({ id: 1, label: "upper" });
    await read();
  };
  afterEach(() => database.cleanup());

  it("that name what is not there are refused", async () => {
    const source = await database.open([Stock]);
    const attach = (routines: unknown) => attachMemory(source, { routines: routines as Record<string, string[]> });
    await expect(attach({ take_one: ["Shelf"] })).rejects.toMatchObject({ code: "CONFIG_INVALID" });
    await expect(attach({ take_one: "stock" })).rejects.toMatchObject({ code: "CONFIG_INVALID" });
    await (await attach({ take_one: [] })).close();
  });

  // It has none of its own, and those that an application adds cannot write.
  if (database.name === "sqlite") return;

  /** The pieces in stock through the cache, and how many of the two reads were hits. */
  async function read(): Promise<[number | undefined, number]> {
    const { hits } = cache.stats();
    const stock = await stocks.findOneBy({ id: 1 });
    await shelves.findOneBy({ id: 1 });
    return [stock?.pieces, cache.stats().hits - hits];
  }

  it("a function that is declared is a write of its tables, also inside of a SELECT", async () => {
    await open({ TAKE_ONE: ["Stock"] });
    await dataSource.query("SELECT take_one(1)");
    expect(await read()).toEqual([9, 1]);
    await dataSource.transaction(async (manager) => {
      await manager.query("SELECT take_one(1)");
      await manager.query("SELECT 1");
    });
    expect(await read()).toEqual([8, 1]);
    expect(await read()).toEqual([8, 2]);
    const undone = dataSource.transaction(async (manager) => {
      await manager.query("SELECT take_one(1)");
      throw new Error("undone");
    });
    await expect(undone).rejects.toThrow("undone");
    expect(await read()).toEqual([8, 2]);
    const query = dataSource.createQueryBuilder().select("take_one(1)").from(Shelf, "s").where("s.id = 1");
    await query.getRawMany();
    expect(await read()).toEqual([7, 1]);
  });

  it("a procedure that is declared touches its tables, one that is not touches everything", async () => {
    await open({ take_two: ["stock"] });
    await dataSource.query("CALL take_two(1)");
    expect(await read()).toEqual([8, 1]);
    await cache.close();
    cache = await attachMemory(dataSource);
    [stocks, shelves] = [cache.repository(Stock), cache.repository(Shelf)];
    await read();
    expect(await read()).toEqual([8, 2]);
    await dataSource.query("CALL take_two(1)");
    expect(await read()).toEqual([6, 0]);
  });
});
