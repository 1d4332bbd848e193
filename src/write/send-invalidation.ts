import type { Change } from "../core/change";
import type { Tag } from "../core/tag";
import type { WritePath } from "../events";
import type { Store } from "../store/store";
import type { CacheReporter } from "../telemetry/cache-reporter";
import { aboutTags } from "../telemetry/event-channels";
import type { Announce } from "./commit-protocol";

/** What is invalidated, and why. */
export interface Invalidation {
  readonly tags: readonly Tag[];
  readonly cause: string;
  readonly path: WritePath;
  /** What those who listen are told of, besides the tags. */
  readonly told?: readonly Change[] | undefined;
}

/** What it is sent by. */
export interface InvalidationOptions {
  readonly store: Pick<Store, "invalidate">;
  readonly reporter: CacheReporter;
  /** Undefined if nobody is told. */
  readonly announce?: Announce | undefined;
}

/**
 * Invalidates without a lock, and reports it once the store has taken it.
 *
 * @throws StoreError if the store does not answer; the caller then sees to it that it is made up for
 */
export async function sendInvalidation(
  { store, reporter, announce }: InvalidationOptions,
  { tags, cause, path, told }: Invalidation,
): Promise<void> {
  await reporter.trace(
    "invalidate",
    () => ({ ...aboutTags(tags), cause, path }),
    () => store.invalidate(tags, announce?.(tags, told)),
  );
  reporter.emit("invalidate", { tags, cause, path });
}
