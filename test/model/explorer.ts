import { Canonical } from "./canonical";
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
  /** How many states there are that one can tell apart; or were seen, if the promise was broken. */
  readonly states: number;
  readonly seconds: number;
  /** The shortest way to a broken promise, and how it is broken. */
  readonly violation?: { readonly steps: readonly string[]; readonly what: string };
}

/**
 * Visits every state that can be reached, in the order of the number of steps to it, and asks in each whether the promise
 * holds. It ends at the first that breaks it.
 *
 * @param options.traced keeps the readers apart, so that a trace tells which is which; more states
 */
export function explore(scenario: Scenario, options: { readonly traced?: boolean } = {}): Exploration {
  const began = performance.now();
  const world = createWorld(scenario);
  const { at } = world;
  const canonical = new Canonical(scenario, at, options.traced !== true);
  const steps = allSteps(world);

  const start = beginning(world);
  canonical.apply(start);
  const found = new Map<string, number>([[textOf(start), -1]]);
  const order = [textOf(start)];
  const state = Buffer.alloc(at.size);
  const next = Buffer.alloc(at.size);
  for (let index = 0; index < order.length; index++) {
    state.write(order[index]!, "latin1");
    state.copy(next);
    for (const step of steps) {
      if (!step.apply(next)) continue;
      const what = broken(world, next);
      if (what !== undefined) {
        const way = [...wayTo(order, found, index), order[index]!];
        return { states: found.size, seconds: since(began), violation: { steps: [...retrace(world, canonical, steps, way), step.name], what } };
      }
      canonical.apply(next);
      const text = textOf(next);
      state.copy(next);
      if (found.has(text)) continue;
      found.set(text, index);
      order.push(text);
    }
  }
  return { states: found.size, seconds: since(began) };
}

export function createWorld(scenario: Scenario, mint?: (state: State, tag: number) => number): World {
  const at = new Layout(scenario);
  const counter = (state: State, tag: number): number => FRESH - 100 + ++state[at.counters + tag]!;
  const random = mint ?? (() => FRESH);
  const redis = new RedisModel(scenario, at, scenario.rules.tokens === "counter" ? counter : random);
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

function wayTo(order: readonly string[], found: ReadonlyMap<string, number>, index: number): string[] {
  const way: string[] = [];
  for (let at = found.get(order[index]!)!; at >= 0; at = found.get(order[at]!)!) way.unshift(order[at]!);
  return way;
}

/** Which steps lead from one state to the next. */
function retrace(world: World, canonical: Canonical, steps: readonly Step[], way: readonly string[]): string[] {
  const state = Buffer.alloc(world.at.size);
  const next = Buffer.alloc(world.at.size);
  return way.slice(1).map((goal, index) => {
    state.write(way[index]!, "latin1");
    const taken = steps.find((step) => {
      state.copy(next);
      if (!step.apply(next) || broken(world, next) !== undefined) return false;
      canonical.apply(next);
      return textOf(next) === goal;
    });
    return taken?.name ?? "?";
  });
}

function textOf(state: State): string {
  return state.toString("latin1");
}

function since(began: number): number {
  return (performance.now() - began) / 1000;
}
