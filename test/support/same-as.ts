import { expect } from "@jest/globals";
import { inspect } from "node:util";

/**
 * Equality as strict as it gets: values and classes, undefined against null, 0 against -0, the order of properties, and what
 * is hidden from enumeration.
 */
export function expectSame(actual: unknown, expected: unknown): void {
  expect(actual).toStrictEqual(expected);
  expect(shapeOf(actual)).toBe(shapeOf(expected));
}

/** Everything about a value as a text. */
export function shapeOf(value: unknown): string {
  return inspect(value, { depth: Infinity, showHidden: true, maxArrayLength: null, maxStringLength: null });
}
