import { encodeEntry } from "../../../src/core/entry";
import type { ReadAnswer, ReadRequest, Store, WriteThroughRequest } from "../../../src/store/store";
import { cellName, holderOf, TokenNames } from "./names";
import { type Call, ENTRIES, GROUPS, groupOf, LOCKS, TAGS, tagsOf, WATCHED, WORLD, WRITERS } from "./world";
import { beginning, createWorld } from "../explorer";
import * as is from "../state";
import { groupsOf, inGroup } from "../step";

/** Milliseconds; longer than all deadlines that a sequence lets pass. */
const TTL = 10_000_000_000;

/** What happens to the data of a store from outside. */
export interface Outside {
  expire(writer: number, group: number): Promise<void>;
  expireAll(): Promise<void>;
  endQuarantine(group: number): Promise<void>;
  evictTag(tag: number): Promise<void>;
  evictEntry(entry: number): Promise<void>;
  evictGuard(group: number): Promise<void>;
  flush(): Promise<void>;
}

/** A token as both sides know it; per tag, since tokens are only ever compared with others of their tag. */
interface Captured {
  readonly cell: number;
  readonly token: string;
}

interface Held {
  readonly tags: readonly number[];
  captured: Map<number, Captured>;
}

/**
 * A store and the model of it, which are given the same calls. Each call returns what both answered, in the same words: a
 * token of the store is named like the one that the model had where it was first seen.
 */
export class Pair {
  readonly world;
  readonly state;
  private readonly minted = TAGS.map(() => is.DEAD);
  readonly names = new TokenNames(TAGS.length);
  private readonly captures: { readonly entry: number; readonly tokens: readonly Captured[] }[] = [];
  private readonly held = new Map<number, Held>();
  private values = 0;

  constructor(
    private readonly store: Store,
    private readonly outside: Outside,
  ) {
    this.world = createWorld(WORLD, (_state, tag) => ++this.minted[tag]!);
    this.state = beginning(this.world);
  }

  /** @returns the answers of the model and of the store */
  async call(call: Call): Promise<{ readonly model: unknown; readonly store: unknown }> {
    const { redis } = this.world;
    switch (call.do) {
      case "prepare":
        return this.prepare(call.tags);
      case "capture":
        return this.prepare(tagsOf(call.entry), call.entry);
      case "fill":
        return this.fill(call.captured);
      case "lock":
        return this.lock(call.writer, call.lock);
      case "unlock": {
        const holders = [...this.held.keys()];
        return this.unlock(holders[call.writer % holders.length] ?? call.writer, 0, call.through);
      }
      case "unlock twice":
        return this.unlock(call.writer, call.lock, []);
      case "invalidate":
        for (const tag of call.tags) redis.evictTag(this.state, tag);
        return silent(this.store.invalidate(namesOf(call.tags)));
      case "expire":
        this.expire(call.writer, call.group);
        return silent(this.outside.expire(call.writer, call.group));
      case "expire all":
        GROUPS.forEach((_, group) => Array.from({ length: WRITERS }, (_, writer) => this.expire(writer, group)));
        return silent(this.outside.expireAll());
      case "end quarantine": {
        const cell = this.world.at.quarantine(call.group);
        if (this.state[cell] === is.RUNNING) this.state[cell] = is.OVER;
        return silent(this.outside.endQuarantine(call.group));
      }
      case "evict tag":
        redis.evictTag(this.state, call.tag);
        return silent(this.outside.evictTag(call.tag));
      case "evict entry":
        redis.evictEntry(this.state, call.entry);
        return silent(this.outside.evictEntry(call.entry));
      case "evict guard":
        redis.evictGuard(this.state, call.group);
        return silent(this.outside.evictGuard(call.group));
      case "flush":
        redis.flush(this.state);
        return silent(this.outside.flush());
    }
  }

  /** What both answer to a read of every entry. */
  async read(): Promise<{ readonly model: unknown; readonly store: unknown }> {
    const { at, redis } = this.world;
    const model = ENTRIES.map((_, entry) => {
      const first = at.entry(entry);
      if (redis.isHit(this.state, entry)) return `hit ${this.state[first + 1 + at.tagCount]}`;
      return this.state[first] === 0 ? "absent" : "stale";
    });
    const requests = ENTRIES.map(({ key, tags }): ReadRequest => ({
      key,
      group: "g",
      query: key,
      tags: namesOf(tags),
    }));
    const answers = await this.store.read(requests);
    return { model, store: answers.map(outcomeOf) };
  }

  private async prepare(tags: readonly number[], entry?: number) {
    const cells = new Map<number, number>();
    for (const group of groupsOf(WORLD, tags)) {
      const members = inGroup(WORLD, group, tags);
      this.world.redis.prepare(this.state, group, members);
      members.forEach((tag, at) => cells.set(tag, this.world.redis.answers[at]!));
    }
    const tokens = await this.store.prepare(namesOf(tags), TTL);
    const captured = tags.map((tag, at) => ({ cell: cells.get(tag)!, token: tokens[at]! }));
    if (entry !== undefined && tokens.every((token) => token !== ""))
      this.captures.unshift({ entry, tokens: captured });
    return this.both(tags, captured);
  }

