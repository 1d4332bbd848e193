import type { EntityMetadata } from "typeorm";
import { groupOfTable } from "./reachable";

/** A foreign key by which the database changes rows of a child when it deletes those that they refer to. */
export interface DeleteCascade {
  /** Of the child. */
  readonly group: string;
  /** Pairs of a column of the child and the column that it refers to. */
  readonly columns: readonly { readonly child: string; readonly parent: string }[];
  /** The child is deleted or refers to nothing, so that no lookup finds it that did not find it before. */
  readonly vanishes: boolean;
  /** Tables that are changed because the child is. */
  readonly beyond: ReadonlySet<string>;
}

/** A foreign key by which the database changes rows of a child, or of children of it, when these columns are updated. */
export interface UpdateCascade {
  readonly columns: ReadonlySet<string>;
  readonly groups: ReadonlySet<string>;
}

const ACTIONS = new Set(["CASCADE", "SET NULL", "SET DEFAULT"]);

/**
 * The closure over the foreign keys that TypeORM knows, cycles included. A child that is deleted or set to null by the
 * database fires no event at all.
 */
export function cascadesOf(metadatas: readonly EntityMetadata[]) {
  const keys = metadatas.flatMap((child) =>
    child.foreignKeys.map((key) => ({
      child: groupOfTable(child),
      parent: groupOfTable(key.referencedEntityMetadata),
      columns: key.columns.map(({ databaseName }, at) => ({
        child: databaseName,
        parent: key.referencedColumns[at]!.databaseName,
      })),
      onDelete: key.onDelete ?? "",
      onUpdate: key.onUpdate ?? "",
    })),
  );
  /** Adds what happens to others if rows of `parent` are deleted, or are updated. */
  const spread = (parent: string, event: Event, found: Map<string, Set<Event>>): void => {
    for (const key of keys) {
      if (key.parent !== parent || !ACTIONS.has(key[event])) continue;
      // A child whose rows are deleted here may be one that was only updated on another way: the two go on differently.
      const next = key[event] === "CASCADE" ? event : "onUpdate";
      const events = found.get(key.child) ?? new Set();
      if (events.has(next)) continue;
      found.set(key.child, events.add(next));
      spread(key.child, next, found);
    }
  };
  return {
    onDelete: (parent: string): DeleteCascade[] =>
      keys
        .filter((key) => key.parent === parent && ACTIONS.has(key.onDelete))
        .map((key) => {
          const found = new Map<string, Set<Event>>();
          spread(key.child, key.onDelete === "CASCADE" ? "onDelete" : "onUpdate", found);
          return {
            group: key.child,
            columns: key.columns,
            vanishes: key.onDelete !== "SET DEFAULT",
            beyond: new Set(found.keys()),
          };
        }),
    onUpdate: (parent: string): UpdateCascade[] =>
      keys
        .filter((key) => key.parent === parent && ACTIONS.has(key.onUpdate))
        .map((key) => {
          const found = new Map<string, Set<Event>>([[key.child, new Set(["onUpdate"])]]);
          spread(key.child, "onUpdate", found);
          const columns = new Set(key.columns.map((column) => column.parent.toLowerCase()));
          return { columns, groups: new Set(found.keys()) };
        }),
  };
}

type Event = "onDelete" | "onUpdate";
