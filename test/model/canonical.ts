import type { Scenario } from "./scenario";
import {
  CURRENT,
  DEAD,
  FRESH,
  isMark,
  isToken,
  type Layout,
  LIVE,
  LIVE_UNTIL_QUARANTINE,
  MISSING,
  Reader,
  type State,
  Writer,
} from "./state";

/**
 * - names: only tokens are named anew, without which there would be no end of states
 * - named readers: whatever cannot make a difference is dropped too
 * - all: readers are sorted too
 */
export type Reduction = "names" | "named readers" | "all";

/**
 * Brings states that nothing can tell apart to one form.
 *
 * Tokens are random, so only which of them are equal matters, and each is compared only with others of its tag: the one
 * that the tag has now becomes CURRENT, the others are numbered as they are found. A token that nobody will compare with
 * becomes DEAD, and what can never be served for it is dropped. Readers are alike: they are sorted. canonical.test.ts
 * checks that nothing is lost by it.
 */
export class Canonical {
  private readonly names: number[] = [];
  private readonly spare: Buffer;
  private readonly capturable: ReadonlySet<number>;

  constructor(
    private readonly scenario: Scenario,
    private readonly at: Layout,
    private readonly reduction: Reduction = "all",
  ) {
    this.spare = Buffer.alloc(at.readerSize);
    const writes = scenario.writers.flat();
    this.capturable = new Set(writes.flatMap(({ through }) => (through === undefined ? [] : [through.captured])));
  }

  apply(state: State): void {
    const { reduction } = this;
    if (this.scenario.rules.tokens === "counter") {
      if (reduction === "all") this.sortReaders(state);
      return;
    }
    if (reduction !== "names" && this.scenario.rules.guard) this.dropDead(state);
    this.nameCurrent(state);
    if (reduction === "names") return this.nameAll(state);
    if (this.scenario.sharing) this.dropLonely(state);
    else this.dropVain(state);
    if (reduction === "all") this.sortReaders(state);
    this.nameOthers(state);
    this.dropUnknown(state);
    this.forgetHistory(state);
  }

  /** A tag whose holders are all dead, and a mark without a holder in the guard, are as good as nothing. */
  private dropDead(state: State): void {
    const { at, scenario } = this;
    for (let tag = 0; tag < at.tagCount; tag++) {
      const { group } = scenario.tags[tag]!;
      let dead = isMark(state[at.tag(tag)]!);
      let alive = false;
      for (let writer = 0; writer < at.writerCount; writer++) {
        if (state[at.record(tag, writer)] === 0) continue;
        const time = state[at.lock(group, writer)];
        if (time === LIVE || time === LIVE_UNTIL_QUARANTINE) alive = true;
        else dead = true;
      }
      if (alive || !dead) continue;
      state[at.tag(tag)] = MISSING;
      for (let writer = 0; writer < at.writerCount; writer++) state[at.record(tag, writer)] = 0;
    }
  }

  private nameCurrent(state: State): void {
    const { at, scenario } = this;
    for (let tag = 0; tag < at.tagCount; tag++) {
      const current = state[at.tag(tag)]!;
      if (!isToken(current)) continue;
      if (current === CURRENT) continue;
      // What was CURRENT for this tag is not any more; FRESH - 1 keeps it apart until it is numbered.
      const rename = (cell: number): void => {
        if (state[cell] === current) state[cell] = CURRENT;
        else if (state[cell] === CURRENT) state[cell] = FRESH - 1;
      };
      rename(at.tag(tag));
      for (let entry = 0; entry < scenario.entries.length; entry++) rename(at.entry(entry) + 1 + tag);
      for (let writer = 0; writer < at.writerCount; writer++) {
        if (this.capturedTag(state, writer) === tag) rename(at.writer(writer) + at.captured);
      }
      for (let reader = 0; reader < at.readerCount; reader++) {
        rename(at.reader(reader) + at.tokens + tag);
        if (scenario.hits === "key by key") rename(at.reader(reader) + at.looked + tag);
      }
    }
  }

