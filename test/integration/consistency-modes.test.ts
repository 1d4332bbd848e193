import { Redis } from "ioredis";
import { Column, DataSource, Entity, PrimaryGeneratedColumn } from "typeorm";
import { attachCache, Cached, LockError, RedisStore, type CacheOptions, type CoherentCache } from "typeorm-coherent";
import { quarantineOver } from "../support/cache-harness";
import { databases, describeEachDatabase, type TestDatabase } from "../support/databases";
import { startRedis, until, type RedisServer } from "../support/redis-server";

@Entity()
@Cached()
class Account {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) balance!: number;
}

/** Milliseconds; long enough for a busy machine, and each test waits at least the one and, with a Redis that hangs, the other. */
const LOCK_TTL = 800;
const TIMEOUT = 300;

/** Two processes' worth of caches over one database and one Redis, of one test alone. */
class World {
  cache!: CoherentCache;
  neighbour!: CoherentCache;
  readonly clients: Redis[] = [];

  private constructor(
    private readonly database: TestDatabase,
    readonly server: RedisServer,
    readonly dataSource: DataSource,
    private readonly other: DataSource,
  ) {}

  static async begin(name: TestDatabase["name"]): Promise<World> {
    const database = databases().find((one) => one.name === name)!;
    const server = await startRedis();
    const options = await database.options([Account], { file: true });
    const dataSource = await new DataSource(options).initialize();
    const other = await new DataSource({ ...options, synchronize: false }).initialize();
    await dataSource.getRepository(Account).save({ balance: 1 });
    return new World(database, server, dataSource, other);
  }

  async end(): Promise<void> {
    await this.server.kill("SIGCONT"); // A frozen one could not be stopped; one that is gone does not mind.
    await this.dataSource.destroy();
    await this.other.destroy();
    for (const client of this.clients) client.disconnect();
    await this.server.stop();
    await this.database.cleanup();
  }

  async attach(consistency: NonNullable<CacheOptions["consistency"]>): Promise<void> {
    this.cache = await this.attachOne(this.dataSource, consistency);
    this.neighbour = await this.attachOne(this.other, consistency);
  }

  async stored(): Promise<number> {
    return (await this.dataSource.getRepository(Account).findOneByOrFail({ id: 1 })).balance;
  }

  async served(by: CoherentCache): Promise<number> {
    return (await by.repository(Account).findOneByOrFail({ id: 1 })).balance;
  }

  /** What the one and the other process read. */
  async both(): Promise<[number, number]> {
    return [await this.served(this.cache), await this.served(this.neighbour)];
  }

  /** Reads until an entry is served, so that nothing stays locked or bypassed for ever. */
  async caching(by: CoherentCache): Promise<void> {
    await until(async () => {
      const { hits } = by.stats();
      await this.served(by);
      return by.stats().hits > hits;
    });
  }

  pause(): void {
    process.kill(this.server.pid, "SIGSTOP");
  }

  resume(): void {
    process.kill(this.server.pid, "SIGCONT");
  }

  private async attachOne(
    source: DataSource,
    consistency: NonNullable<CacheOptions["consistency"]>,
  ): Promise<CoherentCache> {
    const client = new Redis(this.server.url, { lazyConnect: true, retryStrategy: () => 20 });
    client.on("error", () => undefined);
    this.clients.push(client);
    const store = new RedisStore(client);
    const attached = await attachCache(source, {
      store,
      consistency,
      namespace: "modes",
      lockTtl: LOCK_TTL,
      storeTimeout: TIMEOUT,
      logger: { warn: () => undefined },
    });
    await until(() =>
      quarantineOver(store, [source.getMetadata(Account).tablePath]).then(
        () => true,
        () => false,
      ),
    );
    return attached;
  }
}

