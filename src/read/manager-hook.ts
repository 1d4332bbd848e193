import type { EntityManager, EntityTarget, ObjectLiteral } from "typeorm";
import type { CachedRepository } from "./cached-repository";
import { currentScope } from "./read-scope";

/** What an entity manager and a repository have in common, by name; the manager takes the entity first. */
const METHODS = [
  "find",
  "findBy",
  "findOne",
  "findOneBy",
  "findOneOrFail",
  "findOneByOrFail",
  "exists",
  "existsBy",
  "count",
  "countBy",
] as const;

type Finder = (target: EntityTarget<ObjectLiteral>, ...rest: unknown[]) => Promise<unknown>;

/**
 * Has the manager of a data source look reads up by key first: repositories and active record find by it.
 *
 * @param repositoryOf undefined for an entity that is not cached
 * @returns a function that takes the hook away
 */
export function hookManager(
  manager: EntityManager,
  repositoryOf: (target: EntityTarget<ObjectLiteral>) => CachedRepository<ObjectLiteral> | undefined,
): () => void {
  const hooked = manager as unknown as Partial<Record<(typeof METHODS)[number], Finder>>;
  for (const method of METHODS) {
    const original = hooked[method]?.bind(manager);
    if (original === undefined) continue;
    hooked[method] = (target, ...rest) => {
      // In a scope somebody has looked already, or wants no cache.
      const repository = currentScope().cached === undefined ? repositoryOf(target) : undefined;
      if (repository === undefined) return original(target, ...rest);
      return (repository[method] as (...rest: unknown[]) => Promise<unknown>)(...rest);
    };
  }
  return () => {
    // What stands on the prototype shows again.
    for (const method of METHODS) delete hooked[method];
  };
}
