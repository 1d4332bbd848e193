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

class WriterSteps {
  private readonly first: number;
  private readonly groups: readonly number[];

  constructor(
    private readonly world: World,
    private readonly writer: number,
    private readonly write: WriteSpec,
    private readonly index: number,
  ) {
    this.first = world.at.writer(writer);
    this.groups = groupsOf(world.scenario, write.tags);
  }

  all(): Step[] {
    const { world, write } = this;
    const { scenario } = world;
    const steps: Step[] = [
      this.step(write.mode === "transaction" ? `writes: ${write.name}` : `begins: ${write.name}`, (state) =>
        this.begin(state),
      ),
      this.step("COMMIT", (state) => this.commit(state)),
      this.step("dies", (state) => this.die(state)),
    ];
    if (scenario.faults.rollbacks) steps.push(this.step("ROLLBACK", (state) => this.rollBack(state)));
    if (scenario.rules.write !== "lock") {
      const naive = scenario.rules.write === "delete after commit" ? "deletes the entries" : "sets the entries";
      return [...steps, this.step(naive, (state) => this.naive(state))];
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
    const begins = name.startsWith("writes") || name.startsWith("begins");
    return {
      name: `W${this.writer + 1} ${name}`,
      apply: (state) => {
        const stands = state[this.first];
        if (begins) return stands === Writer.IDLE && apply(state);
        if (stands === Writer.IDLE || stands === Writer.GONE) return false;
        return state[this.first + this.world.at.write] === this.index && apply(state);
      },
    };
  }

  private begin(state: State): boolean {
    if (this.write.mode === "transaction" && !this.rowsAreFree(state)) return false;
    state[this.first] = Writer.WROTE;
    state[this.first + this.world.at.write] = this.index;
    return true;
  }

  private lock(state: State, group: number): boolean {
    const { at } = this.world;
    if (state[this.first] !== Writer.WROTE || state[at.lock(group, this.writer)] !== is.UNLOCKED) return false;
    this.sendLock(state, group);
    const done = this.groups.every((each) => state[at.lock(each, this.writer)] !== is.UNLOCKED);
    if (done) state[this.first] = Writer.LOCKED;
    return true;
  }

  /** Before COMMIT is sent: more was written meanwhile, or the lock is too old. */
  private lockAgain(state: State, group: number): boolean {
    if (state[this.first] !== Writer.LOCKED) return false;
    this.sendLock(state, group);
    return true;
  }

  private sendLock(state: State, group: number): void {
    const { at, redis, scenario } = this.world;
    const captured = inGroup(scenario, group, this.write.through === undefined ? [] : [this.write.through.captured]);
    redis.lock(state, this.writer, group, inGroup(scenario, group, this.write.tags), captured);
    if (captured.length > 0) state[this.first + at.captured] = redis.answers[0]!;
  }

  /** A timer keeps the lock alive from when COMMIT is sent to UNLOCK, though after a pause it may come too late. */
  private renew(state: State, group: number): boolean {
    const { at, redis, scenario } = this.world;
    const stands = state[this.first]!;
    if (stands !== Writer.LOCKED && stands !== Writer.COMMITTED && stands !== Writer.REREAD) return false;
    if (state[at.lock(group, this.writer)] === is.UNLOCKED) return false;
    redis.lock(state, this.writer, group, inGroup(scenario, group, this.write.tags), []);
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
    if (stands !== Writer.WROTE && stands !== Writer.LOCKED) return false;
    state[this.first] = Writer.ROLLED_BACK;
    const { at, database, scenario } = this.world;
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
    redis.unlock(state, this.writer, group, inGroup(scenario, group, this.write.tags), through);
    if (!this.isLocked(state)) this.goOn(state);
    return true;
  }

  private through(state: State, group: number): Through[] {
    const { at, scenario } = this.world;
    const { through } = this.write;
    if (through === undefined || scenario.entries[through.entry]!.group !== group) return [];
    const rolledBack = scenario.rules.writeAfterRollback && state[this.first] === Writer.ROLLED_BACK;
    if (state[this.first] !== Writer.REREAD && !rolledBack) return [];
    const { captured, entry, locked } = through;
    const late = scenario.rules.captureEpoch === "at unlock";
    const token = state[late ? at.tag(captured) : this.first + at.captured]!;
    if (!is.isToken(token) && token !== is.DEAD) return [];
    const image = this.first + at.image;
    const { byKey } = scenario.entries[entry]!;
    if (byKey && rowTagsOf(state, scenario.entries[entry]!, image).length === 0) return [];
    const put = (target: State): void => {
      target[at.entry(entry) + 1 + captured] = token;
      target.copy(target, at.entry(entry) + 1 + at.tagCount, image, image + at.rowCount);
    };
    return [{ entry, locked, put }];
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

  private isLocked(state: State): boolean {
    return this.groups.some((group) => state[this.world.at.lock(group, this.writer)] !== is.UNLOCKED);
  }

  private isLive(state: State, group: number): boolean {
    const time = state[this.world.at.lock(group, this.writer)];
    return time === is.LIVE || time === is.LIVE_UNTIL_QUARANTINE;
  }

  /** Row locks of the database: two uncommitted writes of one row do not exist. */
  private rowsAreFree(state: State): boolean {
    const { at, scenario } = this.world;
    return scenario.writers.every((writes, other) => {
      const first = at.writer(other);
      if (other === this.writer || (state[first] !== Writer.WROTE && state[first] !== Writer.LOCKED)) return true;
      const write = writes[state[first + at.write]!]!;
      return (
        write.mode === "statement" || !write.rows.some(({ row }) => this.write.rows.some((own) => own.row === row))
      );
    });
  }
}