  private async fill(which: number) {
    const captured = this.captures[which];
    if (captured === undefined) return silent(Promise.resolve());
    const { entry, tokens } = captured;
    const { key } = ENTRIES[entry]!;
    const value = ++this.values;
    this.world.redis.write(
      this.state,
      entry,
      this.put(
        entry,
        value,
        tokens.map(({ cell }) => cell),
      ),
    );
    const text = this.encode(
      entry,
      value,
      tokens.map(({ token }) => token),
    );
    return silent(this.store.fill([{ key, group: "g", value: text, ttl: TTL }]));
  }

  private async lock(writer: number, lock: number) {
    const held = this.held.get(writer) ?? { tags: LOCKS[lock]!, captured: new Map<number, Captured>() };
    const others = TAGS.map((_, tag) => tag).filter((tag) => !held.tags.includes(tag));
    const cells = new Map<number, number>();
    for (const group of groupsOf(WORLD, [...held.tags, ...others])) {
      const members = inGroup(WORLD, group, others);
      this.world.redis.lock(this.state, writer, group, inGroup(WORLD, group, held.tags), members);
      members.forEach((tag, at) => cells.set(tag, this.world.redis.answers[at]!));
    }
    const tokens = await this.store.lock(namesOf(held.tags), holderOf(writer), namesOf(others), TTL);
    const captured = others.map((tag, at) => ({ cell: cells.get(tag)!, token: tokens[at]! }));
    held.captured = new Map(others.map((tag, at) => [tag, captured[at]!]));
    this.held.set(writer, held);
    return this.both(others, captured);
  }

  private async unlock(writer: number, lock: number, through: readonly number[]) {
    const { tags, captured } = this.held.get(writer) ?? { tags: LOCKS[lock]!, captured: new Map<number, Captured>() };
    this.held.delete(writer);
    const token = `through-${++this.values}`;
    const value = this.values;
    const wanted = through.flatMap((entry) => {
      const all = tagsOf(entry);
      const locked = all.filter((tag) => tags.includes(tag));
      const rest = all.filter((tag) => !tags.includes(tag));
      const isComplete = rest.every((tag) => (captured.get(tag)?.token ?? "") !== "");
      // Under locked tags of another slot only a store without slots can write; the model has slots.
      const isPossible = this.store.name === "redis" || locked.every((tag) => groupOf(tag) === 0);
      return isComplete && isPossible && locked.length > 0 ? [{ entry, all, locked }] : [];
    });
    const entries = wanted.map(({ entry, all, locked }): WriteThroughRequest => {
      const tokens = all.map((tag) => captured.get(tag)?.token ?? token);
      const { key } = ENTRIES[entry]!;
      return { key, group: "g", value: this.encode(entry, value, tokens), ttl: TTL, lockedTags: namesOf(locked) };
    });
    // Whatever was captured may be watched; this one belongs to the group of the entries.
    const seen = captured.get(WATCHED);
    const model = { held: true, written: 0 };
    for (const group of groupsOf(WORLD, tags)) {
      const members = inGroup(WORLD, group, tags);
      // A script sees one slot: what is locked in two of them cannot be written through.
      const here = wanted.filter(({ locked }) => group === 0 && locked.every((tag) => members.includes(tag)));
      const puts = here.map(({ entry, all, locked }) => {
        const cells = all.map((tag) => captured.get(tag)?.cell ?? is.DEAD);
        const put = this.put(entry, value, cells);
        return seen === undefined
          ? { entry, locked, put }
          : { entry, locked, put, watched: { tag: WATCHED, token: seen.cell } };
      });
      const answer = this.world.redis.unlock(this.state, writer, group, members, puts);
      model.held &&= answer.held;
      model.written += answer.written;
    }
    const store = await this.store.unlock({
      tags: namesOf(tags),
      holder: holderOf(writer),
      token,
      tagTtl: TTL,
      watched: seen === undefined ? [] : [{ tag: TAGS[WATCHED]!, token: seen.token }],
      entries,
    });
    return { model, store };
  }

  private expire(writer: number, group: number): void {
    const time = this.state[this.world.at.lock(group, writer)];
    if (time !== is.UNLOCKED) this.world.redis.expire(this.state, writer, group);
  }

  /** Writes an entry into the model. */
  private put(entry: number, value: number, cells: readonly number[]) {
    const { at } = this.world;
    return (state: is.State): void => {
      tagsOf(entry).forEach((tag, index) => (state[at.entry(entry) + 1 + tag] = cells[index]!));
      state[at.entry(entry) + 1 + at.tagCount] = value;
    };
  }

  private encode(entry: number, value: number, tokens: readonly string[]): string {
    const { key, rowTags } = ENTRIES[entry]!;
    return encodeEntry({ query: key, rowTags: namesOf(rowTags), tokens, payload: String(value) });
  }

  private both(tags: readonly number[], captured: readonly Captured[]) {
    return {
      model: captured.map(({ cell }) => cellName(cell)),
      store: captured.map(({ cell, token }, at) => this.names.of(tags[at]!, token, cell)),
    };
  }
}

function namesOf(tags: readonly number[]): string[] {
  return tags.map((tag) => TAGS[tag]!);
}

function outcomeOf(answer: ReadAnswer): string {
  return answer.outcome === "hit" ? `hit ${answer.payload}` : answer.why;
}

async function silent(work: Promise<unknown>) {
  await work;
  return { model: undefined, store: undefined };
}
