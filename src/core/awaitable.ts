/**
 * What is there already, or will be. Where an answer needs nobody to be asked, a promise costs more than the answer: a copy in this process
 * is found in a fraction of the time that the turns of a few promises take.
 */
export type Awaitable<Value> = Value | Promise<Value>;

/** Goes on at once with what is there. */
export function after<Value, Result>(
  value: Awaitable<Value>,
  next: (value: Value) => Awaitable<Result>,
): Awaitable<Result> {
  return isPromise(value) ? value.then(next) : next(value);
}

/** Whether it has to be waited for. Not asked of entities, which may have a `then` of their own. */
export function isPromise<Value>(value: Awaitable<Value>): value is Promise<Value> {
  return typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function";
}
