import { In, type DataSource, type Repository } from "typeorm";
import type { CachedRepository, CoherentCache } from "typeorm-coherent";
import { attachMemory } from "../support/cache-harness";
import { describeEachDatabase } from "../support/databases";
import { Item, Owner, Seat, Word } from "../support/entities/item";

const ENTITIES = [Item, Owner, Word, Seat];

/** Where a data source is connected to; on PostgreSQL with the search path, which is all that tells one from another. */
function connectionOf({ options }: DataSource): object {
  const { host, port, username, password, database, extra } = options as Connection;
  if (options.type !== "postgres") return options;
  const url = new URL(`postgres://localhost/${database}`);
  const parameters = { host, port, user: username, password, options: extra?.options };
  for (const [name, value] of Object.entries(parameters)) if (value) url.searchParams.set(name, String(value));
  return { url: url.href };
}

interface Connection {
  readonly host: string;
  readonly port?: number;
  readonly username: string;
  readonly password: string;
  readonly database: string;
  readonly extra?: { readonly options?: string };
}

/** The connection that the options of a test database name besides. */
const NOWHERE = { schema: undefined, extra: undefined, host: undefined, port: undefined, database: undefined };

const reads: Record<string, (items: Repository<Item>) => Promise<number>> = {
  "a row": async (items) => (await items.findOneByOrFail({ id: 1 })).rank,
  "a list": async (items) => (await items.findBy({ shelf: 1 })).reduce((sum, { rank }) => sum + rank, 0),
  "several rows": async (items) => (await items.findBy({ id: In([1, 2]) })).reduce((sum, { rank }) => sum + rank, 0),
  "whether a row is there": async (items) => Number(await items.existsBy({ code: "7" })),
  "a number": (items) => items.countBy({ active: true }),
};

// What fills the cache comes from the database itself, and from its primary.
describeEachDatabase("loads", (database) => {
  describe("where TypeORM's own query cache is on for every query", () => {
    let dataSource: DataSource;
    let cache: CoherentCache;
    let items: CachedRepository<Item>;
    beforeAll(async () => {
      dataSource = await database.open(ENTITIES, { cache: { alwaysEnabled: true, duration: 600_000 } });
      cache = await attachMemory(dataSource);
      items = cache.repository(Item);
      await items.save([
        { code: "1", shelf: 1, slot: "a" },
        { code: "2", shelf: 2, slot: "a" },
      ]);
    });

    it.each(Object.entries(reads))("%s is as new as the last write", async (what, read) => {
      const isNumber = what === "whether a row is there" || what === "a number";
      const first = await read(items);
      await items.update(1, { rank: () => "rank + 10" });
      if (isNumber) await items.save({ code: what === "a number" ? "8" : "7", shelf: 3, slot: "b" });
      expect(await read(items)).toBe(first + (isNumber ? 1 : 10));
    });

    it("so is what is written through", async () => {
      await items.findOneByOrFail({ id: 1 });
      for (const rank of [1, 2, 3]) {
        await items.save({ id: 1, rank });
        expect((await items.findOneByOrFail({ id: 1 })).rank).toBe(rank);
      }
      expect(cache.stats().writeThroughs).toBeGreaterThan(0);
    });
  });

  describe("where reads go to a replica", () => {
    it.each(Object.entries(reads))("%s comes from the primary", async (_, read) => {
      if (database.name === "sqlite") return; // It has none.
      // A replica that lags so far behind that it has no row yet.
      const [primary, replica] = [await database.open(ENTITIES), await database.open(ENTITIES)];
      await primary.getRepository(Item).insert([
        { code: "7", shelf: 1, rank: 5 },
        { code: "8", shelf: 1, rank: 6 },
      ]);
      const replicated = await database.open(ENTITIES, {
        replication: { master: connectionOf(primary), slaves: [connectionOf(replica)] },
        synchronize: false,
        ...NOWHERE,
      });
      const plain = replicated.getRepository(Item);
      expect(await plain.count()).toBe(0);
      const cache = await attachMemory(replicated);
      const expected = await read(primary.getRepository(Item));
      expect(await read(cache.repository(Item))).toBe(expected);
      expect(await read(cache.repository(Item))).toBe(expected);
      await cache.close();
    });
  });
});
