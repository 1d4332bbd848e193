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

/** One of the library's stores, slow at just these places. */
export class WidenedStore implements Store {
  readonly name: string;
  readonly stripes: number;

  constructor(private readonly store: Store) {
    this.name = store.name;
    this.stripes = store.stripes ?? 1;
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

  lock(...args: Parameters<Store["lock"]>) {
    return this.store.lock(...args);
  }

  async unlock(request: UnlockRequest) {
    await widenedWindow();
    return this.store.unlock(request);
  }

  async invalidate(...args: Parameters<Store["invalidate"]>) {
    await widenedWindow();
    return this.store.invalidate(...args);
  }

  check(...args: Parameters<NonNullable<Store["check"]>>) {
    return this.store.check!(...args);
  }

  listen(...args: Parameters<NonNullable<Store["listen"]>>) {
    return this.store.listen!(...args);
  }

  close() {
    return this.store.close();
  }
}
