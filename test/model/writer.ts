import { rowTagsOf } from "./database";
import type { Through } from "./redis";
import type { WriteSpec } from "./scenario";
import * as is from "./state";
import { type State, Writer } from "./state";
import { groupsOf, inGroup, spend, type Step, type World } from "./step";

/** What a writer may do: write, LOCK, COMMIT or ROLLBACK, UNLOCK, or die in between. */
export function writerSteps(world: World, writer: number): Step[] {
  return world.scenario.writers[writer]!.flatMap((write, index) => new WriterSteps(world, writer, write, index).all());
}

/** In place of the rows found: a search that was given up before its rows were locked. */
const NOT_LOCKED = 255;

class WriterSteps {
  private readonly first: number;
  private readonly groups: readonly number[];
  private readonly begins: string;

  constructor(
    private readonly world: World,
    private readonly writer: number,
    private readonly write: WriteSpec,
    private readonly index: number,
  ) {
    this.first = world.at.writer(writer);
    this.groups = groupsOf(world.scenario, write.tags);
    this.begins = `${write.mode === "transaction" && !write.search ? "writes" : "begins"}: ${write.name}`;
  }

  all(): Step[] {
    const { world, write } = this;
    const { scenario } = world;
    const steps: Step[] = [
      this.step(this.begins, (state) => this.begin(state)),
      this.step("COMMIT", (state) => this.commit(state)),
      this.step("dies", (state) => this.die(state)),
    ];
    if (scenario.faults.rollbacks) steps.push(this.step("ROLLBACK", (state) => this.rollBack(state)));
    if (scenario.rules.write !== "lock") {
      const naive = scenario.rules.write === "delete after commit" ? "deletes the entries" : "sets the entries";
      return [...steps, this.step(naive, (state) => this.naive(state))];
    }
    if (write.search) {
      steps.push(this.step("finds its rows", (state) => this.find(state)));
      steps.push(this.step("writes them", (state) => this.writeFound(state)));
    }
    if (write.through) steps.push(this.step("reads the row back", (state) => this.readBack(state)));
    for (const group of this.groups) {
      const where = this.groups.length > 1 ? ` in group ${group}` : "";
      steps.push(
        this.step(`LOCK${where}`, (state) => this.lock(state, group)),
        this.step(`LOCKs again${where}`, (state) => this.lockAgain(state, group)),
        this.step(`renews its lock${where}`, (state) => this.renew(state, group)),
        this.step(`UNLOCK${where}`, (state) => this.unlock(state, group)),
      );
    }
    return steps;
  }

  private step(name: string, apply: Step["apply"]): Step {
    return {
      name: `W${this.writer + 1} ${name}`,
      apply: (state) => {
        const stands = state[this.first];
        if (name === this.begins) return stands === Writer.IDLE && apply(state);
        if (stands === Writer.IDLE || stands === Writer.GONE) return false;
        return state[this.first + this.world.at.write] === this.index && apply(state);
      },
    };
  }

  private begin(state: State): boolean {
    const { at, database, redis, scenario } = this.world;
    const { rules, tags } = scenario;
    const { mode, search } = this.write;
    if (search === undefined) {
      if (mode === "transaction" && !this.rowsAreFree(state)) return false;
      state[this.first] = Writer.WROTE;
    } else {
      if (rules.search === "before the barrier") state[this.first + at.found] = database.matching(state);
      else redis.lock(state, this.writer, tags[search.barrier]!.group, [search.barrier], []);
      state[this.first] = Writer.HOLDING;
    }
    state[this.first + at.write] = this.index;
    return true;
  }

  private find(state: State): boolean {
    if (state[this.first] !== Writer.HOLDING) return false;
    const { at, database, redis, scenario } = this.world;
    const { barrier } = this.write.search!;
    if (scenario.rules.search === "under the barrier") state[this.first + at.found] = database.matching(state);
    else redis.lock(state, this.writer, scenario.tags[barrier]!.group, [barrier], []);
    state[this.first] = Writer.FOUND;
    return true;
  }

  /** A transaction has its rows from here on; they need not be those that it has found. */
  private writeFound(state: State): boolean {
    if (state[this.first] !== Writer.FOUND || this.write.mode !== "transaction") return false;
    const { at, database } = this.world;
    state[this.first + at.wrote] = database.matching(state);
    if (!this.rowsAreFree(state)) {
      state[this.first + at.wrote] = 0;
      return false;
    }
    state[this.first] = Writer.WROTE;
    return true;
  }

