import type { Exploration } from "./explorer";

/** A line about one search. Not by `console.log`, which jest decorates with where it was called. */
export function report(name: string, { states, seconds, violation }: Exploration): void {
  const count = states.length.toLocaleString("en");
  const outcome = violation === undefined ? "no violation" : `${violation.what} after ${violation.steps.length} steps`;
  process.stdout.write(`  ${name}: ${count} states, ${seconds.toFixed(1)} s, ${outcome}\n`);
}
