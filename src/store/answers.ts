import type { Entry } from "../core/entry";
import type { ReadAnswer } from "./store";

/** The answer for an entry whose tags are all as they were when it was filled. */
export function hitOf(
  { payload, rowTags, tokens, filledAt }: Entry,
  wantsTokens: boolean | undefined,
): ReadAnswer & { readonly outcome: "hit" } {
  return {
    outcome: "hit",
    payload,
    rowTags,
    ...(wantsTokens === true ? { tokens } : {}),
    ...(filledAt === undefined ? {} : { filledAt }),
  };
}

/** The answer for an entry of which some tag has changed, or is locked. */
export function staleOf({ payload, rowTags, tokens, filledAt }: Entry): ReadAnswer {
  return {
    outcome: "miss",
    why: "stale",
    rowTags,
    ...(filledAt === undefined ? {} : { last: { payload, filledAt, tokens } }),
  };
}
