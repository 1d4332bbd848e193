import type { DataSource, ObjectLiteral, Repository } from "typeorm";
import type { TestDatabase } from "../databases";
import type { Write } from "./forms";

export type EntityClass = new () => ObjectLiteral;

/** A repository of the cache, or TypeORM's own. */
export type RepositoryOf = <Entity extends ObjectLiteral>(entity: new () => Entity) => Repository<Entity>;

/** What is dropped of results that did not change: none that a row or a key value tells from the written rows, or all. */
export type Outcome = "precise" | "coarse";

/** A way to write, and how precise docs/consistency.md says it is. */
export interface WritePath {
  readonly write: Write;
  readonly inTransaction: Outcome;
  readonly alone: Outcome;
  /** It may commit by itself, so that rolling it back saves nothing, and a savepoint around it may be gone. */
  readonly commits?: boolean;
  /** Reads of rows that it names, and that stay as they are. */
  readonly touches?: readonly string[];
}

/** A read of one kind. */
export interface MatrixRead {
  readonly read: () => Promise<unknown>;
  /**
   * It depends on single rows and key values only. A count, or a part of a list, depends on every row write of its table.
   */
  readonly exact: boolean;
  /** It is no look at a key: TypeORM makes its SQL, under which it is cached. */
  readonly bySql?: boolean;
}

/** Tables of one kind, with all the ways to read and to write them. */
export interface Shape {
  readonly name: string;
  /** Those that refer to others come before these. */
  readonly entities: readonly EntityClass[];
  /** Writes the rows that every write begins with; ids that the database gives begin at {@link NEXT_ID} afterwards. */
  readonly seed: (dataSource: DataSource) => Promise<unknown>;
  /** A read of every kind that the cache serves, of what is there, what is not, and what may come. */
  readonly reads: (of: RepositoryOf) => Record<string, MatrixRead>;
  /** A small write by id. */
  readonly other: Write;
  readonly paths: (database: TestDatabase) => Record<string, WritePath>;
}

/** The first id that the database gives. */
export const NEXT_ID = 101;

export const exact = (read: MatrixRead["read"]): MatrixRead => ({ read, exact: true });
export const wide = (read: MatrixRead["read"]): MatrixRead => ({ read, exact: false });

export const bySql = (read: MatrixRead["read"]): MatrixRead => ({ read, exact: false, bySql: true });

export const precise = (write: Write): WritePath => ({ write, inTransaction: "precise", alone: "precise" });
export const coarse = (write: Write): WritePath => ({ write, inTransaction: "coarse", alone: "coarse" });
/** The values of keys that only the new row tells are read back only inside of a transaction. */
export const coarseAlone = (write: Write): WritePath => ({ write, inTransaction: "precise", alone: "coarse" });
export const committing = (write: Write): WritePath => ({ ...coarse(write), commits: true });

/** Rows without an order, in one. */
export async function sorted<Row extends ObjectLiteral>(rows: Promise<Row[]>, by = "id"): Promise<Row[]> {
  return (await rows).sort((left, right) => (left[by] < right[by] ? -1 : 1));
}
