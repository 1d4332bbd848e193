import { EventEmitter } from "node:events";
import type { ConnectionOptions, RedisClient, RedisLike } from "../../src/store/redis/redis-client";

/** A client without a server: the test says when it connects and what each command gets. */
export class FakeRedis extends EventEmitter implements RedisLike, RedisClient {
  readonly sent: string[] = [];
  readonly reconnects: boolean[] = [];
  options: ConnectionOptions | undefined;
  /** What the next commands get, by name; a command without an answer stays pending. */
  answers: Partial<Record<"info" | "mget" | "set" | "unlink" | "evalsha" | "eval", () => Promise<unknown>>> = {};

  duplicate(options: ConnectionOptions): this {
    this.options = options;
    return this;
  }

  info = () => this.answer<string>("info");
  mget = () => this.answer<(string | null)[]>("mget");
  set = () => this.answer<unknown>("set");
  unlink = () => this.answer<number>("unlink");
  evalsha = () => this.answer<unknown>("evalsha");
  eval = () => this.answer<unknown>("eval");
  quit = () => Promise.resolve("OK");
  disconnect = (reconnect = false) => void this.reconnects.push(reconnect);

  private answer<T>(name: keyof FakeRedis["answers"]): Promise<T> {
    this.sent.push(name);
    return (this.answers[name]?.() ?? new Promise(() => undefined)) as Promise<T>;
  }
}

/** A promise and its end, for replies that come when the test wants. */
export function pending<T>() {
  let resolve!: (value: T) => void;
  let reject!: (error: Error) => void;
  const promise = new Promise<T>((done, fail) => ([resolve, reject] = [done, fail]));
  return { promise, resolve, reject };
}
