import type { Scenario } from "./scenario";
import {
  CURRENT,
  DEAD,
  isMark,
  isToken,
  type Layout,
  LIVE,
  LIVE_UNTIL_QUARANTINE,
  MISSING,
  Reader,
  type State,
} from "./state";

/** What a state holds that can make no difference to anybody, and how it goes away; canonical.test.ts checks that. */
export class Irrelevant {
  /** Tags whose token some LOCK captures. */
  private readonly capturable: ReadonlySet<number>;

  constructor(
    private readonly scenario: Scenario,
    private readonly at: Layout,
  ) {
    const writes = scenario.writers.flat();
    this.capturable = new Set(
      writes.flatMap(({ through }) => (through === undefined ? [] : [through.captured, through.watched ?? -1])),
    );
  }

  /** A tag whose holders are all dead, and a mark without a holder in the guard, are as good as nothing. */
  dropLocks(state: State): void {
    const { at, scenario } = this;
    if (!scenario.rules.guard) return;
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

  /** Readers that go on for nothing. */
  dropReaders(state: State): void {
    if (this.scenario.sharing) this.dropLonely(state);
    else this.dropVain(state);
  }

  /** A token that nobody holds is as good as none, but not to a LOCK that captures it or a reader that looks at it. */
  dropTokens(state: State): void {
    const { at, scenario } = this;
    if (scenario.hits !== "at once") return;
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

  /** Rows as they were before all who might still be content with them. */
  dropHistory(state: State): void {
    const { at } = this;
    let oldest = this.scenario.promise === "returned" ? state[at.returned]! : state[at.commits]!;
    for (let reader = 0; reader < at.readerCount; reader++) {
      const first = at.reader(reader);
      const stands = state[first]!;
      const waits = this.scenario.sharing && (stands === Reader.PREPARING || stands === Reader.PREPARED);
      if (!waits && stands !== Reader.LOOKING) continue;
      if (state[first + at.began]! < oldest) oldest = state[first + at.began]!;
    }
    state.fill(MISSING, at.row(0, 0), at.row(oldest, 0));
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

  private some(condition: (tag: number) => boolean): boolean {
    for (let tag = 0; tag < this.at.tagCount; tag++) if (condition(tag)) return true;
    return false;
  }

  private isSeen(state: State, tag: number, token: number): boolean {
    const { at, scenario } = this;
    if (scenario.hits === "at once") return false;
    for (let reader = 0; reader < at.readerCount; reader++) {
      if (state[at.reader(reader) + at.looked + tag] === token) return true;
    }
    return false;
  }
}

/** Whether a cell of a tag holds a token that is not the one of the tag, while that has one or not. */
export function isOld(cell: number, isCurrent: boolean): boolean {
  return isToken(cell) && !(isCurrent && cell === CURRENT);
}
