import { groupBy } from "../core/group-by";
import type { NearSettings } from "./entity-settings";
import type { Schema } from "./schema";

/** How copies are kept, by group; entities of one table share them, and none trusts what another wants verified. */
export function nearSettingsOf({ models }: Pick<Schema, "models">): ReadonlyMap<string, NearSettings> {
  const found = new Map<string, NearSettings>();
  for (const [group, sharing] of groupBy(models, (model) => model.group)) {
    const all = sharing.map(({ settings }) => settings.near);
    const [first] = all;
    if (first === undefined || all.includes(undefined)) continue;
    found.set(group, { ...first, mode: all.every((near) => near?.mode === "trust") ? "trust" : "verify" });
  }
  return found;
}
