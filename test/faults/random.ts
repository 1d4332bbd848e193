/** A whole number from 0 up to, not including, `limit`. */
export function below(limit: number): number {
  return Math.floor(Math.random() * limit);
}

/** @throws Error if there is nothing to pick from */
export function pick<Value>(values: readonly Value[]): Value {
  const value = values[below(values.length)];
  if (value === undefined) throw new Error("Nothing to pick from.");
  return value;
}

/** Picks with the given weights. */
export function pickWeighted<Value>(choices: readonly (readonly [weight: number, value: Value])[]): Value {
  let left = Math.random() * choices.reduce((sum, [weight]) => sum + weight, 0);
  const found = choices.find(([weight]) => (left -= weight) < 0) ?? choices[0];
  if (found === undefined) throw new Error("Nothing to pick from.");
  return found[1];
}

export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
