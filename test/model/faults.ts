import * as is from "./state";
import { spend, type Step, type World } from "./step";

/** What happens to Redis, and the passing of time. */
export function faultSteps({ at, redis, scenario }: World): Step[] {
  const steps: Step[] = [];
  const { tags, entries, writers } = scenario;
  tags.forEach(({ name }, tag) => {
    steps.push({
      name: `${name} is evicted`,
      apply: (state) => {
        if (state[at.tag(tag)] === is.MISSING || !spend(state, at.evictions)) return false;
        redis.evictTag(state, tag);
        return true;
      },
    });
  });
  entries.forEach(({ name }, entry) => {
    steps.push({
      name: `${name} is evicted`,
      apply: (state) => {
        if (state[at.entry(entry)] === 0) return false;
        redis.evictEntry(state, entry);
        return true;
      },
    });
  });
  for (let group = 0; group < at.groupCount; group++) {
    const which = at.groupCount > 1 ? ` ${group}` : "";
    steps.push({
      name: `guard${which} is evicted`,
      apply: (state) => {
        if (state[at.quarantine(group)] === is.NO_GUARD || !spend(state, at.evictions)) return false;
        redis.evictGuard(state, group);
        return true;
      },
    });
    // It began after the loss and lasts as long as a lock does, so every lock from before is over by then.
    steps.push({
      name: `quarantine${which} ends`,
      apply: (state) => {
        if (state[at.quarantine(group)] !== is.RUNNING) return false;
        if (writers.some((_, writer) => state[at.lock(group, writer)] === is.LIVE_UNTIL_QUARANTINE)) return false;
        state[at.quarantine(group)] = is.OVER;
        return true;
      },
    });
    writers.forEach((_, writer) => {
      steps.push({
        name: `W${writer + 1}'s deadline passes${which && ` in group${which}`}`,
        apply: (state) => {
          const time = state[at.lock(group, writer)];
          if (time !== is.LIVE && time !== is.LIVE_UNTIL_QUARANTINE) return false;
          redis.expire(state, writer, group);
          return true;
        },
      });
    });
  }
  steps.push({
    name: "FLUSHALL",
    apply: (state) => {
      if (!spend(state, at.flushes)) return false;
      redis.flush(state);
      return true;
    },
  });
  return steps;
}
