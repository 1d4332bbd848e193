import * as is from "./state";
import { Reader, type State } from "./state";
import type { Step, World } from "./step";

/**
 * A reader that looks at its entry and at its tags one after the other: row tags that nobody guessed take a second round
 * trip, and in a cluster no slot waits for another.
 */
export function lookSteps(world: World, reader: number, entry: number): Step[] {
  return new LookSteps(world, reader, entry).all();
}

class LookSteps {
  private readonly first: number;

  constructor(
    private readonly world: World,
    private readonly reader: number,
    private readonly index: number,
  ) {
    this.first = world.at.reader(reader);
  }

  all(): Step[] {
    const { entries, tags } = this.world.scenario;
    const entry = entries[this.index]!;
    return [
      this.step(entry.name, (state) => this.lookAtEntry(state)),
      ...[...entry.tags, ...(entry.byKey?.rowTags ?? [])].map((tag) =>
        this.step(tags[tag]!.name, (state) => this.lookAtTag(state, tag)),
      ),
    ];
  }

  private step(key: string, look: (state: State) => boolean): Step {
    const { at } = this.world;
    const apply = (state: State): boolean => {
      const begins = state[this.first] === Reader.IDLE;
      if (!begins && (state[this.first] !== Reader.LOOKING || state[this.first + at.reads] !== this.index))
        return false;
      if (!look(state)) return false;
      if (begins) {
        state[this.first] = Reader.LOOKING;
        state[this.first + at.reads] = this.index;
        state[this.first + at.began] = state[at.commits]!;
      }
      this.judge(state);
      return true;
    };
    return { name: `R${this.reader + 1} looks at ${key}`, apply };
  }

  private lookAtEntry(state: State): boolean {
    const { at } = this.world;
    const seen = this.first + at.looked + at.tagCount;
    const entry = at.entry(this.index);
    if (state[seen] === 1 || state[entry] === 0) return false;
    state[seen] = 1;
    state.copy(state, this.first + at.tokens, entry + 1, entry + at.entrySize);
    return true;
  }

  private lookAtTag(state: State, tag: number): boolean {
    const { at, scenario } = this.world;
    const cell = this.first + at.looked + tag;
    if (scenario.hits === "entry first" && state[this.first + at.looked + at.tagCount] === 0) return false;
    // A missing or locked tag makes a miss, which needs no step.
    if (state[cell] !== is.MISSING || !is.isToken(state[at.tag(tag)]!)) return false;
    state[cell] = state[at.tag(tag)]!;
    return true;
  }

  private judge(state: State): void {
    const { at } = this.world;
    if (state[this.first + at.looked + at.tagCount] === 0) return;
    let open = false;
    for (let tag = 0; tag < at.tagCount; tag++) {
      const token = state[this.first + at.tokens + tag]!;
      const seen = state[this.first + at.looked + tag]!;
      if (token === is.MISSING) continue;
      if (seen === is.MISSING) open = true;
      else if (seen !== token) return void state.fill(0, this.first, this.first + at.readerSize);
    }
    if (!open) state[this.first] = Reader.HIT;
  }
}
