import type { DataSource } from "typeorm";
import { CacheConfigError } from "../errors";
import type { CacheOptions } from "../options";
import type { Routines } from "../sql/routines";

/**
 * The tables that stored routines write, by the name of the routine, all in lower case, as the option `routines` says.
 *
 * @throws CacheConfigError `CONFIG_INVALID` for a name that is neither an entity's nor a table's
 */
export function resolveRoutines(dataSource: DataSource, { routines = {} }: CacheOptions): Routines {
  const tableOf = (routine: string, name: unknown): string => {
    const found = dataSource.entityMetadatas.find(
      (metadata) => metadata.name === name || metadata.tableName === name || metadata.tablePath === name,
    );
    if (found !== undefined) return found.tableName.toLowerCase();
    throw new CacheConfigError(
      "CONFIG_INVALID",
      `routines.${routine} names ${String(name)}, which is no entity and no table of this data source.`,
    );
  };
  return new Map(
    Object.entries(routines).map(([routine, names]) => {
      if (!Array.isArray(names)) {
        throw new CacheConfigError("CONFIG_INVALID", `routines.${routine} must be a list of entities or tables.`);
      }
      return [routine.toLowerCase(), new Set(names.map((name: unknown) => tableOf(routine, name)))];
    }),
  );
}
