import { Redis } from "ioredis";
import { Column, DataSource, Entity, PrimaryColumn } from "typeorm";
import { attachCache, Cached, RedisStore, type CacheOptions, type CoherentCache } from "typeorm-coherent";
import { quarantineOver } from "../support/cache-harness";
import { databases } from "../support/databases";
import { startRedis, until, type RedisServer } from "../support/redis-server";
import { tcpSwitch, type TcpSwitch } from "../support/tcp-switch";

@Entity()
@Cached()
class Counter {
  @PrimaryColumn() id!: number;
  @Column() value!: number;
}

/** Milliseconds for which a copy that is trusted may lag. */
const HEARTBEAT = 300;
/** What a busy machine may add between the look at the clock and the answer. */
const MARGIN = 300;
const ROWS = 5;

/*
 * One process writes, and notes when each COMMIT has returned; another reads through a line that is delayed, frozen and cut. What a
 * read serves may be older than what had been committed when it began by the bound, and in mode verify by nothing.
 */
describe.each(["verify", "trust"] as const)("copies that are kept to %s, on a bad line", (mode) => {
  const database = databases().find(({ name }) => name === "sqlite")!;
  let server: RedisServer;
  let line: TcpSwitch;
  const open: (() => Promise<unknown> | void)[] = [];
  let writer: CoherentCache;
  let reader: CoherentCache;
  /** When the COMMIT of each value had returned, by row. */
  let committed: number[][];

  async function attach(source: DataSource, port: number, options: CacheOptions = {}): Promise<CoherentCache> {
    const client = new Redis(port, "127.0.0.1", { retryStrategy: () => 20 });
    client.on("error", () => undefined);
    open.push(() => client.disconnect());
    const store = new RedisStore(client);
    const cache = await attachCache(source, {
      store,
      namespace: "near",
      lockTtl: 2000,
      storeTimeout: 100,
      entities: { Counter: { near: { mode } } },
      channel: { heartbeat: HEARTBEAT },
      logger: { warn: () => undefined },
      ...options,
    });
    open.push(() => cache.close());
    await until(() =>
      quarantineOver(store, ["counter"]).then(
        () => true,
        () => false,
      ),
    );
    return cache;
  }

  beforeEach(async () => {
    server = await startRedis();
    line = await tcpSwitch(server.port);
    const options = await database.options([Counter], { file: true });
    const source = await new DataSource(options).initialize();
    const other = await new DataSource({ ...options, synchronize: false }).initialize();
    open.push(
      () => source.destroy(),
      () => other.destroy(),
    );
    for (let id = 0; id < ROWS; id += 1) await source.getRepository(Counter).insert({ id, value: 0 });
    committed = Array.from({ length: ROWS }, () => [-Infinity]);
    writer = await attach(source, server.port);
    reader = await attach(other, line.port);
  });
  afterEach(async () => {
    line.thaw();
    for (const close of open.splice(0).reverse()) await close();
    await line.stop();
    await server.stop();
    await database.cleanup();
  });

  it("lag by the bound at most, and by nothing where they are verified", async () => {
    const counters = writer.repository(Counter);
    const seen = { reads: 0, stale: 0, worst: 0 };
    let over = false;
    const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));
    const writing = (async () => {
      for (let turn = 0; !over; turn += 1) {
        const id = turn % ROWS;
        const value = committed[id]!.length;
        await counters.update(id, { value });
        committed[id]!.push(performance.now());
        await pause(7);
      }
    })();
    const reading = Array.from({ length: 4 }, async (_, index) => {
      for (let turn = index; !over; turn += 1) {
        const id = turn % ROWS;
        const began = performance.now();
        const { value } = await reader.repository(Counter).findOneByOrFail({ id });
        seen.reads += 1;
        const next = committed[id]![value + 1];
        if (next !== undefined && next < began) {
          seen.stale += 1;
          seen.worst = Math.max(seen.worst, began - next);
        }
        await new Promise((resolve) => setImmediate(resolve));
      }
    });
    const copies = () => reader.stats().nearHits[mode];
    await until(() => copies() > 0);
    for (const trouble of [
      () => line.delay(60),
      () => line.delay(0),
      () => line.freeze(),
      () => (line.thaw(), line.cut()),
      () => line.freeze(),
      () => line.thaw(),
      () => line.cut(),
    ]) {
      trouble();
      await pause(2 * HEARTBEAT);
    }
    const before = copies();
    await until(() => copies() > before); // They have come back.
    over = true;
    await Promise.all([writing, ...reading]);
    process.stdout.write(
      `  ${mode}: ${seen.reads} reads, ${copies()} from copies, ${seen.stale} stale, by ${Math.ceil(seen.worst)} ms at most\n`,
    );
    if (mode === "verify") expect(seen.stale).toBe(0);
    else expect(seen.worst).toBeLessThan(HEARTBEAT + MARGIN);
    expect(committed.flat().length).toBeGreaterThan(100);
  }, 60_000);

  it("are given up by whoever hears nothing, before he serves something old", async () => {
    const read = () => reader.repository(Counter).findOneByOrFail({ id: 1 });
    await until(async () => (await read(), reader.stats().nearHits[mode] > 0));
    line.freeze();
    const { nearHits } = reader.stats();
    await writer.repository(Counter).update(1, { value: 7 });
    await until(async () => (await read()).value === 7);
    // Whatever is written from now on is seen at once, since nothing is believed any more.
    for (const value of [8, 9]) {
      await writer.repository(Counter).update(1, { value });
      expect(await read()).toMatchObject({ value });
    }
    expect(reader.stats().nearHits[mode]).toBeGreaterThanOrEqual(nearHits[mode]);
  });

  it("are never old in the process that writes", async () => {
    const counters = reader.repository(Counter);
    for (let value = 1; value <= 100; value += 1) {
      await counters.findOneByOrFail({ id: 2 });
      if (value === 30) line.delay(30);
      if (value === 60) line.delay(0);
      if (value === 70) line.cut();
      if (value === 80) line.freeze();
      if (value === 90) line.thaw();
      await counters.update(2, { value });
      expect(await counters.findOneByOrFail({ id: 2 })).toMatchObject({ value });
    }
  }, 60_000);

  it("are not served for a writer who dies between COMMIT and UNLOCK", async () => {
    const cable = await tcpSwitch(server.port);
    open.push(() => cable.stop());
    const options = writerSource();
    const third = await new DataSource({ ...options, synchronize: false }).initialize();
    open.push(() => third.destroy());
    const dying = await attach(third, cable.port);
    const read = () => reader.repository(Counter).findOneByOrFail({ id: 3 });
    const stop = dying.on("lock", () => cable.freeze());
    await until(async () => (await read(), reader.stats().nearHits[mode] > 0));
    await dying.repository(Counter).update(3, { value: 1 });
    stop();
    expect(dying.stats().pending).toBeGreaterThan(0); // Its UNLOCK did not arrive.
    const began = performance.now();
    // With a pause, or nothing of the channel would come in, and nothing be believed for that alone.
    for (let times = 0; times < 50 || performance.now() - began < 2 * HEARTBEAT; times += 1) {
      const { value } = await read();
      if (performance.now() - began > HEARTBEAT) expect(value).toBe(1);
      await new Promise((resolve) => setImmediate(resolve));
    }
  });
  const writerSource = () => (writer as unknown as { dataSource: DataSource }).dataSource.options;
});
