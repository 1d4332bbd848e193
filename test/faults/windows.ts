import type { FillRequest, ReadRequest, Store, StoreContext, UnlockRequest } from "typeorm-coherent";
import { below, pause } from "./random";

/** Milliseconds at most; half of it on average. */
const WIDEST = 4;

/**
 * What every protocol does at the two places where a race decides: between reading the database and filling, and between
 * COMMIT and what follows it. Without it such a moment is too short to be met often.
 */
export function widenedWindow(): Promise<void> {
  return pause(below(WIDEST + 1));
}

/** A store that is slow at just these places. */
export class WidenedStore implements Store {
  readonly name: string;

  constructor(private readonly store: Store) {
    this.name = store.name;
  }

  open(context: StoreContext, groups: readonly string[]) {
    return this.store.open(context, groups);
  }

  read(requests: readonly ReadRequest[]) {
    return this.store.read(requests);
  }

  prepare(tags: readonly string[], tagTtl: number) {
    return this.store.prepare(tags, tagTtl);
  }

  async fill(entries: readonly FillRequest[]) {
    await widenedWindow();
    return this.store.fill(entries);
  }

  lock(tags: readonly string[], holder: string, readTags: readonly string[], tagTtl: number) {
    return this.store.lock(tags, holder, readTags, tagTtl);
  }

  async unlock(request: UnlockRequest) {
    await widenedWindow();
    return this.store.unlock(request);
  }

  async invalidate(tags: readonly string[]) {
    await widenedWindow();
    return this.store.invalidate(tags);
  }

  close() {
    return this.store.close();
  }
}
