import { Redis } from "ioredis";
import { Column, DataSource, Entity, PrimaryGeneratedColumn } from "typeorm";
import { attachCache, Cached, LockError, RedisStore, type CacheOptions, type CoherentCache } from "typeorm-coherent";
import { quarantineOver } from "../support/cache-harness";
import { describeEachDatabase } from "../support/databases";
import { startRedis } from "../support/redis-server";

@Entity()
@Cached()
class Account {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) balance!: number;
}

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
        lockTtl: 400,
        storeTimeout: 150,
        logger: { warn: () => undefined },
      });
      await quarantineOver(store, [dataSource.getMetadata(Account).tablePath]);
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
    process.kill(server.pid, "SIGCONT");
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
    await store.open({ namespace: "modes", lockTtl: 400, timeout: 150 }, []);
    const table = dataSource.getMetadata(Account).tablePath;
    await store.lock([`${table}|id=1`], "dead-writer", []);
    await store.close();
    expect(await served(neighbour)).toBe(1);
    expect(neighbour.stats().unfilled.locked).toBe(1);
    const filled = new Promise<void>((resolve) => neighbour.on("fill", () => resolve()));
    while ((await Promise.race([filled.then(() => "filled"), served(neighbour)])) !== "filled");
    const { hits } = neighbour.stats();
    expect(await served(neighbour)).toBe(1);
    expect(neighbour.stats().hits).toBe(hits + 1);
  });
});
