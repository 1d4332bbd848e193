import type { ReadRequest, Store } from "typeorm-coherent";

/** A store that lists what it was asked for, so that a test can count round trips. */
export function countingStore(inner: Store): Store & { readonly reads: (readonly ReadRequest[])[] } {
  const reads: (readonly ReadRequest[])[] = [];
  return {
    reads,
    name: inner.name,
    open: (...args) => inner.open(...args),
    read: (requests) => {
      reads.push(requests);
      return inner.read(requests);
    },
    prepare: (...args) => inner.prepare(...args),
    fill: (...args) => inner.fill(...args),
    lock: (...args) => inner.lock(...args),
    unlock: (...args) => inner.unlock(...args),
    invalidate: (...args) => inner.invalidate(...args),
    close: () => inner.close(),
  };
}
