import { conditions, type Alternative } from "./conditions";
import { TokenReader, type Operand } from "./token-reader";
import type { SqlToken } from "./tokenizer";

/** Columns, in lower case, and what they are compared with or set to. */
export type Binding = ReadonlyMap<string, Operand>;

/** The one table that a statement writes, and the rows of it, where its text says so without a doubt. */
export interface RowTarget {
  readonly operation: "insert" | "update" | "delete";
  /** Without schema, in lower case. */
  readonly table: string;
  /** The columns that an update sets, in lower case; with a qualified one all parts of its name. */
  readonly sets: ReadonlySet<string>;
  /**
   * For insert: one per row, with the columns that get a plain value. For update and delete: the rows that can be hit are
   * among those that match at least one of these.
   */
  readonly rows: readonly Binding[];
  /** The statement gives back what it wrote. */
  readonly returning: boolean;
}

/**
 * Reads `INSERT INTO t (…) VALUES (…)`, `UPDATE t SET … WHERE …` and `DELETE FROM t WHERE …` as TypeORM writes them, with a
 * WHERE of equalities and IN lists under AND and OR. Anything else is undefined: its table is all that is known of it.
 */
export function rowTarget(tokens: readonly SqlToken[]): RowTarget | undefined {
  const reader = new TokenReader(tokens);
  if (reader.takeWord("insert")) return insertTarget(reader);
  if (reader.takeWord("update")) return updateTarget(reader);
  return reader.takeWord("delete") && reader.takeWord("from") ? deleteTarget(reader) : undefined;
}

function insertTarget(reader: TokenReader): RowTarget | undefined {
  if (!reader.takeWord("into")) return undefined;
  const table = reader.name();
  const columns = reader.takeSymbol("(") ? reader.list(() => reader.name()) : undefined;
  if (table === undefined || columns === undefined || !reader.takeWord("values")) return undefined;
  const rows: Binding[] = [];
  do {
    if (!reader.takeSymbol("(")) return undefined;
    const values = reader.list(() => ({ operand: reader.expression() }));
    if (values?.length !== columns.length) return undefined;
    rows.push(
      new Map(
        values.flatMap(({ operand }, index) => {
          const column = columns[index];
          return operand === undefined || column === undefined ? [] : [[column, operand] as const];
        }),
      ),
    );
  } while (reader.takeSymbol(","));
  const returning = reader.atWord("returning");
  // ON CONFLICT, ON DUPLICATE KEY: other rows than these may be written.
  return returning || reader.atEnd() ? { operation: "insert", table, sets: new Set(), rows, returning } : undefined;
}

function updateTarget(reader: TokenReader): RowTarget | undefined {
  const table = reader.name();
  if (table === undefined || !reader.takeWord("set")) return undefined;
  const sets = new Set<string>();
  do {
    const path = reader.path();
    if (path === undefined || !reader.takeSymbol("=")) return undefined;
    for (const part of path) sets.add(part);
    reader.skipExpression();
  } while (reader.takeSymbol(","));
  return whereTarget(reader, "update", table, sets);
}

function deleteTarget(reader: TokenReader): RowTarget | undefined {
  const table = reader.name();
  return table === undefined ? undefined : whereTarget(reader, "delete", table, new Set());
}

function whereTarget(
  reader: TokenReader,
  operation: "update" | "delete",
  table: string,
  sets: ReadonlySet<string>,
): RowTarget | undefined {
  if (!reader.takeWord("where")) return undefined;
  const found = conditions(reader);
  // What is not understood narrows what stands beside it, and says nothing by itself.
  const rows = found?.every(({ equals, exact }) => exact || equals.size > 0) ? found.map(unqualified) : undefined;
  const returning = reader.atWord("returning");
  return rows !== undefined && (returning || reader.atEnd()) ? { operation, table, sets, rows, returning } : undefined;
}

/** By the last part of their names: an exact statement has one table. */
function unqualified({ equals }: Alternative): Binding {
  return new Map([...equals].map(([column, operand]) => [column.slice(column.lastIndexOf(".") + 1), operand]));
}
