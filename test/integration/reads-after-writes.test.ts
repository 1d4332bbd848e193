import * as fc from "fast-check";
import type { DataSource, Repository } from "typeorm";
import { MemoryStore, type CoherentCache, type Strategy } from "typeorm-coherent";
import { attachMemory } from "../support/cache-harness";
import { describeEachDatabase } from "../support/databases";
import { Item, Owner, Seat, Word } from "../support/entities/item";
import { itemReads } from "../support/item-reads";
import { itemSteps, runStep, titleOf } from "../support/item-writes";

const RUNS = 12;
/** Rows are numbered from 1 again, so that writes and reads by id meet. */
const RESTART = {
  sqlite: "DELETE FROM sqlite_sequence",
  postgres: "ALTER SEQUENCE item_id_seq RESTART",
  mariadb: "ALTER TABLE item AUTO_INCREMENT = 1",
};

// After any sequence of writes, every read through the cache equals the same read past it.
describeEachDatabase("reads after random writes", (database) => {
  const reads = itemReads();

  describe.each(["write-through", "invalidate"] satisfies Strategy[])("%s", (strategy) => {
    let dataSource: DataSource;
    let cache: CoherentCache;
    let plain: Repository<Item>;
    let cached: Repository<Item>;
    beforeAll(async () => {
      dataSource = await database.open([Item, Owner, Word, Seat]);
      cache = await attachMemory(dataSource, { store: new MemoryStore(), entities: { Item: { strategy } } });
      plain = dataSource.getRepository(Item);
      cached = cache.repository(Item);
    });

    async function compare(trail: readonly string[]): Promise<void> {
      for (const { title, read } of reads) {
        const expected = await read(plain);
        for (const attempt of ["first", "second"]) {
          expect({ trail, title, attempt, found: await read(cached) }).toEqual({
            trail,
            title,
            attempt,
            found: expected,
          });
        }
      }
    }

    it("never differ from the database's", async () => {
      await fc.assert(
        fc
          .asyncProperty(itemSteps, async (steps) => {
            const trail: string[] = [];
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
          }),
        { numRuns: RUNS },
      );
      const { hits, writeThroughs } = cache.stats();
      expect(hits).toBeGreaterThan(1000); // Else the comparison says nothing.
      if (strategy === "write-through") expect(writeThroughs).toBeGreaterThan(0);
    }, 240_000);
  });
});
