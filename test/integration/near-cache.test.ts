import type { Redis } from "ioredis";
import { Column, DataSource, Entity, PrimaryGeneratedColumn } from "typeorm";
import {
  attachCache,
  Cached,
  CacheKey,
  MemoryStore,
  RedisStore,
  type CacheOptions,
  type CoherentCache,
  type Store,
} from "typeorm-coherent";
import { attachMemory, quarantineOver } from "../support/cache-harness";
import { describeEachDatabase } from "../support/databases";
import { redisForBlock } from "../support/redis-for-block";
import { until } from "../support/redis-server";

@Entity()
@Cached()
class Plant {
  @PrimaryGeneratedColumn() id!: number;
  @CacheKey() @Column() bed!: number;
  @Column({ default: 0 }) height!: number;
  @Column("simple-json", { nullable: true }) notes!: { tags: string[] } | null;
  @Column({ type: Date, nullable: true }) planted!: Date | null;
}

describeEachDatabase("copies in the process", (database) => {
  let client: Redis;
  let dataSource: DataSource;
  let other: DataSource;
  const caches: CoherentCache[] = [];

  redisForBlock((started) => (client = started));
  beforeEach(async () => {
    const options = await database.options([Plant], { file: true });
    dataSource = await new DataSource(options).initialize();
    other = await new DataSource({ ...options, synchronize: false }).initialize();
    await dataSource
      .getRepository(Plant)
      .save([{ bed: 1, notes: { tags: ["a"] }, planted: new Date(86_400_000) }, { bed: 1, notes: null }, { bed: 2 }]);
  });
  afterEach(async () => {
    for (const cache of caches.splice(0)) await cache.close();
    await dataSource.destroy();
    await other.destroy();
    await database.cleanup();
  });

  async function attach(source: DataSource, near: unknown, more: CacheOptions = {}): Promise<CoherentCache> {
    const store = new RedisStore(client);
    const options = { store, namespace: "garden", lockTtl: 400, storeTimeout: 150, logger: { warn: () => undefined } };
    const cache = await attachCache(source, {
      ...options,
      defaults: { near } as CacheOptions["defaults"],
      ...more,
    } as CacheOptions);
    caches.push(cache);
    if (more.store === undefined) await quarantineOver(store, [source.getMetadata(Plant).tablePath]);
    return cache;
  }

  it.each(["verify", "trust"] as const)("%s: every process sees what the others write", async (mode) => {
    const [one, two] = [await attach(dataSource, { mode }), await attach(other, { mode })];
    const read = async (by: CoherentCache) => {
      const plants = by.repository(Plant);
      return [
        (await plants.findOneByOrFail({ id: 1 })).height,
        (await plants.findBy({ bed: 1 })).map(({ height }) => height).sort((a, b) => b - a)[0],
        await plants.countBy({ bed: 1 }),
      ];
    };
    for (let height = 1; height <= 20; height += 1) {
      for (const by of [one, two, one, two]) await read(by);
      const [writer, reader] = height % 2 === 0 ? [one, two] : [two, one];
      await writer.repository(Plant).update(1, { height });
      expect(await read(writer)).toEqual([height, height, 2]);
      // In mode trust as soon as it has been told.
      if (mode === "trust") await until(async () => (await read(reader))[0] === height);
      expect(await read(reader)).toEqual([height, height, 2]);
    }
    for (const cache of [one, two]) expect(cache.stats().nearHits[mode]).toBeGreaterThan(20);
  });

  it.each(["verify", "trust"] as const)("%s: callers share nothing", async (mode) => {
    const cache = await attach(dataSource, { mode });
    const read = () => cache.repository(Plant).findOneByOrFail({ id: 1 });
    const first = await read();
    for (let times = 0; times < 4; times += 1) {
      const plant = await read();
      expect(plant).toEqual(first);
      plant.notes!.tags.push("mine");
      plant.planted!.setTime(0);
      plant.height = 99;
    }
    expect(first.notes).toEqual({ tags: ["a"] });
    const { nearHits } = cache.stats();
    expect(nearHits[mode]).toBeGreaterThan(0);
    expect(await cache.explain(Plant, "findOne", { where: { id: 1 } })).toMatchObject({ present: [true] });
    expect(cache.stats().nearHits).toEqual(nearHits); // Nothing is counted.
  });

  it("verify: what is saved is the payload; the tags are looked at each time", async () => {
    const store = new RedisStore(client);
    const calls: string[] = [];
    const [read, check] = [store.read.bind(store), store.check.bind(store)];
    store.read = (requests) => (calls.push("read"), read(requests));
    store.check = (copies) => (calls.push("check"), check(copies));
    const cache = await attach(dataSource, { mode: "verify" }, { store });
    await quarantineOver(store, [dataSource.getMetadata(Plant).tablePath]);
    for (let times = 0; times < 4; times += 1) await cache.repository(Plant).findOneByOrFail({ id: 1 });
    expect(calls).toEqual(["read", "read", "check", "check"]);
  });

  it("trust: nobody is asked", async () => {
    const cache = await attach(dataSource, { mode: "trust" });
    const read = () => cache.repository(Plant).findOneByOrFail({ id: 1 });
    await read();
    await until(async () => (await read(), cache.stats().nearHits.trust > 0));
    const before = await client.info("commandstats");
    const mgets = (text: string) => /cmdstat_mget:calls=(\d+)/.exec(text)?.[1];
    for (let times = 0; times < 100; times += 1) await read();
    expect(mgets(await client.info("commandstats"))).toBe(mgets(before));
    expect(cache.stats().nearHits.trust).toBeGreaterThan(100);
  });

  it("trust: a message of another program is obeyed", async () => {
    const cache = await attach(dataSource, { mode: "trust" });
    const read = async () => (await cache.repository(Plant).findOneByOrFail({ id: 1 })).height;
    await read();
    await until(async () => (await read(), cache.stats().nearHits.trust > 0));
    await other.query("UPDATE plant SET height = 5 WHERE id = 1");
    expect(await read()).toBe(0);
    await client.publish("garden:changes", JSON.stringify({ table: "plant", id: 1 }));
    await until(async () => (await read()) === 5);
  });

  it.each([
    [{ mode: "believe" }, /near.mode/],
    [{ max: 0 }, /near.max/],
    [{ max: 1.5 }, /near.max/],
    [{ maxBytes: -1 }, /near.maxBytes/],
    [{ ttl: "soon" }, /near.ttl/],
    [true, /near is true/],
    ["trust", /near is/],
  ])("refuses %j", async (near, message) => {
    await expect(attachMemory(dataSource, { defaults: { near } as never })).rejects.toMatchObject({
      code: "CONFIG_INVALID",
      message: expect.stringMatching(message) as string,
    });
  });

  it("refuses to trust where nothing is heard", async () => {
    const near = { defaults: { near: { mode: "trust" } } } as const;
    await expect(attachMemory(dataSource, { ...near, channel: false })).rejects.toMatchObject({
      code: "CONFIG_INVALID",
      message: expect.stringMatching(/trust.*channel/) as string,
    });
    const deaf = Object.assign(Object.create(new MemoryStore()) as Store, { listen: undefined });
    await expect(attachMemory(dataSource, { ...near, store: deaf })).rejects.toMatchObject({ code: "CONFIG_INVALID" });
    const cache = await attachMemory(dataSource, { defaults: { near: { mode: "verify" } }, channel: false });
    await cache.close();
    const off = await attachMemory(dataSource, { entities: { Plant: { near: false } }, ...near });
    for (const _ of [1, 2, 3]) await off.repository(Plant).findOneByOrFail({ id: 1 });
    expect(off.stats().nearHits).toEqual({ verify: 0, trust: 0 });
    await off.close();
  });
});
