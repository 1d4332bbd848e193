import { MemoryStore, type Store } from "typeorm-coherent";

/** What a store was told, in order; reads are left out. */
export interface SpyingStore extends Store {
  readonly calls: string[];
}

/** An embedded store that writes down each lock, unlock and invalidation, among whatever else a test notes there. */
export function spyingStore(calls: string[] = []): SpyingStore {
  const inner: Store = new MemoryStore();
  return Object.assign(Object.create(inner) as Store, {
    calls,
    lock: (...args: Parameters<Store["lock"]>) => {
      calls.push("LOCK");
      return inner.lock(...args);
    },
    unlock: (...args: Parameters<Store["unlock"]>) => {
      calls.push(args[0].entries.length > 0 ? "UNLOCK with entries" : "UNLOCK");
      return inner.unlock(...args);
    },
    invalidate: (...args: Parameters<Store["invalidate"]>) => {
      calls.push("INVALIDATE");
      return inner.invalidate(...args);
    },
    open: (...args: Parameters<Store["open"]>) => inner.open(...args),
    read: (...args: Parameters<Store["read"]>) => inner.read(...args),
    prepare: (...args: Parameters<Store["prepare"]>) => inner.prepare(...args),
    fill: (...args: Parameters<Store["fill"]>) => inner.fill(...args),
    close: () => inner.close(),
  });
}
