import { Redis } from "ioredis";
import { Column, DataSource, Entity, PrimaryGeneratedColumn } from "typeorm";
import { attachCache, Cached, LockError, RedisStore, type CacheOptions, type CoherentCache } from "typeorm-coherent";
import { quarantineOver } from "../support/cache-harness";
import { describeEachDatabase } from "../support/databases";
import { startRedis, until } from "../support/redis-server";

@Entity()
@Cached()
class Account {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) balance!: number;
}

/** Milliseconds; long enough for a busy machine, and each test waits at least the one and, with a Redis that hangs, the other. */
const LOCK_TTL = 800;
const TIMEOUT = 300;

type Server = Awaited<ReturnType<typeof startRedis>>;

describeEachDatabase("when Redis is away", (database) => {
  let server: Server;
  let dataSource: DataSource;
  let other: DataSource;
  const clients: Redis[] = [];
  let cache: CoherentCache;
  let neighbour: CoherentCache;

  /** Two processes' worth of caches over one database and one Redis. */
  async function attach(consistency: NonNullable<CacheOptions["consistency"]>): Promise<void> {
    const attachOne = async (source: DataSource) => {
      const client = new Redis(server.url, { lazyConnect: true, retryStrategy: () => 20 });
      client.on("error", () => undefined);
      clients.push(client);
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
        quarantineOver(store, [dataSource.getMetadata(Account).tablePath]).then(
          () => true,
          () => false,
        ),
      );
      return attached;
    };
    cache = await attachOne(dataSource);
    neighbour = await attachOne(other);
  }

  beforeEach(async () => {
    server = await startRedis();
    const options = await database.options([Account], { file: true });
    dataSource = await new DataSource(options).initialize();
    other = await new DataSource({ ...options, synchronize: false }).initialize();
    await dataSource.getRepository(Account).save({ balance: 1 });
  });
  afterEach(async () => {
    await server.kill("SIGCONT"); // A frozen one could not be stopped; one that is gone does not mind.
    await dataSource.destroy();
    await other.destroy();
    for (const client of clients.splice(0)) client.disconnect();
    await server.stop();
    await database.cleanup();
  });

  const stored = async () => (await dataSource.getRepository(Account).findOneByOrFail({ id: 1 })).balance;
  const served = async (by: CoherentCache) => (await by.repository(Account).findOneByOrFail({ id: 1 })).balance;
  const pause = () => process.kill(server.pid, "SIGSTOP");
  const resume = () => process.kill(server.pid, "SIGCONT");

  it.each(["strict", "available", "relaxed"] as const)("%s: a write is seen by everybody at once", async (mode) => {
    await attach(mode);
    for (let balance = 2; balance < 6; balance += 1) {
      await served(cache);
      await served(neighbour);
      await cache.repository(Account).save({ id: 1, balance });
      expect([await served(cache), await served(neighbour)]).toEqual([balance, balance]);
      await dataSource.query(`UPDATE account SET balance = ${balance * 10}`);
      expect([await served(cache), await served(neighbour)]).toEqual([balance * 10, balance * 10]);
    }
    expect(neighbour.stats().hits).toBeGreaterThan(0);
  });

  it("strict: nothing is committed, and the error says so", async () => {
    await attach("strict");
    await served(cache);
    pause();
    const saved = await cache
      .repository(Account)
      .save({ id: 1, balance: 2 })
      .catch((error: unknown) => error);
    expect(saved).toBeInstanceOf(LockError);
    expect(saved).toMatchObject({
      code: "LOCK_FAILED",
      message: expect.stringMatching(/nothing was committed/) as string,
    });
    await expect(dataSource.query("UPDATE account SET balance = 3")).rejects.toBeInstanceOf(LockError);
    await expect(dataSource.getRepository(Account).update(1, { balance: 4 })).rejects.toBeInstanceOf(LockError);
    expect(await stored()).toBe(1);
    resume();
    expect(await served(cache)).toBe(1);
  });

  it("available: it is committed; this process reads from the database until everybody else was told", async () => {
    await attach("available");
    expect([await served(cache), await served(neighbour)]).toEqual([1, 1]);
    pause();
    await cache.repository(Account).save({ id: 1, balance: 2 });
    await dataSource.getRepository(Account).update(1, { balance: 3 });
    expect(await stored()).toBe(3);
    expect(cache.stats().pending).toBeGreaterThan(0);
    expect(await served(cache)).toBe(3);
    expect(cache.stats().bypasses["store-unavailable"]).toBeGreaterThan(0);
    const told = new Promise<void>((resolve) => {
      const look = setInterval(() => {
        if (cache.stats().pending > 0) return;
        clearInterval(look);
        resolve();
      }, 5);
    });
    resume();
    await told;
    expect([await served(cache), await served(neighbour)]).toEqual([3, 3]);
  });

  it("available: a Redis that was killed and comes back empty serves nothing old", async () => {
    await attach("available");
    await served(cache);
    await served(neighbour);
    await server.kill("SIGKILL");
    await cache.repository(Account).save({ id: 1, balance: 2 });
    expect([await served(cache), await served(neighbour)]).toEqual([2, 2]);
    await server.restart();
    await cache.repository(Account).save({ id: 1, balance: 3 });
    expect([await served(cache), await served(neighbour)]).toEqual([3, 3]);
  });

  it("the lock of a writer that dies before its COMMIT ends by itself", async () => {
    await attach("strict");
    await served(neighbour);
    const store = new RedisStore(clients[0]!);
    await store.open({ namespace: "modes", lockTtl: LOCK_TTL, timeout: TIMEOUT }, []);
    const table = dataSource.getMetadata(Account).tablePath;
    await store.lock([`${table}|id=1`], "dead-writer", [], 60_000);
    await store.close();
    expect(await served(neighbour)).toBe(1);
    expect(neighbour.stats().unfilled.locked).toBe(1);
    const filled = new Promise<void>((resolve) => neighbour.on("fill", () => resolve()));
    while ((await Promise.race([filled.then(() => "filled"), served(neighbour)])) !== "filled");
    const { hits } = neighbour.stats();
    expect(await served(neighbour)).toBe(1);
    expect(neighbour.stats().hits).toBe(hits + 1);
  });

  /** Rejects as strict writes do when nothing was committed. */
  const refused = (work: Promise<unknown>) =>
    expect(work).rejects.toMatchObject({ name: "LockError", code: "LOCK_FAILED" });
  /** Reads until an entry is served, so that nothing stays locked or bypassed for ever. */
  const caching = (by: CoherentCache) =>
    until(async () => {
      const { hits } = by.stats();
      await served(by);
      return by.stats().hits > hits;
    });

  const ways: [string, () => Promise<unknown>][] = [
    ["that hangs", () => server.kill("SIGSTOP")],
    ["that was killed", () => server.kill("SIGKILL")],
    ["that was shut down", () => server.kill("SIGTERM")],
  ];

  it.each(ways)("strict, with a Redis %s: neither transactions nor statements go through", async (_, away) => {
    await attach("strict");
    expect([await served(cache), await served(neighbour)]).toEqual([1, 1]);
    await away();
    await refused(cache.repository(Account).save({ id: 1, balance: 2 }));
    await refused(
      dataSource.transaction(async (manager) => {
        await manager.increment(Account, { id: 1 }, "balance", 5);
        await manager.transaction((inner) => inner.save(Account, { balance: 7 }));
        await manager.query("UPDATE account SET balance = balance + 1");
      }),
    );
    await refused(dataSource.getRepository(Account).insert({ balance: 9 }));
    await refused(dataSource.getRepository(Account).delete(1));
    await refused(dataSource.query("DELETE FROM account"));
    expect(await dataSource.getRepository(Account).find()).toMatchObject([{ id: 1, balance: 1 }]);
    // Reads go on, from the database; so do transactions that only read.
    expect(await served(neighbour)).toBe(1);
    expect(await dataSource.transaction((manager) => manager.countBy(Account, { balance: 1 }))).toBe(1);
  });

  it.each(ways)(
    "strict, with a Redis %s and that comes back: writes go through again, and are seen",
    async (_, away) => {
      await attach("strict");
      await served(neighbour);
      await away();
      await refused(cache.repository(Account).save({ id: 1, balance: 2 }));
      if (_ === "that hangs") resume();
      else await server.restart();
      await until(() =>
        cache
          .repository(Account)
          .save({ id: 1, balance: 3 })
          .then(
            () => true,
            () => false,
          ),
      );
      expect([await served(cache), await served(neighbour)]).toEqual([3, 3]);
      // The lock whose answer never came is gone too, and the quarantine of a new server passes.
      await caching(cache);
      await caching(neighbour);
    },
  );

  it.each(ways)("available, with a Redis %s: committed at once, and made up for when it is back", async (_, away) => {
    await attach("available");
    expect([await served(cache), await served(neighbour)]).toEqual([1, 1]);
    await away();
    const { id } = await cache.repository(Account).save({ balance: 8 });
    await cache.repository(Account).save({ id: 1, balance: 2 });
    await dataSource.query("UPDATE account SET balance = balance + 1");
    expect(await cache.repository(Account).findOneByOrFail({ id })).toMatchObject({ balance: 9 });
    expect(await served(cache)).toBe(3);
    expect(cache.stats()).toMatchObject({ hits: 0 });
    if (_ === "that hangs") resume();
    else await server.restart();
    await until(() => cache.stats().pending === 0);
    expect([await served(cache), await served(neighbour)]).toEqual([3, 3]);
    await caching(cache);
    await caching(neighbour);
    expect([await served(cache), await served(neighbour)]).toEqual([3, 3]);
  });

  it("available: a transaction that is rolled back meanwhile leaves nothing to make up for", async () => {
    await attach("available");
    pause();
    const rolledBack = dataSource.transaction(async (manager) => {
      await manager.save(Account, { id: 1, balance: 2 });
      throw new Error("no");
    });
    await expect(rolledBack).rejects.toThrow("no");
    expect(cache.stats().pending).toBe(0);
  });

  it("relaxed: nothing is locked, and everything is invalidated once COMMIT has returned", async () => {
    await attach("relaxed");
    const events: string[] = [];
    cache.on("lock", () => events.push("lock"));
    cache.on("invalidate", () => events.push("invalidate"));
    const { logger } = dataSource;
    const logQuery = logger.logQuery.bind(logger);
    logger.logQuery = (query, ...rest) => {
      if (/^(COMMIT|UPDATE)/.test(query)) events.push(query.split(" ")[0]!);
      logQuery(query, ...rest);
    };
    expect([await served(cache), await served(neighbour)]).toEqual([1, 1]);
    await cache.repository(Account).save({ id: 1, balance: 2 });
    expect(await served(neighbour)).toBe(2);
    await dataSource.getRepository(Account).update(1, { balance: 3 });
    expect(await served(neighbour)).toBe(3);
    expect(events).toEqual(["UPDATE", "COMMIT", "invalidate", "UPDATE", "invalidate"]);
  });

  it.each(ways)("relaxed, with a Redis %s: as available", async (_, away) => {
    await attach("relaxed");
    await served(neighbour);
    await away();
    await cache.repository(Account).save({ id: 1, balance: 2 });
    expect(await served(cache)).toBe(2);
    if (_ === "that hangs") resume();
    else await server.restart();
    await until(() => cache.stats().pending === 0);
    expect([await served(cache), await served(neighbour)]).toEqual([2, 2]);
  });

  it.each(["strict", "available"] as const)(
    "%s: an UNLOCK that is lost costs misses, and no error after COMMIT",
    async (mode) => {
      await attach(mode);
      expect([await served(cache), await served(neighbour)]).toEqual([1, 1]);
      // Redis hangs from the moment at which it has granted the lock.
      const stop = cache.on("lock", pause);
      await cache.repository(Account).save({ id: 1, balance: 2 });
      stop();
      expect(cache.stats().pending).toBeGreaterThan(0);
      expect(await served(cache)).toBe(2);
      resume();
      expect(await served(neighbour)).toBe(2);
      await until(() => cache.stats().pending === 0);
      await caching(cache);
      await caching(neighbour);
      expect([await served(cache), await served(neighbour)]).toEqual([2, 2]);
    },
  );

  it("strict: a lock that outlives its COMMIT's server is not needed: the new one has nothing old", async () => {
    await attach("strict");
    await served(neighbour);
    const killed = new Promise<void>((resolve) => {
      const stop = cache.on("lock", () => {
        stop();
        void server.kill("SIGKILL").then(resolve);
      });
    });
    await cache.repository(Account).save({ id: 1, balance: 2 });
    await killed;
    expect([await served(cache), await served(neighbour)]).toEqual([2, 2]);
    await server.restart();
    await until(() => cache.stats().pending === 0);
    await caching(neighbour);
    expect([await served(cache), await served(neighbour)]).toEqual([2, 2]);
  });

  it("FLUSHALL between LOCK and COMMIT brings back nothing old", async () => {
    await attach("strict");
    await served(neighbour);
    const flushed = new Promise<unknown>((resolve) => {
      const stop = cache.on("lock", () => {
        stop();
        resolve(clients[1]!.flushall());
      });
    });
    const saving = cache.repository(Account).save({ id: 1, balance: 2 });
    await flushed;
    await served(neighbour);
    await saving;
    expect([await served(cache), await served(neighbour)]).toEqual([2, 2]);
    await caching(neighbour);
    expect(await served(neighbour)).toBe(2);
  });
});
