import { CacheConfigError } from "../errors";

/**
 * Something that another module has to provide, or an error that says what to do.
 *
 * Nest's own error would not, so these dependencies are optional ones. For those Nest hands over undefined also if they exist and
 * making them has failed; the app then ends with their error, which was thrown before ours.
 *
 * @throws CacheConfigError `CONFIG_INVALID`
 */
export function required<Instance>(instance: Instance | undefined, advice: string): Instance {
  if (instance !== undefined) return instance;
  throw new CacheConfigError("CONFIG_INVALID", advice);
}
