import { DataSource } from "typeorm";
import type { CoherentCache } from "typeorm-coherent";
import { attachMemory, countStatements } from "../support/cache-harness";
import { describeEachDatabase, typeormLine } from "../support/databases";
import { fillLibrary, LIBRARY } from "../support/entities/library";
import { libraryReads, type Doors } from "../support/library-reads";
import { LIBRARY_WRITES } from "../support/library-writes";
import { expectSame } from "../support/same-as";

// Reads that are no look at a key: lists, relations, numbers, query builders. Whatever is written, each of them gives what a data
// source without a cache gives, class and order of properties included, and the second time without the database.
describeEachDatabase("reads by their statements", (database) => {
  const reads = libraryReads();

  describe.each([
    ["cache.repository()", false],
    ["transparent", true],
  ])("%s", (_, transparent) => {
    let dataSource: DataSource;
    let uncached: DataSource;
    let plain: Doors;
    let cached: Doors;
    let cache: CoherentCache;
    let sent: ReturnType<typeof countStatements>;
    beforeAll(async () => {
      const options = await database.options(LIBRARY, { file: true });
      dataSource = await new DataSource(options).initialize();
      await fillLibrary(dataSource);
      uncached = await new DataSource({ ...options, synchronize: false }).initialize();
      plain = { manager: uncached.manager, repository: (target) => uncached.getRepository(target) };
      cache = await attachMemory(dataSource, { transparent });
      cached = {
        manager: dataSource.manager,
        repository: (target) =>
          transparent || !isDecorated(target) ? dataSource.getRepository(target) : cache.repository(target),
      };
      sent = countStatements(dataSource);
    });
    afterAll(async () => {
      await dataSource.destroy();
      await uncached.destroy();
    });

    const isDecorated = (target: { readonly name: string }) => !["Cover", "Topic", "Visit"].includes(target.name);

    /** A lazy relation is loaded when it is awaited, which is no call of a repository; topics are not decorated. */
    const isServed = (name: string) =>
      transparent || !["a lazy relation", "topics with books and authors"].includes(name);

    async function compare(after: string): Promise<void> {
      for (const [name, read] of Object.entries(reads)) {
        const expected = await read(plain);
        for (const time of ["first", "second"]) {
          sent.reset();
          const found = await read(cached);
          try {
            expectSame(found, expected);
          } catch (error) {
            throw new Error(`${name}, ${time} time after ${after}: ${(error as Error).message}`, { cause: error });
          }
          if (time === "second" && isServed(name)) {
            expect({ after, name, selects: sent.selects }).toEqual({ after, name, selects: [] });
          }
        }
      }
    }

    it("give what the database gives, before and after every write", async () => {
      await compare("nothing");
      // On what a read depends is no matter of the database, nor of the way in which it was asked for.
      const every = (database.name === "sqlite" ? 1 : typeormLine === "1" ? 3 : 6) * (transparent ? 4 : 1);
      for (const [at, [name, write]] of Object.entries(LIBRARY_WRITES).entries()) {
        await write(dataSource);
        if (at % every === 0) await compare(name);
      }
      expect(cache.stats().hits).toBeGreaterThan(Object.keys(reads).length);
    }, 300_000);
  });
});
