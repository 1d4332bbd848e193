import { Irrelevant, isOld } from "./irrelevant";
import type { Scenario } from "./scenario";
import { CURRENT, DEAD, FRESH, isToken, type Layout, promiserOf, type State, Writer } from "./state";

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
  private readonly irrelevant: Irrelevant;

  constructor(
    private readonly scenario: Scenario,
    private readonly at: Layout,
    private readonly reduction: Reduction = "all",
  ) {
    this.spare = Buffer.alloc(at.readerSize);
    this.irrelevant = new Irrelevant(scenario, at);
  }

  apply(state: State): void {
    const { irrelevant, reduction } = this;
    if (this.scenario.rules.tokens === "counter") {
      if (reduction === "all") this.sortReaders(state);
      return;
    }
    if (reduction === "names") {
      this.nameCurrent(state);
      return this.nameAll(state);
    }
    irrelevant.dropLocks(state);
    this.nameCurrent(state);
    irrelevant.dropReaders(state);
    if (reduction === "all") this.sortReaders(state);
    this.nameOthers(state);
    irrelevant.dropTokens(state);
    irrelevant.dropHistory(state);
  }

  private nameCurrent(state: State): void {
    const { at, scenario } = this;
    for (let tag = 0; tag < at.tagCount; tag++) {
      const current = state[at.tag(tag)]!;
      if (!isToken(current)) continue;
      if (current === CURRENT) continue;
      const name = this.isPromised(state, current) ? current : CURRENT;
      // What was CURRENT for this tag is not any more; FRESH - 1 keeps it apart until it is numbered.
      const rename = (cell: number): void => {
        if (state[cell] === current) state[cell] = name;
        else if (state[cell] === CURRENT) state[cell] = FRESH - 1;
      };
      rename(at.tag(tag));
      for (let entry = 0; entry < scenario.entries.length; entry++) rename(at.entry(entry) + 1 + tag);
      for (let writer = 0; writer < at.writerCount; writer++) {
        for (const cell of this.capturedCells(state, writer, tag)) rename(cell);
      }
      for (let reader = 0; reader < at.readerCount; reader++) {
        rename(at.reader(reader) + at.tokens + tag);
        if (scenario.hits !== "at once") rename(at.reader(reader) + at.looked + tag);
      }
    }
  }

  private nameOthers(state: State): void {
    const { at, scenario } = this;
    for (let tag = 0; tag < at.tagCount; tag++) {
      const isCurrent = isToken(state[at.tag(tag)]!);
      if (this.names.length > 0) this.names.length = 0;
      for (let reader = 0; reader < at.readerCount; reader++) {
        this.name(state, at.reader(reader) + at.tokens + tag, isCurrent);
        if (scenario.hits !== "at once") this.name(state, at.reader(reader) + at.looked + tag, isCurrent);
      }
      for (let writer = 0; writer < at.writerCount; writer++) {
        for (const cell of this.capturedCells(state, writer, tag)) {
          if (isOld(state[cell]!, isCurrent)) state[cell] = this.knownName(state[cell]!) ?? DEAD;
        }
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
      if (this.names.length > 0) this.names.length = 0;
      for (let reader = 0; reader < at.readerCount; reader++) {
        this.name(state, at.reader(reader) + at.tokens + tag, isCurrent);
        if (scenario.hits !== "at once") this.name(state, at.reader(reader) + at.looked + tag, isCurrent);
      }
      for (let writer = 0; writer < at.writerCount; writer++) {
        for (const cell of this.capturedCells(state, writer, tag)) this.name(state, cell, isCurrent);
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
    const known = this.scenario.hits !== "at once" ? this.names.indexOf(token) : -1;
    return known < 0 ? undefined : CURRENT + 1 + known;
  }

  private name(state: State, cell: number, isCurrent: boolean): void {
    const token = state[cell]!;
    if (!isOld(token, isCurrent) || this.isPromised(state, token)) return;
    let known = this.names.indexOf(token);
    if (known < 0) known = this.names.push(token) - 1;
    state[cell] = CURRENT + 1 + known;
  }

  /** Some tag or entry may get it still. Only "names" knows of that; see {@link WriteSpec.through}. */
  private isPromised(state: State, token: number): boolean {
    const writer = promiserOf(token);
    if (writer === undefined || this.scenario.rules.tokens === "counter") return false;
    const stands = state[this.at.writer(writer)];
    return stands !== Writer.IDLE && stands !== Writer.GONE;
  }

  /** Where a writer keeps a token of this tag. */
  private capturedCells(state: State, writer: number, tag: number): readonly number[] {
    const { at } = this;
    const first = at.writer(writer);
    if (state[first] === Writer.IDLE || state[first] === Writer.GONE) return [];
    const { through } = this.scenario.writers[writer]![state[first + at.write]!]!;
    if (through?.captured === tag) return [first + at.captured];
    return through?.watched === tag ? [first + at.watched] : [];
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
      const [one, other] = [state[left + offset]!, state[right + offset]!];
      if (one !== other && (one <= CURRENT || other <= CURRENT)) return one - other;
    }
    return 0;
  }
}
