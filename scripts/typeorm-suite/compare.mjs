// What a run with the cache has changed.
import { EXCEPTIONS } from "./exceptions.mjs";

/**
 * @param without the run without the cache, as runTests() returns it
 * @param withCache the run with it
 * @returns the names of the tests that the cache breaks: `failing` without a reason, `excepted` with one
 */
export function compare(without, withCache) {
  const broken = [];
  for (const [name, { state }] of without.tests) {
    const now = withCache.tests.get(name);
    if (state === "passed" && now?.state !== "passed") broken.push({ name, why: now?.error ?? "It did not run." });
  }
  // A hook that fails is not among the tests that passed.
  for (const [name, { state, error }] of withCache.tests) {
    if (state === "failed" && !without.tests.has(name)) broken.push({ name, why: error });
  }
  const known = new Set(broken.map(({ name }) => name));
  for (const [name, why] of Object.entries(withCache.differences)) {
    if (!(name in without.differences) && !known.has(name)) broken.push({ name, why });
  }
  const failing = [];
  const excepted = [];
  for (const test of broken) {
    const exception = EXCEPTIONS.find(({ tests }) => tests.test(test.name));
    if (exception === undefined) failing.push(test);
    else excepted.push({ ...test, reason: exception.reason });
  }
  return { failing, excepted };
}

/** @returns how many tests have passed */
export function passed({ tests }) {
  return Array.from(tests.values()).filter(({ state }) => state === "passed").length;
}
