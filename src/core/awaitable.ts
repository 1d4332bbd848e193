/**
 * What is there already, or will be. Where an answer needs nobody to be asked, a promise costs more than the answer: a copy in this process
 * is found in a fraction of the time that the turns of a few promises take.
 */
export type Awaitable<Value> = Value | Promise<Value>;

/**
 * Whether it has to be waited for. It must be a promise of our own: to look for a `then` in whatever else comes would take as long as all
 * that is saved.
 */
export function isPromise<Value>(value: Awaitable<Value>): value is Promise<Value> {
  return value instanceof Promise;
}
