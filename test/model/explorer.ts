import { Canonical, type Reduction } from "./canonical";
import { Database } from "./database";
import { faultSteps } from "./faults";
import { broken } from "./promise";
import { readerSteps } from "./reader";
import { RedisModel } from "./redis";
import type { Scenario } from "./scenario";
import { FRESH, Layout, OVER, type State } from "./state";
import type { Step, World } from "./step";
import { writerSteps } from "./writer";

export interface Exploration {
  /** Every state that can be told apart, as text; if the promise was broken, those seen until then. */
  readonly states: readonly string[];
  /** Seconds of processor time. */
  readonly seconds: number;
  /** The shortest way to a broken promise, and how it is broken. */
  readonly violation?: { readonly steps: readonly string[]; readonly what: string };
}

/**
 * Visits every state that can be reached, in the order of the number of steps to it, and asks in each whether the promise
 * holds. It ends at the first that breaks it.
 */
export function explore(scenario: Scenario, reduction: Reduction = "all"): Exploration {
  const began = process.cpuUsage();
  const world = createWorld(scenario);
  const canonical = new Canonical(scenario, world.at, reduction);
  const steps = allSteps(world);

  const state = beginning(world);
  const next = Buffer.alloc(world.at.size);
  canonical.apply(state);
  const states = [textOf(state)];
  /** From which state each was reached first. */
  const found = new Map<string, number>([[states[0]!, -1]]);
  for (let index = 0; index < states.length; index++) {
    state.write(states[index]!, "latin1");
    state.copy(next);
    for (const step of steps) {
      if (!step.apply(next)) continue;
      const what = broken(world, next);
      if (what !== undefined) {
        const way = retrace(world, canonical, steps, wayTo(states, found, index));
        return { states, seconds: since(began), violation: { steps: [...way, step.name], what } };
      }
      canonical.apply(next);
      const text = textOf(next);
      state.copy(next);
      if (found.has(text)) continue;
      found.set(text, index);
      states.push(text);
    }
  }
  return { states, seconds: since(began) };
}

/** @param mint a token that the tag never had; left to canonical.ts if it is not given */
export function createWorld(scenario: Scenario, mint?: (state: State, tag: number) => number): World {
  const at = new Layout(scenario);
  const count = (state: State, tag: number): number => FRESH - 100 + ++state[at.counters + tag]!;
  const draw = mint ?? (() => FRESH);
  const redis = new RedisModel(scenario, at, scenario.rules.tokens === "counter" ? count : draw);
  return { scenario, at, redis, database: new Database(scenario, at) };
}

/** Nothing in Redis but the guards, their quarantine over; every row committed. */
export function beginning({ at, database, scenario }: World): State {
  const state = Buffer.alloc(at.size);
  database.begin(state);
  for (let group = 0; group < at.groupCount; group++) state[at.quarantine(group)] = OVER;
  state[at.crashes] = scenario.faults.crashes;
  state[at.evictions] = scenario.faults.evictions;
  state[at.flushes] = scenario.faults.flushes;
  return state;
}

function allSteps(world: World): Step[] {
  const { readers, writers } = world.scenario;
  return [
    ...Array.from({ length: readers }, (_, reader) => readerSteps(world, reader)).flat(),
    ...writers.flatMap((_, writer) => writerSteps(world, writer)),
    ...faultSteps(world),
  ];
}

function wayTo(states: readonly string[], found: ReadonlyMap<string, number>, last: number): string[] {
  const way: string[] = [];
  for (let at = last; at >= 0; at = found.get(states[at]!)!) way.unshift(states[at]!);
  return way;
}

/** Which steps lead from one state to the next. */
function retrace(world: World, canonical: Canonical, steps: readonly Step[], way: readonly string[]): string[] {
  const next = Buffer.alloc(world.at.size);
  return way.slice(1).map((goal, index) => {
    const taken = steps.find((step) => {
      next.write(way[index]!, "latin1");
      if (!step.apply(next) || broken(world, next) !== undefined) return false;
      canonical.apply(next);
      return textOf(next) === goal;
    });
    return taken!.name;
  });
}

export function textOf(state: State): string {
  return state.toString("latin1");
}

function since(began: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(began);
  return (user + system) / 1e6;
}
