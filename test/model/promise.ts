import { rowTagsOf } from "./database";
import * as is from "./state";
import { Reader, type State } from "./state";
import type { World } from "./step";

/**
 * The promise: what is served from the cache, or shared by another reader, is what the database held at one moment since
 * the read began. So it is not older than the newest commit before, it was committed, and its rows are of one moment.
 *
 * @returns who gets what is wrong, or undefined
 */
export function broken(world: World, state: State): string | undefined {
  return (
    brokenHit(world, state) ??
    brokenLook(world, state) ??
    (world.scenario.sharing ? brokenJoin(world, state) : undefined)
  );
}

function brokenHit({ at, database, redis, scenario }: World, state: State): string | undefined {
  const since = state[scenario.promise === "returned" ? at.returned : at.commits]!;
  for (let entry = 0; entry < scenario.entries.length; entry++) {
    if (!redis.isHit(state, entry)) continue;
    const spec = scenario.entries[entry]!;
    if (!database.wasThere(state, spec, at.entry(entry) + 1 + at.tagCount, since)) return `stale hit of ${spec.name}`;
  }
  return undefined;
}

function brokenLook({ at, database, scenario }: World, state: State): string | undefined {
  for (let reader = 0; reader < at.readerCount; reader++) {
    const first = at.reader(reader);
    if (state[first] !== Reader.HIT) continue;
    const spec = scenario.entries[state[first + at.reads]!]!;
    const fine = database.wasThere(state, spec, first + at.values, state[first + at.began]!);
    if (!fine) return `stale hit of ${spec.name}, by R${reader + 1}`;
    state.fill(0, first, first + at.readerSize);
  }
  return undefined;
}

/**
 * Single flight: a reader whose PREPARE is done may join a load of the same entry that somebody else prepared, whether it
 * runs or has come back. One that still runs returns nothing older than now; so only what has come back is looked at.
 */
function brokenJoin(world: World, state: State): string | undefined {
  const { at, database, scenario } = world;
  for (let joiner = 0; joiner < at.readerCount; joiner++) {
    const own = at.reader(joiner);
    if (state[own] !== Reader.PREPARED) continue;
    const spec = scenario.entries[state[own + at.reads]!]!;
    for (let loader = 0; loader < at.readerCount; loader++) {
      const other = at.reader(loader);
      if (state[other] !== Reader.LOADED) continue;
      if (state[own + at.reads] !== state[other + at.reads] || !mayJoin(world, state, own, other)) continue;
      if (database.wasThere(state, spec, other + at.values, state[own + at.began]!)) continue;
      return `stale rows of ${spec.name}, shared by R${loader + 1} with R${joiner + 1}`;
    }
  }
  return undefined;
}

function mayJoin({ at, scenario }: World, state: State, own: number, other: number): boolean {
  const { rules, entries } = scenario;
  const spec = entries[state[own + at.reads]!]!;
  if (!rules.compareBeforeJoin) return true;
  for (let tag = 0; tag < at.tagCount; tag++) {
    const token = state[own + at.tokens + tag]!;
    const theirs = state[other + at.tokens + tag]!;
    if (token === is.WITHHELD || token !== theirs) return false;
  }
  if (!rules.joinCoveredRows || (spec.byKey && state[own + at.tokens + spec.byKey.anyRow] !== is.MISSING)) return true;
  return rowTagsOf(state, spec, other + at.values).every((tag) => state[own + at.tokens + tag] !== is.MISSING);
}
