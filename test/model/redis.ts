import type { EntrySpec, Scenario } from "./scenario";
import * as is from "./state";
import type { Layout, State } from "./state";

/** What UNLOCK writes: an entry with these tokens and rows, allowed under these locked tags. */
export interface Through {
  readonly entry: number;
  /** The entry depends on locked tags of other groups too, and this token is given to all of them. */
  readonly promised?: number;
  /** It lies in another group, which stores it. */
  readonly isElsewhere?: boolean;
  readonly locked: readonly number[];
  /** A tag that must have this token still. */
  readonly watched?: { readonly tag: number; readonly token: number };
  /** Writes tokens of unlocked tags, and the rows, into the cells of the entry. */
  readonly put: (state: State) => void;
}

/**
 * The part of a state that lies in Redis, and what the scripts of the store do with it: one method per command, as the Lua
 * files say it. conformance.test.ts checks that they say the same.
 */
export class RedisModel {
  /** Replies of the last `prepare` or `lock`, in the order of the tags asked for. */
  readonly answers: number[] = [];

  constructor(
    private readonly scenario: Scenario,
    private readonly at: Layout,
    /** A token that this tag never had; see canonical.ts. */
    private readonly mint: (state: State, tag: number) => number,
  ) {}

  /** Captures tokens of tags of one group and mints missing ones; WITHHELD for a locked tag, and for all in quarantine. */
  prepare(state: State, group: number, tags: readonly number[]): void {
    this.capture(state, tags, this.inQuarantine(state, group));
  }

  /** Locks tags of one group, or renews their lock, and captures the tokens of others. */
  lock(state: State, writer: number, group: number, tags: readonly number[], captured: readonly number[]): void {
    const { at } = this;
    const { rules } = this.scenario;
    const begins = state[at.quarantine(group)] === is.NO_GUARD;
    const quarantined = this.inQuarantine(state, group);
    this.capture(state, captured, quarantined);
    for (const tag of tags) {
      const renewed = state[at.record(tag, writer)] === 1 && this.isAlive(state, group, writer);
      let shared = false;
      for (let other = 0; other < at.writerCount; other++) {
        if (other === writer || state[at.record(tag, other)] === 0) continue;
        if (this.isAlive(state, group, other)) shared = true;
        else state[at.record(tag, other)] = 0;
      }
      const mark = is.markOf(writer);
      const doubtful = shared || (renewed && state[at.tag(tag)] !== mark);
      state[at.tag(tag)] = doubtful && rules.sharedMark ? is.NOBODYS_MARK : mark;
      if (rules.guard) state[at.record(tag, writer)] = 1;
    }
    // A quarantine that begins now ends at the very deadline of this lock.
    state[at.lock(group, writer)] = begins && quarantined ? is.LIVE_UNTIL_QUARANTINE : is.LIVE;
  }

  /** @returns whether the lock of each tag was held to the end, and how many entries were written */
  unlock(
    state: State,
    writer: number,
    group: number,
    tags: readonly number[],
    through: readonly Through[] = [],
  ): { held: boolean; written: number } {
    const { at } = this;
    const { rules } = this.scenario;
    const alive = this.isAlive(state, group, writer);
    let held = state[at.quarantine(group)] !== is.NO_GUARD;
    const quarantined = state[at.quarantine(group)] !== is.OVER;
    const owned = new Set<number>();
    const free = new Set<number>();
    for (const tag of tags) {
      const kept = alive && (state[at.record(tag, writer)] === 1 || !rules.guard);
      state[at.record(tag, writer)] = 0;
      if (!kept) held = false;
      const cell = state[at.tag(tag)]!;
      const ours = kept && !quarantined && !this.isHeld(state, tag, false) && cell === is.markOf(writer);
      if (ours || !rules.compareBeforeWrite) owned.add(tag);
      if (this.isHeld(state, tag, true)) {
        // The guard keeps it locked; that the mark is gone tells the others that somebody else has had the tag.
        if (rules.unlockTakesMark) state[at.tag(tag)] = is.MISSING;
        continue;
      }
      if (!rules.guard && is.isMark(cell) && cell !== is.markOf(writer)) continue;
      free.add(tag);
      for (let other = 0; other < at.writerCount; other++) state[at.record(tag, other)] = 0;
    }
    const written = through.filter(
      ({ locked, watched }) =>
        locked.every((tag) => owned.has(tag)) &&
        (watched === undefined || (!tags.includes(watched.tag) && state[at.tag(watched.tag)] === watched.token)),
    );
    for (const { entry, put, isElsewhere } of written) if (isElsewhere !== true) this.write(state, entry, put);
    for (const tag of free) {
      const under = written.filter(({ locked }) => locked.includes(tag));
      const stays = under.length > 0 || rules.tokens === "counter";
      const token = under[0]?.promised;
      state[at.tag(tag)] = stays ? (token ?? this.mint(state, tag)) : is.MISSING;
      for (const { entry, promised } of under) {
        if (promised === undefined) state[at.entry(entry) + 1 + tag] = state[at.tag(tag)]!;
      }
    }
    state[at.lock(group, writer)] = is.UNLOCKED;
    return { held, written: written.length };
  }