  private lock(state: State, group: number): boolean {
    const { at } = this.world;
    const { mode, search } = this.write;
    if (state[this.first] !== (search && mode === "statement" ? Writer.FOUND : Writer.WROTE)) return false;
    if (search) {
      if (!this.isStillFound(state, group)) return false;
    } else if (state[at.lock(group, this.writer)] !== is.UNLOCKED) return false;
    this.sendLock(state, group);
    const done = this.groups.every((each) => state[at.lock(each, this.writer)] !== is.UNLOCKED);
    if (done) state[this.first] = Writer.LOCKED;
    return true;
  }

  /** Before COMMIT is sent: more was written meanwhile, or the lock is too old. */
  private lockAgain(state: State, group: number): boolean {
    if (state[this.first] !== Writer.LOCKED || !this.isStillFound(state, group)) return false;
    this.sendLock(state, group);
    return true;
  }

  private sendLock(state: State, group: number): void {
    const { at, redis, scenario } = this.world;
    const { through } = this.write;
    const wanted =
      through === undefined ? [] : [through.captured, ...(through.watched === undefined ? [] : [through.watched])];
    const captured = inGroup(scenario, group, wanted);
    redis.lock(state, this.writer, group, inGroup(scenario, group, this.tagsIn(state)), captured);
    if (captured.length > 0) state[this.first + at.captured] = redis.answers[0]!;
    if (captured.length > 1) state[this.first + at.watched] = redis.answers[1]!;
  }

  /** A timer keeps the lock alive from when COMMIT is sent to UNLOCK, though after a pause it may come too late. */
  private renew(state: State, group: number): boolean {
    const { at, redis, scenario } = this.world;
    const stands = state[this.first]!;
    if (stands !== Writer.LOCKED && stands !== Writer.COMMITTED && stands !== Writer.REREAD) return false;
    if (state[at.lock(group, this.writer)] === is.UNLOCKED) return false;
    if (!this.isStillFound(state, group)) return false;
    redis.lock(state, this.writer, group, inGroup(scenario, group, this.tagsIn(state)), []);
    if (this.write.through && !scenario.rules.writeAfterRenewal) state[this.first + at.captured] = is.WITHHELD;
    return true;
  }

  /**
   * The moment at which the rows are committed. It comes before the deadline of the lock: COMMIT is sent while the lock is
   * younger than half of its TTL, and takes less than the other half. (In promise "returned" it may take longer.)
   */
  private commit(state: State): boolean {
    const { database, scenario } = this.world;
    const { rules, promise } = scenario;
    if (state[this.first] !== (rules.write === "lock" ? Writer.LOCKED : Writer.WROTE)) return false;
    if (this.write.mode === "statement" && !this.rowsAreFree(state)) return false;
    const young = this.groups.every((group) => this.isLive(state, group));
    if (rules.write === "lock" && rules.commitWhileYoung && promise === "committed" && !young) return false;
    state[this.first] = Writer.COMMITTED;
    database.commit(state, this.writer, this.write);
    return true;
  }

  private rollBack(state: State): boolean {
    const stands = state[this.first]!;
    if (stands < Writer.HOLDING || stands > Writer.LOCKED) return false;
    const { at, database, scenario } = this.world;
    if (stands < Writer.LOCKED) state[this.first + at.found] = NOT_LOCKED;
    state[this.first] = Writer.ROLLED_BACK;
    const { through } = this.write;
    if (through && scenario.rules.writeAfterRollback) {
      database.readRolledBack(state, scenario.entries[through.entry]!, this.first + at.image, this.write);
    }
    if (!this.isLocked(state)) this.goOn(state);
    return true;
  }

  /** After COMMIT and outside of the transaction: others may have written since. */
  private readBack(state: State): boolean {
    if (state[this.first] !== Writer.COMMITTED) return false;
    const { at, database, scenario } = this.world;
    state[this.first] = Writer.REREAD;
    database.read(state, scenario.entries[this.write.through!.entry]!, this.first + at.image);
    return true;
  }

  private unlock(state: State, group: number): boolean {
    const { at, redis, scenario } = this.world;
    const stands = state[this.first]!;
    if (stands !== Writer.COMMITTED && stands !== Writer.REREAD && stands !== Writer.ROLLED_BACK) return false;
    if (state[at.lock(group, this.writer)] === is.UNLOCKED) return false;
    const through = this.through(state, group);
    redis.unlock(state, this.writer, group, inGroup(scenario, group, this.tagsIn(state)), through);
    if (!this.isLocked(state)) this.goOn(state);
    return true;
  }

