import type Redis from "ioredis";
import { decodeEntry } from "../../../src/core/entry";
import type { RedisKeys } from "../../../src/store/redis/redis-keys";
import { ENTRIES, GROUPS, groupOf, TAGS, tagsOf, WORLD, WRITERS } from "./world";
import { cellName, holderOf } from "./names";
import type { Outside, Pair } from "./pair";
import * as is from "../state";

/**
 * The data of a RedisStore, looked at and spoilt by another client. Locks and quarantines there last for hours; their end
 * is written into the guard instead, so that nothing depends on how fast the test is.
 */
export class RedisData implements Outside {
  constructor(
    private readonly client: Redis,
    private readonly keys: RedisKeys,
  ) {}

  /** Empty, but for guards whose quarantine is over. */
  async reset(): Promise<void> {
    await this.client.flushall();
    for (const group of GROUPS) await this.client.hset(this.keys.guard(group), "q", "1");
  }

  /** What lies in Redis, in the words of {@link modelData}. */
  async look(pair: Pair): Promise<Data> {
    const { at } = pair.world;
    const pipeline = this.client.pipeline().time();
    for (const group of GROUPS) pipeline.hgetall(this.keys.guard(group));
    pipeline.mget([...TAGS.map((tag) => this.keys.tag(tag)), ...ENTRIES.map(({ key }) => this.keys.entry("g", key))]);
    const replies = (await pipeline.exec())!.map(([, reply]) => reply);
    const now = Number((replies[0] as string[])[0]) * 1000;
    const guards = replies.slice(1, 1 + GROUPS.length) as Record<string, string>[];
    const values = replies.at(-1) as (string | null)[];
    const entries = ENTRIES.map((_, entry) => {
      const text = values[TAGS.length + entry] ?? null;
      if (text === null) return "nothing";
      const { tokens, payload } = decodeEntry(text)!;
      const cell = (tag: number) => pair.state[at.entry(entry) + 1 + tag]!;
      return [...tagsOf(entry).map((tag, index) => pair.names.of(tag, tokens[index]!, cell(tag))), payload].join(", ");
    });
    return {
      quarantines: guards.map(({ q }) => (q === undefined ? "no guard" : Number(q) > now ? "running" : "over")),
      holders: TAGS.map((_, tag) => this.holders(guards[groupOf(tag)]!, tag, now)),
      tags: TAGS.map((_, tag) => pair.names.of(tag, values[tag] ?? null, pair.state[at.tag(tag)]!)),
      entries,
    };
  }

  async expire(writer: number, group: number): Promise<void> {
    await this.rewrite(group, (text) => text.replace(new RegExp(`${holderOf(writer)}=\\d+`), `${holderOf(writer)}=1`));
  }

  async expireAll(): Promise<void> {
    for (const group of GROUPS.keys()) await this.rewrite(group, (text) => text.replace(/=\d+/g, "=1"));
  }

  async endQuarantine(group: number): Promise<void> {
    const guard = this.keys.guard(GROUPS[group]!);
    if ((await this.client.exists(guard)) === 1) await this.client.hset(guard, "q", "1");
  }

  async evictTag(tag: number): Promise<void> {
    await this.client.del(this.keys.tag(TAGS[tag]!));
  }

  async evictEntry(entry: number): Promise<void> {
    await this.client.del(this.keys.entry("g", ENTRIES[entry]!.key));
  }

  async evictGuard(group: number): Promise<void> {
    await this.client.del(this.keys.guard(GROUPS[group]!));
  }

  async flush(): Promise<void> {
    await this.client.flushall();
  }

  private async rewrite(group: number, change: (text: string) => string): Promise<void> {
    const guard = this.keys.guard(GROUPS[group]!);
    for (const [field, text] of Object.entries(await this.client.hgetall(guard))) {
      if (field !== "q") await this.client.hset(guard, field, change(text));
    }
  }

  private holders(guard: Record<string, string>, tag: number, now: number): string {
    const text = guard[`t:${TAGS[tag]!.slice(2)}`] ?? "";
    const holders = Array.from(text.matchAll(/(\S+)=(\d+)/g), ([, name, deadline]) =>
      Number(deadline) > now ? `${name} alive` : `${name} dead`,
    );
    return holders.sort().join(", ");
  }
}

/** All there is, tag by tag and entry by entry. */
export interface Data {
  readonly quarantines: readonly string[];
  readonly holders: readonly string[];
  readonly tags: readonly string[];
  readonly entries: readonly string[];
}

/** What the model has. */
export function modelData({ state, world: { at } }: Pair): Data {
  const quarantine = { [is.NO_GUARD]: "no guard", [is.RUNNING]: "running", [is.OVER]: "over" } as Record<
    number,
    string
  >;
  return {
    quarantines: GROUPS.map((_, group) => quarantine[state[at.quarantine(group)]!]!),
    holders: TAGS.map((_, tag) => {
      const listed = Array.from({ length: WRITERS }, (_, writer) => writer).filter(
        (w) => state[at.record(tag, w)] === 1,
      );
      const isDead = (writer: number) => state[at.lock(groupOf(tag), writer)] === is.EXPIRED;
      return listed.map((writer) => `${holderOf(writer)} ${isDead(writer) ? "dead" : "alive"}`).join(", ");
    }),
    tags: TAGS.map((_, tag) => cellName(state[at.tag(tag)]!)),
    entries: WORLD.entries.map((_, entry) => {
      const first = at.entry(entry);
      if (state[first] === 0) return "nothing";
      const tokens = tagsOf(entry).map((tag) => cellName(state[first + 1 + tag]!));
      return [...tokens, state[first + 1 + at.tagCount]].join(", ");
    }),
  };
}