  /** A plain SET of an entry. */
  write(state: State, entry: number, put: (state: State) => void): void {
    const first = this.at.entry(entry);
    state.fill(0, first, first + this.at.entrySize);
    state[first] = 1;
    put(state);
  }

  /** Whether a read would hit: every tag of the entry is there, not locked, and has the entry's token. */
  isHit(state: State, entry: number): boolean {
    const first = this.at.entry(entry);
    if (state[first] === 0) return false;
    for (let tag = 0; tag < this.at.tagCount; tag++) {
      const token = state[first + 1 + tag]!;
      if (token !== is.MISSING && state[this.at.tag(tag)] !== token) return false;
    }
    return true;
  }

  /** The deadline of a writer's lock in a group passes. */
  expire(state: State, writer: number, group: number): void {
    const { at } = this;
    const { rules } = this.scenario;
    state[at.lock(group, writer)] = is.EXPIRED;
    for (let tag = 0; tag < at.tagCount; tag++) {
      if (this.scenario.tags[tag]!.group !== group) continue;
      if (!rules.guard && state[at.tag(tag)] === is.markOf(writer)) state[at.tag(tag)] = is.MISSING;
      if (rules.deadline === "per tag" && state[at.record(tag, writer)] === 1) this.dropHolders(state, tag);
    }
  }

  /** LOCK looks at some fields of the guard and drops those whose holders are all dead. */
  sweep(state: State, tag: number): void {
    if (this.isHeld(state, tag, true)) return;
    for (let other = 0; other < this.at.writerCount; other++) state[this.at.record(tag, other)] = 0;
  }

  evictTag(state: State, tag: number): void {
    state[this.at.tag(tag)] = is.MISSING;
    if (this.scenario.rules.tokens === "counter") state[this.at.counters + tag] = 0;
  }

  evictGuard(state: State, group: number): void {
    state[this.at.quarantine(group)] = is.NO_GUARD;
    for (let tag = 0; tag < this.at.tagCount; tag++) {
      if (this.scenario.tags[tag]!.group !== group) continue;
      for (let writer = 0; writer < this.at.writerCount; writer++) state[this.at.record(tag, writer)] = 0;
    }
  }

  evictEntry(state: State, entry: number): void {
    const first = this.at.entry(entry);
    state.fill(0, first, first + this.at.entrySize);
  }

  flush(state: State): void {
    for (let tag = 0; tag < this.at.tagCount; tag++) this.evictTag(state, tag);
    for (let group = 0; group < this.at.groupCount; group++) this.evictGuard(state, group);
    this.scenario.entries.forEach((_entry: EntrySpec, entry) => this.evictEntry(state, entry));
  }

  private inQuarantine(state: State, group: number): boolean {
    const { at } = this;
    const cell = at.quarantine(group);
    if (state[cell] === is.NO_GUARD) {
      state[cell] = this.scenario.rules.quarantine ? is.RUNNING : is.OVER;
      // It outlasts every lock that was taken before.
      for (let writer = 0; writer < at.writerCount; writer++) {
        if (state[at.lock(group, writer)] === is.LIVE) state[at.lock(group, writer)] = is.LIVE_UNTIL_QUARANTINE;
      }
    }
    return state[cell] === is.RUNNING;
  }

  private capture(state: State, tags: readonly number[], quarantined: boolean): void {
    this.answers.length = 0;
    for (const tag of tags) this.answers.push(quarantined ? is.WITHHELD : this.tokenOf(state, tag));
  }

  private tokenOf(state: State, tag: number): number {
    const cell = this.at.tag(tag);
    if (!this.scenario.rules.guard && is.isMark(state[cell]!)) return is.WITHHELD;
    // The guard decides, not the tag, which may have been evicted since LOCK.
    if (this.isHeld(state, tag, true)) return is.WITHHELD;
    if (this.isHeld(state, tag, false)) this.dropHolders(state, tag);
    if (!is.isToken(state[cell]!)) state[cell] = this.mint(state, tag);
    return state[cell]!;
  }

  private dropHolders(state: State, tag: number): void {
    for (let other = 0; other < this.at.writerCount; other++) state[this.at.record(tag, other)] = 0;
    state[this.at.tag(tag)] = is.MISSING;
  }

  /** Whether the guard lists a holder of a tag: a live one, or any. */
  private isHeld(state: State, tag: number, live: boolean): boolean {
    const { at } = this;
    const { group } = this.scenario.tags[tag]!;
    for (let writer = 0; writer < at.writerCount; writer++) {
      if (state[at.record(tag, writer)] === 1 && (!live || this.isAlive(state, group, writer))) return true;
    }
    return false;
  }

  private isAlive(state: State, group: number, writer: number): boolean {
    const time = state[this.at.lock(group, writer)];
    return time === is.LIVE || time === is.LIVE_UNTIL_QUARANTINE;
  }
}
