import { groupBy } from "../../core/group-by";
import type { ClusterKeys } from "./cluster-keys";
import type { RedisClient, RedisCommands } from "./redis-client";
import { isElsewhere } from "./refusals";

/** Sends something to the server for which a key was made, and to nobody else. */
export type SendTo = <Reply>(key: string, command: (client: RedisClient) => Promise<Reply>) => Promise<Reply>;

/** Commands as one server has them, each sent to the node that serves its keys, in as many pieces as it takes. */
export class ClusterCommands implements RedisCommands {
  constructor(
    private readonly keys: ClusterKeys,
    private readonly sendTo: SendTo,
  ) {}

  /** What is on its way to another node, or was asked of a node that is away, is not there. Rejects if all nodes are away. */
  async mget(keys: string[]): Promise<(string | null)[]> {
    const pieces = this.pieces(keys);
    if (pieces.length === 1) return this.ask(keys);
    const values = new Map<string, string | null>();
    const failures: unknown[] = [];
    await Promise.all(
      pieces.map(async (piece) => {
        try {
          const found = await this.ask(piece);
          piece.forEach((key, at) => values.set(key, found[at] ?? null));
        } catch (error) {
          failures.push(error);
        }
      }),
    );
    if (failures.length === pieces.length) throw failures[0];
    return keys.map((key) => values.get(key) ?? null);
  }

  set(key: string, value: string): Promise<unknown>;
  set(key: string, value: string, unit: "PX", ttl: number): Promise<unknown>;
  set(key: string, value: string, unit: "PX", ttl: number, condition: "NX"): Promise<unknown>;
  set(key: string, ...args: [string]): Promise<unknown> {
    return this.sendTo(key, (client) => client.set(key, ...args));
  }

  async unlink(keys: string[]): Promise<number> {
    const counts = await Promise.all(
      this.pieces(keys).map((piece) => this.sendTo(piece[0]!, (client) => client.unlink(piece))),
    );
    return counts.reduce((sum, count) => sum + count, 0);
  }

  /** All keys of a script lie in one slot. */
  evalsha(sha1: string, keyCount: number, ...args: string[]): Promise<unknown> {
    return this.sendTo(args[0]!, (client) => client.evalsha(sha1, keyCount, ...args));
  }

  eval(lua: string, keyCount: number, ...args: string[]): Promise<unknown> {
    return this.sendTo(args[0]!, (client) => client.eval(lua, keyCount, ...args));
  }

  private async ask(piece: string[]): Promise<(string | null)[]> {
    try {
      return await this.sendTo(piece[0]!, (client) => client.mget(piece));
    } catch (error) {
      if (isElsewhere(error)) return piece.map(() => null);
      throw error;
    }
  }

  /** A command may name keys of one slot only. */
  private pieces(keys: readonly string[]): string[][] {
    return [...groupBy(keys, (key) => this.keys.addressOf(key).hashTag).values()];
  }
}
