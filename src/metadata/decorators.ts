import { CacheConfigError } from "../errors";
import type { CachedOptions } from "../options";

/** What the decorators of one class say; parents are looked up separately. */
interface Declarations {
  cached?: CachedOptions;
  /** Property names, or lists of property paths for composite keys. */
  keys: (string | readonly string[])[];
}

const declarations = new WeakMap<object, Declarations>();

/** Every class that carries `@Cached`, so that one which is no entity is found while attaching. */
const decorated = new Set<object>();

/**
 * Caches an entity. Goes on a class that is an `@Entity()` or a `@ViewEntity()`, or on a parent of such classes.
 *
 * @throws CacheConfigError `CONFIG_INVALID` if it stands on anything but a class or takes no object; while attaching, `NOT_AN_ENTITY` if
 *   the class is no entity of the data source, and `CONFIG_INVALID` if it is a view of which it is not known when its rows change
 * @example
 * @Entity()
 * @Cached({ strategy: "write-through", ttl: "10m" })
 * class Product { … }
 */
export function Cached(options: CachedOptions = {}): ClassDecorator {
  return (target: unknown) => {
    if (typeof target !== "function") throw misplaced("@Cached()", "a class");
    if (typeof options !== "object" || options === null) {
      throw new CacheConfigError(
        "CONFIG_INVALID",
        `@Cached() on ${target.name} takes an object: @Cached({ ttl: "10m" }).`,
      );
    }
    of(target).cached = options;
    decorated.add(target);
  };
}

/**
 * Names what rows are looked up by, besides the primary key, which always is one. On a property: that column, or the join
 * columns of that relation. On a class, with a list of property paths: a composite key.
 *
 * @throws CacheConfigError `CONFIG_INVALID` if a property gets a list or a class gets none; while attaching,
 *   `KEY_COLUMN_UNKNOWN` or `KEY_RELATION_WITHOUT_JOIN_COLUMN`
 * @example
 * @Entity() @Cached() @CacheKey(["tenantId", "slug"])
 * class Product {
 *   @CacheKey() @Column({ unique: true }) sku: string;
 * }
 */
export function CacheKey(paths?: readonly string[]): PropertyDecorator & ClassDecorator {
  return (target: unknown, property?: unknown) => {
    if (typeof property === "string" && typeof target === "object" && target !== null) {
      if (paths !== undefined) {
        throw new CacheConfigError(
          "CONFIG_INVALID",
          `@CacheKey([...]) with a list goes on the class, not on the property "${property}". Use @CacheKey() here.`,
        );
      }
      of(target.constructor).keys.push(property);
    } else if (typeof target === "function" && property === undefined) {
      if (!Array.isArray(paths) || paths.length === 0) {
        throw new CacheConfigError(
          "CONFIG_INVALID",
          `@CacheKey() on the class ${target.name} needs the columns of the key: @CacheKey(["tenantId", "slug"]).`,
        );
      }
      of(target).keys.push([...(paths as readonly string[])]);
    } else throw misplaced("@CacheKey()", "a property or a class");
  };
}

/** The options of the nearest class, from `target` upwards, that is decorated with `@Cached`. */
export function cachedOptionsOf(target: object): CachedOptions | undefined {
  for (const ancestor of lineage(target)) {
    const found = declarations.get(ancestor)?.cached;
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The keys that `target` and its parents declare. */
export function declaredKeysOf(target: object): (string | readonly string[])[] {
  return lineage(target).flatMap((ancestor) => declarations.get(ancestor)?.keys ?? []);
}

/** All classes that carry `@Cached`. */
export function decoratedClasses(): Iterable<object> {
  return decorated;
}

/** A class and its parents, nearest first. */
export function lineage(target: object): object[] {
  const classes: object[] = [];
  for (let current: unknown = target; typeof current === "function"; current = Object.getPrototypeOf(current)) {
    classes.push(current);
  }
  return classes;
}

function of(target: object): Declarations {
  const found = declarations.get(target);
  if (found !== undefined) return found;
  const created: Declarations = { keys: [] };
  declarations.set(target, created);
  return created;
}

function misplaced(decorator: string, place: string): CacheConfigError {
  return new CacheConfigError(
    "CONFIG_INVALID",
    `${decorator} goes on ${place}, under "experimentalDecorators": true as TypeORM needs it.`,
  );
}
