import { rowTagsOf } from "./database";
import { lookSteps } from "./looking";
import type { EntrySpec } from "./scenario";
import * as is from "./state";
import { Reader, type State } from "./state";
import { groupsOf, inGroup, type Step, type World } from "./step";

/**
 * What a reader may do: PREPARE, load, fill; and look for a hit, key by key. A hit at once needs no step: promise.ts asks of
 * every state what a reader would get there. So does a miss: whoever likes to may PREPARE, whether the entry is there or not.
 */
export function readerSteps(world: World, reader: number): Step[] {
  return world.scenario.reads.flatMap((entry) => new ReaderSteps(world, reader, entry).all());
}

class ReaderSteps {
  private readonly first: number;
  private readonly entry: EntrySpec;

  constructor(
    private readonly world: World,
    private readonly reader: number,
    private readonly index: number,
  ) {
    this.first = world.at.reader(reader);
    this.entry = world.scenario.entries[index]!;
  }

  all(): Step[] {
    const { capture, sharing, rules, hits, load } = this.world.scenario;
    const steps: Step[] = [];
    for (const tags of this.guesses()) {
      const names = this.namesOf(tags);
      if (rules.prepare === "after the load") {
        steps.push(this.step(`loads before PREPARE`, Reader.IDLE, (state) => this.loadFirst(state)));
        steps.push(this.step(`PREPAREs ${names}`, Reader.PREPARING, (state) => this.prepareLate(state, tags)));
        continue;
      }
      for (const group of groupsOf(this.world.scenario, tags)) {
        steps.push(
          this.step(`PREPAREs ${this.namesOf(inGroup(this.world.scenario, group, tags))}`, Reader.IDLE, (state) =>
            this.begin(state, group, tags),
          ),
        );
        steps.push(
          this.step(`PREPAREs ${this.namesOf(inGroup(this.world.scenario, group, tags))}`, Reader.PREPARING, (state) =>
            this.prepare(state, group, tags),
          ),
        );
      }
    }
    if (load === "row by row") {
      this.entry.rows.forEach((row, at) => {
        const from = at === 0 ? Reader.PREPARED : Reader.LOADING;
        steps.push(this.step(`loads row ${row + 1}`, from, (state) => this.loadRow(state, at)));
      });
    } else {
      steps.push(this.step("loads", Reader.PREPARED, (state) => this.load(state)));
    }
    if (sharing) {
      steps.push(this.step("gives up", Reader.PREPARED, (state) => this.rest(state)));
      steps.push(this.step("delivers", Reader.LOADED, (state) => this.rest(state)));
    } else if (capture === "any-row") {
      steps.push(this.step("PREPAREs again", Reader.LOADED, (state) => this.prepareRows(state)));
      steps.push(this.step("fills", Reader.FILLABLE, (state) => this.fill(state)));
    } else {
      steps.push(this.step("fills", Reader.LOADED, (state) => this.fill(state)));
    }
    if (hits !== "at once") steps.push(...lookSteps(this.world, this.reader, this.index));
    return steps;
  }

  private step(name: string, from: number, apply: Step["apply"]): Step {
    const { at, scenario } = this.world;
    const which = scenario.reads.length > 1 ? ` (${this.entry.name})` : "";
    return {
      name: `R${this.reader + 1} ${name}${which}`,
      apply: (state) => {
        if (state[this.first] !== from) return false;
        return (from === Reader.IDLE || state[this.first + at.reads] === this.index) && apply(state);
      },
    };
  }

  /** The sets of tags that a reader may PREPARE before it has loaded. */
  private guesses(): number[][] {
    const { capture, rules } = this.world.scenario;
    const { byKey, barrier } = this.entry;
    const tags = barrier === undefined || !rules.prepareBarrier ? [...this.entry.tags] : [...this.entry.tags, barrier];
    if (byKey === undefined || capture === "query") return [tags];
    if (capture === "any-row") return [[...tags, byKey.anyRow]];
    return byKey.rowTags.reduce<number[][]>((sets, tag) => [...sets, ...sets.map((set) => [...set, tag])], [tags]);
  }

  private namesOf(tags: readonly number[]): string {
    return tags.map((tag) => this.world.scenario.tags[tag]!.name).join(", ");
  }

  private begin(state: State, group: number, tags: readonly number[]): boolean {
    const { at, scenario } = this.world;
    state[this.first] = Reader.PREPARING;
    state[this.first + at.reads] = this.index;
    if (scenario.sharing) state[this.first + at.began] = state[at.commits]!;
    return this.prepare(state, group, tags);
  }