describeEachDatabase("when Redis is away", (database) => {
  /** Nearly all of these wait for something to run out, so that they wait together. */
  const scenario = (run: (world: World) => Promise<void>) => async (): Promise<void> => {
    const world = await World.begin(database.name);
    try {
      await run(world);
    } finally {
      await world.end();
    }
  };

  it.concurrent.each(["strict", "available", "relaxed"] as const)("%s: a write is seen by everybody at once", (mode) =>
    scenario(async (w) => {
      await w.attach(mode);
      for (let balance = 2; balance < 6; balance += 1) {
        await w.served(w.cache);
        await w.served(w.neighbour);
        await w.cache.repository(Account).save({ id: 1, balance });
        expect(await w.both()).toEqual([balance, balance]);
        await w.dataSource.query(`UPDATE account SET balance = ${balance * 10}`);
        expect(await w.both()).toEqual([balance * 10, balance * 10]);
      }
      expect(w.neighbour.stats().hits).toBeGreaterThan(0);
    })(),
  );

  it.concurrent(
    "strict: nothing is committed, and the error says so",
    scenario(async (w) => {
      await w.attach("strict");
      await w.served(w.cache);
      w.pause();
      const saved = await w.cache
        .repository(Account)
        .save({ id: 1, balance: 2 })
        .catch((error: unknown) => error);
      expect(saved).toBeInstanceOf(LockError);
      expect(saved).toMatchObject({
        code: "LOCK_FAILED",
        message: expect.stringMatching(/nothing was committed/) as string,
      });
      await expect(w.dataSource.query("UPDATE account SET balance = 3")).rejects.toBeInstanceOf(LockError);
      await expect(w.dataSource.getRepository(Account).update(1, { balance: 4 })).rejects.toBeInstanceOf(LockError);
      expect(await w.stored()).toBe(1);
      w.resume();
      expect(await w.served(w.cache)).toBe(1);
    }),
  );

  it.concurrent(
    "available: it is committed; this process reads from the database until everybody else was told",
    scenario(async (w) => {
      await w.attach("available");
      expect(await w.both()).toEqual([1, 1]);
      w.pause();
      await w.cache.repository(Account).save({ id: 1, balance: 2 });
      await w.dataSource.getRepository(Account).update(1, { balance: 3 });
      expect(await w.stored()).toBe(3);
      expect(w.cache.stats().pending).toBeGreaterThan(0);
      expect(await w.served(w.cache)).toBe(3);
      expect(w.cache.stats().bypasses["store-unavailable"]).toBeGreaterThan(0);
      const told = new Promise<void>((resolve) => {
        const look = setInterval(() => {
          if (w.cache.stats().pending > 0) return;
          clearInterval(look);
          resolve();
        }, 5);
      });
      w.resume();
      await told;
      expect(await w.both()).toEqual([3, 3]);
    }),
  );

  it.concurrent(
    "available: a Redis that was killed and comes back empty serves nothing old",
    scenario(async (w) => {
      await w.attach("available");
      await w.served(w.cache);
      await w.served(w.neighbour);
      await w.server.kill("SIGKILL");
      await w.cache.repository(Account).save({ id: 1, balance: 2 });
      expect(await w.both()).toEqual([2, 2]);
      await w.server.restart();
      await w.cache.repository(Account).save({ id: 1, balance: 3 });
      expect(await w.both()).toEqual([3, 3]);
    }),
  );

  it.concurrent(
    "the lock of a writer that dies before its COMMIT ends by itself",
    scenario(async (w) => {
      await w.attach("strict");
      await w.served(w.neighbour);
      const store = new RedisStore(w.clients[0]!);
      await store.open({ namespace: "modes", lockTtl: LOCK_TTL, timeout: TIMEOUT }, []);
      const table = w.dataSource.getMetadata(Account).tablePath;
      await store.lock([`${table}|id=1`], "dead-writer", [], 60_000);
      await store.close();
      expect(await w.served(w.neighbour)).toBe(1);
      expect(w.neighbour.stats().unfilled.locked).toBe(1);
      const filled = new Promise<void>((resolve) => w.neighbour.on("fill", () => resolve()));
      while ((await Promise.race([filled.then(() => "filled"), w.served(w.neighbour)])) !== "filled");
      const { hits } = w.neighbour.stats();
      expect(await w.served(w.neighbour)).toBe(1);
      expect(w.neighbour.stats().hits).toBe(hits + 1);
    }),
  );

  /** Rejects as strict writes do when nothing was committed. */
  const refused = (work: Promise<unknown>) =>
    expect(work).rejects.toMatchObject({ name: "LockError", code: "LOCK_FAILED" });
  const ways: [string, (server: RedisServer) => Promise<unknown>][] = [
    ["that hangs", (server) => server.kill("SIGSTOP")],
    ["that was killed", (server) => server.kill("SIGKILL")],
    ["that was shut down", (server) => server.kill("SIGTERM")],
  ];

  it.concurrent.each(ways)("strict, with a Redis %s: neither transactions nor statements go through", (_, away) =>
    scenario(async (w) => {
      await w.attach("strict");
      expect(await w.both()).toEqual([1, 1]);
      await away(w.server);
      await refused(w.cache.repository(Account).save({ id: 1, balance: 2 }));
      await refused(
        w.dataSource.transaction(async (manager) => {
          await manager.increment(Account, { id: 1 }, "balance", 5);
          await manager.transaction((inner) => inner.save(Account, { balance: 7 }));
          await manager.query("UPDATE account SET balance = balance + 1");
        }),
      );
      await refused(w.dataSource.getRepository(Account).insert({ balance: 9 }));
      await refused(w.dataSource.getRepository(Account).delete(1));
      await refused(w.dataSource.query("DELETE FROM account"));
      expect(await w.dataSource.getRepository(Account).find()).toMatchObject([{ id: 1, balance: 1 }]);
      // Reads go on, from the database; so do transactions that only read.
      expect(await w.served(w.neighbour)).toBe(1);
      expect(await w.dataSource.transaction((manager) => manager.countBy(Account, { balance: 1 }))).toBe(1);
    })(),
  );

  it.concurrent.each(ways)(
    "strict, with a Redis %s and that comes back: writes go through again, and are seen",
    (_, away) =>
      scenario(async (w) => {
        await w.attach("strict");
        await w.served(w.neighbour);
        await away(w.server);
        await refused(w.cache.repository(Account).save({ id: 1, balance: 2 }));
        if (_ === "that hangs") w.resume();
        else await w.server.restart();
        await until(() =>
          w.cache
            .repository(Account)
            .save({ id: 1, balance: 3 })
            .then(
              () => true,
              () => false,
            ),
        );
        expect(await w.both()).toEqual([3, 3]);
        // The lock whose answer never came is gone too, and the quarantine of a new server passes.
        await w.caching(w.cache);
        await w.caching(w.neighbour);
      })(),
  );

  it.concurrent.each(ways)(
    "available, with a Redis %s: committed at once, and made up for when it is back",
    (_, away) =>
      scenario(async (w) => {
        await w.attach("available");
        expect(await w.both()).toEqual([1, 1]);
        await away(w.server);
        const { id } = await w.cache.repository(Account).save({ balance: 8 });
        await w.cache.repository(Account).save({ id: 1, balance: 2 });
        await w.dataSource.query("UPDATE account SET balance = balance + 1");
        expect(await w.cache.repository(Account).findOneByOrFail({ id })).toMatchObject({ balance: 9 });
        expect(await w.served(w.cache)).toBe(3);
        expect(w.cache.stats()).toMatchObject({ hits: 0 });
        if (_ === "that hangs") w.resume();
        else await w.server.restart();
        await until(() => w.cache.stats().pending === 0);
        expect(await w.both()).toEqual([3, 3]);
        await w.caching(w.cache);
        await w.caching(w.neighbour);
        expect(await w.both()).toEqual([3, 3]);
      })(),
  );

  it.concurrent(
    "available: a transaction that is rolled back meanwhile leaves nothing to make up for",
    scenario(async (w) => {
      await w.attach("available");
      w.pause();
      const rolledBack = w.dataSource.transaction(async (manager) => {
        await manager.save(Account, { id: 1, balance: 2 });
        throw new Error("no");
      });
      await expect(rolledBack).rejects.toThrow("no");
      expect(w.cache.stats().pending).toBe(0);
    }),
  );

  it.concurrent(
    "relaxed: nothing is locked, and everything is invalidated once COMMIT has returned",
    scenario(async (w) => {
      await w.attach("relaxed");
      const events: string[] = [];
      w.cache.on("lock", () => events.push("lock"));
      w.cache.on("invalidate", () => events.push("invalidate"));
      const { logger } = w.dataSource;
      const logQuery = logger.logQuery.bind(logger);
      logger.logQuery = (query, ...rest) => {
        if (/^(COMMIT|UPDATE)/.test(query)) events.push(query.split(" ")[0]!);
        logQuery(query, ...rest);
      };
      expect(await w.both()).toEqual([1, 1]);
      await w.cache.repository(Account).save({ id: 1, balance: 2 });
      expect(await w.served(w.neighbour)).toBe(2);
      await w.dataSource.getRepository(Account).update(1, { balance: 3 });
      expect(await w.served(w.neighbour)).toBe(3);
      expect(events).toEqual(["UPDATE", "COMMIT", "invalidate", "UPDATE", "invalidate"]);
    }),
  );

  it.concurrent.each(ways)("relaxed, with a Redis %s: as available", (_, away) =>
    scenario(async (w) => {
      await w.attach("relaxed");
      await w.served(w.neighbour);
      await away(w.server);
      await w.cache.repository(Account).save({ id: 1, balance: 2 });
      expect(await w.served(w.cache)).toBe(2);
      if (_ === "that hangs") w.resume();
      else await w.server.restart();
      await until(() => w.cache.stats().pending === 0);
      expect(await w.both()).toEqual([2, 2]);
    })(),
  );

  it.concurrent.each(["strict", "available"] as const)(
    "%s: an UNLOCK that is lost costs misses, and no error after COMMIT",
    (mode) =>
      scenario(async (w) => {
        await w.attach(mode);
        expect(await w.both()).toEqual([1, 1]);
        // Redis hangs from the moment at which it has granted the lock.
        const stop = w.cache.on("lock", () => w.pause());
        await w.cache.repository(Account).save({ id: 1, balance: 2 });
        stop();
        expect(w.cache.stats().pending).toBeGreaterThan(0);
        expect(await w.served(w.cache)).toBe(2);
        w.resume();
        expect(await w.served(w.neighbour)).toBe(2);
        await until(() => w.cache.stats().pending === 0);
        await w.caching(w.cache);
        await w.caching(w.neighbour);
        expect(await w.both()).toEqual([2, 2]);
      })(),
  );

  it.concurrent(
    "strict: a lock that outlives its COMMIT's server is not needed: the new one has nothing old",
    scenario(async (w) => {
      await w.attach("strict");
      await w.served(w.neighbour);
      const killed = new Promise<void>((resolve) => {
        const stop = w.cache.on("lock", () => {
          stop();
          void w.server.kill("SIGKILL").then(resolve);
        });
      });
      await w.cache.repository(Account).save({ id: 1, balance: 2 });
      await killed;
      expect(await w.both()).toEqual([2, 2]);
      await w.server.restart();
      await until(() => w.cache.stats().pending === 0);
      await w.caching(w.neighbour);
      expect(await w.both()).toEqual([2, 2]);
    }),
  );

  it.concurrent(
    "FLUSHALL between LOCK and COMMIT brings back nothing old",
    scenario(async (w) => {
      await w.attach("strict");
      await w.served(w.neighbour);
      const flushed = new Promise<unknown>((resolve) => {
        const stop = w.cache.on("lock", () => {
          stop();
          resolve(w.clients[1]!.flushall());
        });
      });
      const saving = w.cache.repository(Account).save({ id: 1, balance: 2 });
      await flushed;
      await w.served(w.neighbour);
      await saving;
      expect(await w.both()).toEqual([2, 2]);
      await w.caching(w.neighbour);
      expect(await w.served(w.neighbour)).toBe(2);
    }),
  );
});
