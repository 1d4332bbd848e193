import * as fc from "fast-check";
import { Redis } from "ioredis";
import type { DataSource, Repository } from "typeorm";
import { MemoryStore, RedisStore, type CoherentCache, type Strategy } from "typeorm-coherent";
import { attachMemory } from "../support/cache-harness";
import { describeEachDatabase } from "../support/databases";
import { Item, Owner, Seat, Word } from "../support/entities/item";
import { itemReads } from "../support/item-reads";
import { itemSteps, runStep, titleOf } from "../support/item-writes";
import { startRedis, until, type RedisServer } from "../support/redis-server";

/** Sequences of writes per variant; more of them find more: `READ_RUNS=200 npx jest … --testPathPatterns reads-after`. */
const RUNS = Number(process.env["READ_RUNS"] ?? 3);
/** Rows are numbered from 1 again, so that writes and reads by id meet. */
const RESTART = {
  sqlite: "DELETE FROM sqlite_sequence",
  postgres: "ALTER SEQUENCE item_id_seq RESTART",
  mariadb: "ALTER TABLE item AUTO_INCREMENT = 1",
};

// After any sequence of writes, every read through the cache equals the same read past it.
describeEachDatabase("reads after random writes", (database) => {
  const reads = itemReads();

  const variants: [Strategy, "memory" | "redis", number][] = [
    ["write-through", "memory", RUNS],
    ["invalidate", "memory", RUNS],
    ["write-through", "redis", Math.ceil(RUNS / 2)],
  ];
  describe.each(variants)("%s, %s", (strategy, where, numRuns) => {
    let server: RedisServer | undefined;
    let client: Redis | undefined;
    let dataSource: DataSource;
    let cache: CoherentCache;
    let plain: Repository<Item>;
    let cached: Repository<Item>;
    beforeAll(async () => {
      dataSource = await database.open([Item, Owner, Word, Seat]);
      if (where === "redis") {
        server = await startRedis();
        client = new Redis(server.url);
      }
      const store = client === undefined ? new MemoryStore() : new RedisStore(client);
      cache = await attachMemory(dataSource, {
        store,
        lockTtl: 1100,
        storeTimeout: 500,
        entities: { Item: { strategy } },
      });
      plain = dataSource.getRepository(Item);
      cached = cache.repository(Item);
      // A new Redis fills nothing until its quarantine has passed.
      await until(async () => {
        await cached.findOneBy({ id: 0 });
        return cache.stats().fills > 0;
      });
    });
    afterAll(async () => {
      await cache.close();
      client?.disconnect();
      await server?.stop();
    });

    const all = (of: Repository<Item>) =>
      Promise.all(reads.map(async ({ title, read }) => ({ title, found: await read(of) })));

    async function compare(trail: readonly string[]): Promise<void> {
      const results = await all(plain);
      for (const attempt of ["first", "second"]) {
        expect({ trail, attempt, results: await all(cached) }).toEqual({ trail, attempt, results });
      }
    }

    it(
      "never differ from the database's",
      async () => {
        await fc.assert(
          fc
            .asyncProperty(itemSteps, async (steps) => {
              const trail: string[] = [];
              await compare(trail); // Entries that the first step may make stale.
              for (const step of steps) {
                trail.push(titleOf(step));
                await runStep(dataSource, step);
                await compare(trail);
              }
            })
            .beforeEach(async () => {
              await plain.createQueryBuilder().delete().execute();
              await dataSource.createQueryBuilder().delete().from(Owner).execute();
              await dataSource.query(RESTART[database.name]);
              await dataSource.query("INSERT INTO owner (id, name) VALUES (1, 'one'), (2, 'two')");
              await plain.insert([
                { code: "A", shelf: 1, ownerId: 1 },
                { code: "B", shelf: 1, rank: 1, slot: "b" },
                { code: "C", shelf: 2, rank: 2, slot: "b", active: false, ownerId: 2 },
              ]);
              // One write at least that is written through, whatever comes then.
              await plain.save({ id: 3, rank: 3 });
            }),
          { numRuns },
        );
        const { hits, writeThroughs } = cache.stats();
        expect(hits).toBeGreaterThan(200); // Else the comparison says nothing.
        if (strategy === "write-through") expect(writeThroughs).toBeGreaterThan(0);
      },
      RUNS * 30_000,
    );
  });
});
