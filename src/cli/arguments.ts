import { CacheConfigError } from "../errors";

/**
 * A whole number of an option.
 *
 * @throws CacheConfigError CONFIG_INVALID
 */
export function wholeNumber(text: string, option: string, least = 1): number {
  const number = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(number) && number >= least) return number;
  throw new CacheConfigError(
    "CONFIG_INVALID",
    `${option} is "${text}", but must be a whole number of at least ${least}.`,
  );
}

/**
 * The JSON of an option.
 *
 * @throws CacheConfigError CONFIG_INVALID
 */
export function json(text: string | undefined, option: string): unknown {
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw new CacheConfigError("CONFIG_INVALID", `${option} is no JSON: ${(cause as Error).message}`, { cause });
  }
}

/**
 * The JSON of an option that is an object.
 *
 * @throws CacheConfigError CONFIG_INVALID
 */
export function jsonObject(text: string | undefined, option: string): Record<string, unknown> | undefined {
  const value = json(text, option);
  if (value === undefined || (typeof value === "object" && value !== null && !Array.isArray(value))) {
    return value as Record<string, unknown> | undefined;
  }
  throw new CacheConfigError("CONFIG_INVALID", `${option} must be an object in JSON, such as '{"id":1}'.`);
}