  /**
   * A reader with a token that its tag has no more fills in vain, and is of interest only to one whose tokens are all
   * the same: whoever comes later captures others.
   */
  private dropLonely(state: State): void {
    const { at } = this;
    if (!this.scenario.rules.compareBeforeJoin) return;
    for (let reader = 0; reader < at.readerCount; reader++) {
      const first = at.reader(reader);
      const old = this.some((tag) => isOld(state[first + at.tokens + tag]!, isToken(state[at.tag(tag)]!)));
      if (!old) continue;
      let partner = false;
      for (let other = 0; other < at.readerCount && !partner; other++) {
        const [own, theirs] = [first + at.tokens, at.reader(other) + at.tokens];
        partner = other !== reader && !this.some((tag) => state[own + tag] !== state[theirs + tag]);
      }
      if (!partner) {
        state.fill(0, first, first + at.readerSize);
        reader = -1;
      }
    }
  }

  private some(condition: (tag: number) => boolean): boolean {
    for (let tag = 0; tag < this.at.tagCount; tag++) if (condition(tag)) return true;
    return false;
  }

  /**
   * A reader that would fill with an old token does so in vain: as if it did not, and somebody evicted the entry. Unless
   * another looks at one key after the other and has seen that token in its tag. That one, in turn, looks in vain for a
   * tag that has another token by now.
   */
  private dropVain(state: State): void {
    const { at, scenario } = this;
    for (let reader = 0; reader < at.readerCount; reader++) {
      const first = at.reader(reader);
      const stands = state[first];
      if (stands === Reader.IDLE) continue;
      const { byKey } = scenario.entries[state[first + at.reads]!]!;
      for (let tag = 0; tag < at.tagCount; tag++) {
        const cell = first + at.tokens + tag;
        const isGuess = byKey !== undefined && byKey.rowTags.includes(tag);
        const isIgnored = tag === byKey?.anyRow && !scenario.rules.compareAnyRow;
        const isLost = isGuess && stands === Reader.LOADED && state[cell] === DEAD;
        if (!isLost && !isOld(state[cell]!, isToken(state[at.tag(tag)]!))) continue;
        const stays =
          stands === Reader.LOOKING
            ? state[first + at.looked + tag] !== MISSING
            : this.isSeen(state, tag, state[cell]!);
        if (stays) continue;
        if (isIgnored || (isGuess && stands === Reader.PREPARED)) state[cell] = DEAD;
        else state.fill(0, first, first + at.readerSize);
      }
    }
  }

  private isSeen(state: State, tag: number, token: number): boolean {
    const { at, scenario } = this;
    if (scenario.hits !== "key by key") return false;
    for (let reader = 0; reader < at.readerCount; reader++) {
      if (state[at.reader(reader) + at.looked + tag] === token) return true;
    }
    return false;
  }

  /** A token that nobody holds is as good as none, but not to a LOCK that captures it or a reader that looks at it. */
  private dropUnknown(state: State): void {
    const { at, scenario } = this;
    if (scenario.hits === "key by key") return;
    for (let tag = 0; tag < at.tagCount; tag++) {
      if (this.capturable.has(tag) || state[at.tag(tag)] !== CURRENT) continue;
      let known = false;
      for (let entry = 0; entry < scenario.entries.length; entry++)
        known ||= state[at.entry(entry) + 1 + tag] === CURRENT;
      for (let reader = 0; reader < at.readerCount; reader++) {
        known ||= state[at.reader(reader) + at.tokens + tag] === CURRENT;
      }
      if (!known) state[at.tag(tag)] = MISSING;
    }
  }

  private nameOthers(state: State): void {
    const { at, scenario } = this;
    for (let tag = 0; tag < at.tagCount; tag++) {
      const isCurrent = isToken(state[at.tag(tag)]!);
      this.names.length = 0;
      for (let reader = 0; reader < at.readerCount; reader++) {
        this.name(state, at.reader(reader) + at.tokens + tag, isCurrent);
        if (scenario.hits === "key by key") this.name(state, at.reader(reader) + at.looked + tag, isCurrent);
      }
      for (let writer = 0; writer < at.writerCount; writer++) {
        if (this.capturedTag(state, writer) !== tag) continue;
        const cell = at.writer(writer) + at.captured;
        if (isOld(state[cell]!, isCurrent)) state[cell] = this.knownName(state[cell]!) ?? DEAD;
      }
      for (let entry = 0; entry < scenario.entries.length; entry++) {
        const cell = at.entry(entry) + 1 + tag;
        if (state[cell] === DEAD || isOld(state[cell]!, isCurrent)) this.nameInEntry(state, entry, cell);
      }
    }
  }

