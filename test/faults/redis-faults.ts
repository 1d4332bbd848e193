import Redis from "ioredis";
import type { TcpSwitch } from "../support/tcp-switch";
import { pause } from "./random";
import type { Troubles } from "./torture";

/** Milliseconds that a line leads nowhere: longer than a lock lives without its writer. */
const PARTITION = 1500;

/** How often what was done. */
export const noFaults = () => ({
  evictions: 0,
  flushes: 0,
  scriptFlushes: 0,
  cutConnections: 0,
  partitions: 0,
  moves: 0,
  failovers: 0,
});
export type FaultCounts = ReturnType<typeof noFaults>;

/** What happens to a Redis server, on purpose; counts what was done. */
export class RedisFaults {
  readonly done = noFaults();
  readonly troubles: Troubles = {
    evict: () => this.evict(),
    flush: () => this.flush(),
    flushScripts: () => this.flushScripts(),
    cut: () => this.cutConnections(),
    partition: () => this.partition(),
  };
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
  private async evict(): Promise<void> {
    const key = await this.redis.randomkey();
    if (key === null || (key.endsWith(":g") && Math.random() < 0.9)) return;
    this.done.evictions += await this.redis.unlink(key);
  }

  private async flush(): Promise<void> {
    await this.redis.flushall();
    this.done.flushes += 1;
  }

  private async flushScripts(): Promise<void> {
    await this.redis.script("FLUSH");
    this.done.scriptFlushes += 1;
  }

  /** All clients but this one. */
  private async cutConnections(): Promise<void> {
    this.done.cutConnections += Number(await this.redis.client("KILL", "TYPE", "normal", "SKIPME", "yes"));
  }

  /** Writers reach the database and not Redis, while readers reach both; what is sent meanwhile is lost without a word. */
  private async partition(): Promise<void> {
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
