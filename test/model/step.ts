import type { Database } from "./database";
import type { RedisModel } from "./redis";
import { ANY, type Scenario } from "./scenario";
import type { Layout, State } from "./state";

/** Something that may happen, in one stroke. */
export interface Step {
  /** Who does what, for traces. */
  readonly name: string;
  /** Makes it happen to this state; false if it cannot happen there, and the state is then as it was. */
  readonly apply: (state: State) => boolean;
}

/** What steps work with. */
export interface World {
  readonly scenario: Scenario;
  readonly at: Layout;
  readonly redis: RedisModel;
  readonly database: Database;
}

/** Takes one of what may happen a limited number of times. */
export function spend(state: State, budget: number): boolean {
  if (state[budget] === 0) return false;
  if (state[budget] !== ANY) state[budget]!--;
  return true;
}

/** The tags that belong to a group. */
export function inGroup(scenario: Scenario, group: number, tags: readonly number[]): number[] {
  return tags.filter((tag) => scenario.tags[tag]!.group === group);
}

/** The groups of some tags, each once. */
export function groupsOf(scenario: Scenario, tags: readonly number[]): number[] {
  return [...new Set(tags.map((tag) => scenario.tags[tag]!.group))];
}