  private nameAll(state: State): void {
    const { at, scenario } = this;
    for (let tag = 0; tag < at.tagCount; tag++) {
      const isCurrent = isToken(state[at.tag(tag)]!);
      this.names.length = 0;
      for (let reader = 0; reader < at.readerCount; reader++) {
        this.name(state, at.reader(reader) + at.tokens + tag, isCurrent);
        if (scenario.hits === "key by key") this.name(state, at.reader(reader) + at.looked + tag, isCurrent);
      }
      for (let writer = 0; writer < at.writerCount; writer++) {
        if (this.capturedTag(state, writer) === tag) this.name(state, at.writer(writer) + at.captured, isCurrent);
      }
      for (let entry = 0; entry < scenario.entries.length; entry++) {
        this.name(state, at.entry(entry) + 1 + tag, isCurrent);
      }
    }
  }

  /** An old token in an entry matters only to a reader that looks at keys one by one and has seen the token in the tag. */
  private nameInEntry(state: State, entry: number, cell: number): void {
    const name = this.knownName(state[cell]!);
    if (name !== undefined) state[cell] = name;
    else state.fill(0, this.at.entry(entry), this.at.entry(entry) + this.at.entrySize);
  }

  private knownName(token: number): number | undefined {
    const known = this.scenario.hits === "key by key" ? this.names.indexOf(token) : -1;
    return known < 0 ? undefined : CURRENT + 1 + known;
  }

  private name(state: State, cell: number, isCurrent: boolean): void {
    const token = state[cell]!;
    if (!isOld(token, isCurrent)) return;
    let known = this.names.indexOf(token);
    if (known < 0) known = this.names.push(token) - 1;
    state[cell] = CURRENT + 1 + known;
  }

  private capturedTag(state: State, writer: number): number {
    const first = this.at.writer(writer);
    if (state[first] === Writer.IDLE || state[first] === Writer.GONE) return -1;
    return this.scenario.writers[writer]![state[first + this.at.write]!]!.through?.captured ?? -1;
  }

  private sortReaders(state: State): void {
    const { at } = this;
    for (let end = at.readerCount - 1; end > 0; end--) {
      for (let index = 0; index < end; index++) {
        const [left, right] = [at.reader(index), at.reader(index + 1)];
        if (this.compare(state, left, right) <= 0) continue;
        state.copy(this.spare, 0, left, left + at.readerSize);
        state.copy(state, left, right, right + at.readerSize);
        this.spare.copy(state, right);
      }
    }
  }

  /** Without the names of old tokens, which depend on the order. */
  private compare(state: State, left: number, right: number): number {
    for (let offset = 0; offset < this.at.readerSize; offset++) {
      const difference = Math.min(state[left + offset]!, CURRENT + 1) - Math.min(state[right + offset]!, CURRENT + 1);
      if (difference !== 0) return difference;
    }
    return 0;
  }

  /** Rows as they were before all who might still be content with them. */
  private forgetHistory(state: State): void {
    const { at } = this;
    let oldest = this.scenario.promise === "returned" ? state[at.returned]! : state[at.commits]!;
    for (let reader = 0; reader < at.readerCount; reader++) {
      const first = at.reader(reader);
      const stands = state[first]!;
      const waits = this.scenario.sharing && (stands === Reader.PREPARING || stands === Reader.PREPARED);
      if (waits || stands === Reader.LOOKING) oldest = Math.min(oldest, state[first + at.began]!);
    }
    state.fill(MISSING, at.row(0, 0), at.row(oldest, 0));
  }
}

function isOld(cell: number, isCurrent: boolean): boolean {
  return isToken(cell) && !(isCurrent && cell === CURRENT);
}
