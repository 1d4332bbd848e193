import Redis from "ioredis";
import type { TcpSwitch } from "../support/tcp-switch";
import { pause } from "./random";

/** Milliseconds that a line leads nowhere: longer than a lock lives without its writer. */
const PARTITION = 1500;

/** What happens to a Redis server, on purpose; counts what was done. */
export class RedisFaults {
  readonly done = { evictions: 0, flushes: 0, scriptFlushes: 0, cutConnections: 0, partitions: 0 };
  private readonly redis: Redis;

  /** @param line what the writers reach Redis by, and the readers do not */
  constructor(
    url: string,
    private readonly line: TcpSwitch,
  ) {
    this.redis = new Redis(url);
    this.redis.on("error", () => undefined);
  }

  /** A key vanishes: an entry, a tag, seldom a guard. The few keys there are would else be in quarantine all the time. */
  async evict(): Promise<void> {
    const key = await this.redis.randomkey();
    if (key === null || (key.endsWith(":g") && Math.random() < 0.9)) return;
    this.done.evictions += await this.redis.unlink(key);
  }

  async flush(): Promise<void> {
    await this.redis.flushall();
    this.done.flushes += 1;
  }

  async flushScripts(): Promise<void> {
    await this.redis.script("FLUSH");
    this.done.scriptFlushes += 1;
  }

  /** All clients but this one. */
  async cutConnections(): Promise<void> {
    this.done.cutConnections += Number(await this.redis.client("KILL", "TYPE", "normal", "SKIPME", "yes"));
  }

  /** Writers reach the database and not Redis, while readers reach both; what is sent meanwhile is lost without a word. */
  async partition(): Promise<void> {
    this.line.freeze();
    await pause(PARTITION);
    this.line.thaw();
    this.line.cut();
    this.done.partitions += 1;
  }

  close(): void {
    this.redis.disconnect();
  }
}