  private through(state: State, group: number): Through[] {
    const { at, scenario } = this.world;
    const { through } = this.write;
    if (through === undefined) return [];
    const locked = inGroup(scenario, group, through.locked);
    const isElsewhere = scenario.entries[through.entry]!.group !== group;
    if (locked.length === 0) return [];
    const rolledBack = scenario.rules.writeAfterRollback && state[this.first] === Writer.ROLLED_BACK;
    if (state[this.first] !== Writer.REREAD && !rolledBack) return [];
    const { captured, entry, watched: tag } = through;
    const late = scenario.rules.captureEpoch === "at unlock";
    const token = state[late ? at.tag(captured) : this.first + at.captured]!;
    if (!is.isToken(token) && token !== is.DEAD) return [];
    const watched =
      scenario.rules.watchBarrier && tag !== undefined ? { tag, token: state[this.first + at.watched]! } : undefined;
    const image = this.first + at.image;
    const { byKey } = scenario.entries[entry]!;
    if (byKey && rowTagsOf(state, scenario.entries[entry]!, image).length === 0) return [];
    const isSpread = locked.length < through.locked.length;
    const promised = is.promisedBy(this.writer);
    const put = (target: State): void => {
      target[at.entry(entry) + 1 + captured] = token;
      if (isSpread) for (const one of through.locked) target[at.entry(entry) + 1 + one] = promised;
      target.copy(target, at.entry(entry) + 1 + at.tagCount, image, image + at.rowCount);
    };
    const one = { entry, locked, put, ...(isSpread ? { promised, isElsewhere } : {}) };
    return [watched === undefined ? one : { ...one, watched }];
  }

  /** The process is gone; the database rolls back what was not committed, the lock stays until its deadline. */
  private die(state: State): boolean {
    const { at, scenario } = this.world;
    const stands = state[this.first]!;
    const late = !this.groups.every((group) => this.isLive(state, group) || !this.isLocked(state));
    if (scenario.promise === "returned" && stands >= Writer.COMMITTED && late) return false;
    if (!spend(state, at.crashes)) return false;
    this.leave(state);
    return true;
  }

  /** Cache-aside as it is mostly written. */
  private naive(state: State): boolean {
    if (state[this.first] !== Writer.COMMITTED) return false;
    const { at, database, redis, scenario } = this.world;
    scenario.entries.forEach((entry, index) => {
      if (scenario.rules.write === "delete after commit") return redis.evictEntry(state, index);
      const commit = state[at.commits]!;
      // The writer sets what it has written, whatever was committed since.
      state[at.commits] = state[this.first + at.commit]!;
      redis.write(state, index, (target) => database.read(target, entry, at.entry(index) + 1 + at.tagCount));
      state[at.commits] = commit;
    });
    this.goOn(state);
    return true;
  }

  private goOn(state: State): void {
    const { at, scenario } = this.world;
    const commit = state[this.first + at.commit]!;
    if (scenario.promise === "returned" && commit > state[at.returned]!) state[at.returned] = commit;
    this.leave(state);
  }

  private leave(state: State): void {
    state.fill(0, this.first, this.first + this.world.at.image + this.world.at.rowCount);
    state[this.first] = Writer.GONE;
  }

  /** What was found does not count any more after a gap: the library takes the epoch, which is a write of its own here. */
  private isStillFound(state: State, group: number): boolean {
    const { searchWhileYoung } = this.world.scenario.rules;
    return this.write.search === undefined || !searchWhileYoung || this.isLive(state, group);
  }

  /** What is locked, or is to be. */
  private tagsIn(state: State): readonly number[] {
    const { tags, search } = this.write;
    if (search === undefined) return tags;
    const found = state[this.first + this.world.at.found]!;
    if (found === NOT_LOCKED) return [search.barrier];
    return [...tags, search.barrier, ...search.rowTags.filter((_, row) => found & (1 << row))];
  }

  private isLocked(state: State): boolean {
    return this.groups.some((group) => state[this.world.at.lock(group, this.writer)] !== is.UNLOCKED);
  }

  private isLive(state: State, group: number): boolean {
    const time = state[this.world.at.lock(group, this.writer)];
    return time === is.LIVE || time === is.LIVE_UNTIL_QUARANTINE;
  }

  /** Row locks of the database: two uncommitted writes of one row do not exist. */
  private rowsAreFree(state: State): boolean {
    const { at, database, scenario } = this.world;
    const own = database.written(state, this.writer, this.write);
    return scenario.writers.every((writes, other) => {
      const first = at.writer(other);
      if (other === this.writer || (state[first] !== Writer.WROTE && state[first] !== Writer.LOCKED)) return true;
      const write = writes[state[first + at.write]!]!;
      return (
        write.mode === "statement" ||
        !database.written(state, other, write).some(({ row }) => own.some((one) => one.row === row))
      );
    });
  }
}