  private prepare(state: State, group: number, tags: readonly number[]): boolean {
    const { at, redis, scenario } = this.world;
    const asked = inGroup(scenario, group, tags);
    const tokens = this.first + at.tokens;
    if (asked.some((tag) => state[tokens + tag] !== is.MISSING)) return false;
    if (scenario.rules.write === "lock") {
      redis.prepare(state, group, asked);
      asked.forEach((tag, index) => (state[tokens + tag] = redis.answers[index]!));
    }
    const done = scenario.rules.write !== "lock" || tags.every((tag) => state[tokens + tag] !== is.MISSING);
    if (done) state[this.first] = Reader.PREPARED;
    // It loads for itself alone and fills nothing: no need to follow it. A guessed row may turn out not to matter.
    const guessed = scenario.sharing || scenario.capture !== "hints" ? [] : this.entry.byKey!.rowTags;
    const alone = asked.some((tag) => state[tokens + tag] === is.WITHHELD && !guessed.includes(tag));
    if (alone && scenario.rules.compareBeforeJoin) return this.rest(state);
    // That it was not locked is all that a fill asks of it.
    const { barrier } = this.entry;
    if (done && barrier !== undefined && !scenario.sharing) state[tokens + barrier] = is.MISSING;
    return true;
  }

  private load(state: State): boolean {
    const { at, database, scenario } = this.world;
    state[this.first] = Reader.LOADED;
    state[this.first + at.began] = 0;
    database.read(state, this.entry, this.first + at.values);
    if (scenario.capture === "hints" && !scenario.sharing) {
      const needed = [...this.entry.tags, ...rowTagsOf(state, this.entry, this.first + at.values)];
      for (const tag of this.entry.byKey!.rowTags)
        if (!needed.includes(tag)) state[this.first + at.tokens + tag] = is.MISSING;
    }
    return true;
  }

  private loadRow(state: State, index: number): boolean {
    const { at, database } = this.world;
    const { rows } = this.entry;
    const done = state[this.first + at.began]!;
    if (index > 0 && done !== index) return false;
    state[this.first] = index === rows.length - 1 ? Reader.LOADED : Reader.LOADING;
    state[this.first + at.began] = index === rows.length - 1 ? 0 : index + 1;
    database.read(state, this.entry, this.first + at.values, rows[index]);
    return true;
  }

  private loadFirst(state: State): boolean {
    state[this.first] = Reader.PREPARING;
    state[this.first + this.world.at.reads] = this.index;
    this.world.database.read(state, this.entry, this.first + this.world.at.values);
    return true;
  }

  private prepareLate(state: State, tags: readonly number[]): boolean {
    const { redis, scenario } = this.world;
    redis.prepare(state, scenario.tags[tags[0]!]!.group, tags);
    tags.forEach((tag, index) => (state[this.first + this.world.at.tokens + tag] = redis.answers[index]!));
    state[this.first] = Reader.LOADED;
    return true;
  }

  /** The row tags are known now. Their tokens may be taken now if no row was written since the first PREPARE. */
  private prepareRows(state: State): boolean {
    const { at, redis, scenario } = this.world;
    const { group, tags, byKey } = this.entry;
    const tokens = this.first + at.tokens;
    const watched = scenario.rules.compareAnyRow ? [...tags, byKey!.anyRow] : tags;
    const rows = rowTagsOf(state, this.entry, this.first + at.values);
    const asked = [...watched, ...rows];
    redis.prepare(state, group, asked);
    const same = watched.every(
      (tag, index) => is.isToken(state[tokens + tag]!) && redis.answers[index] === state[tokens + tag],
    );
    if (!same || redis.answers.includes(is.WITHHELD)) return this.rest(state);
    state[tokens + byKey!.anyRow] = is.MISSING;
    rows.forEach((tag, index) => (state[tokens + tag] = redis.answers[watched.length + index]!));
    state[this.first] = Reader.FILLABLE;
    return true;
  }

  private fill(state: State): boolean {
    const { at, redis, scenario } = this.world;
    const tokens = this.first + at.tokens;
    const values = this.first + at.values;
    const tags = [...this.entry.tags, ...rowTagsOf(state, this.entry, values)];
    const isNaive = scenario.rules.write !== "lock";
    if (isNaive || tags.every((tag) => is.isToken(state[tokens + tag]!))) {
      const entry = at.entry(this.index);
      redis.write(state, this.index, () => {
        for (const tag of tags) state[entry + 1 + tag] = state[tokens + tag]!;
        state.copy(state, entry + 1 + at.tagCount, values, values + at.rowCount);
      });
    }
    return this.rest(state);
  }

  private rest(state: State): boolean {
    state.fill(0, this.first, this.first + this.world.at.readerSize);
    return true;
  }
}
