import { CacheError } from "../errors";

/**
 * What may be told of an error to whoever listens. Ours hold no values; one of a driver has the statement's parameters on it, or a row in its
 * message, so that of those only the name remains.
 */
export function tellable(error: unknown): Error {
  if (error instanceof CacheError) return error;
  const name = error instanceof Error ? error.name : "Error";
  const told = new Error("What it says may hold values, and is not told.");
  delete told.stack;
  return Object.assign(told, { name });
}
