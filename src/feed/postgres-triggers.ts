import { createHash } from "node:crypto";
import type { WatchedTable } from "./change-feed";

/** More rows than this in one statement are told of as the whole table; PostgreSQL's limit is 8000 bytes. */
const MOST_ROWS = 200;
const MOST_BYTES = 7900;

/** What the database needs for one table: statements to run as they are. */
export interface TableTriggers {
  readonly table: WatchedTable;
  /** The name of the function, quoted, with its schema. */
  readonly functionName: string;
  /** Changes with the text of the function. */
  readonly version: string;
  readonly up: readonly string[];
  readonly down: readonly string[];
}

/** The channel of NOTIFY that all processes of a namespace share: a name of at most 63 bytes. */
export function notifyChannel(namespace: string): string {
  return `coherent_${digest(namespace)}`;
}

/**
 * Triggers that tell of each statement when its transaction commits. Once per statement, over the rows that it has touched; on a
 * partitioned table once per row, because only those triggers are handed on to its partitions, the ones that are made later
 * included.
 *
 * @param schema of the table, as the database says
 */
export function triggersOf(
  table: WatchedTable,
  namespace: string,
  schema: string,
  isPartitioned: boolean,
): TableTriggers {
  const id = digest(`${namespace} ${table.path}`);
  const target = `${quoted(schema)}.${quoted(table.name)}`;
  const functionName = `${quoted(schema)}.${quoted(`coherent_${id}`)}`;
  const body = functionBody(table, notifyChannel(namespace), isPartitioned);
  const create = `CREATE OR REPLACE FUNCTION ${functionName}() RETURNS trigger LANGUAGE plpgsql AS $coherent$\n${body}$coherent$`;
  const trigger = (suffix: string) => quoted(`coherent_${id}_${suffix}`);
  const statements = isPartitioned
    ? [["row", "AFTER INSERT OR UPDATE OR DELETE", "FOR EACH ROW"]]
    : [
        ["insert", "AFTER INSERT", "REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT"],
        ["update", "AFTER UPDATE", "REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT"],
        ["delete", "AFTER DELETE", "REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT"],
      ];
  const all = [...statements, ["truncate", "AFTER TRUNCATE", "FOR EACH STATEMENT"]] as [string, string, string][];
  const drop = ["row", "insert", "update", "delete", "truncate"].map(
    (suffix) => `DROP TRIGGER IF EXISTS ${trigger(suffix)} ON ${target}`,
  );
  const triggers = all.map(
    ([suffix, when, how]) =>
      `CREATE TRIGGER ${trigger(suffix)} ${when} ON ${target} ${how} EXECUTE PROCEDURE ${functionName}()`,
  );
  const version = digest([create, ...triggers].join());
  return {
    table,
    functionName,
    version,
    up: [create, ...drop, ...triggers, `COMMENT ON FUNCTION ${functionName}() IS 'typeorm-coherent ${version}'`],
    down: [...drop, `DROP FUNCTION IF EXISTS ${functionName}()`],
  };
}

/** Sends nothing for a statement that has touched no row. */
function functionBody({ path, primaryKey }: WatchedTable, channel: string, isPartitioned: boolean): string {
  const key = (row: string) =>
    `jsonb_build_object(${primaryKey.map((name) => `${literal(name)}, ${row}${quoted(name)}`).join(", ")})`;
  const from = (rows: string) => `SELECT ${key("")} AS key FROM ${rows}`;
  const collect = (rows: string) =>
    `SELECT jsonb_agg(key) INTO keys FROM (SELECT key FROM (${rows}) AS touched LIMIT ${MOST_ROWS + 1}) AS found`;
  const perRow = `
  IF TG_OP = 'INSERT' THEN
    keys := jsonb_build_array(${key("NEW.")});
  ELSIF TG_OP = 'DELETE' THEN
    keys := jsonb_build_array(${key("OLD.")});
  ELSIF TG_OP = 'UPDATE' THEN
    keys := jsonb_build_array(${key("OLD.")}, ${key("NEW.")});
  END IF;`;
  const perStatement = `
  IF TG_OP = 'INSERT' THEN
    ${collect(from("new_rows"))};
  ELSIF TG_OP = 'DELETE' THEN
    ${collect(from("old_rows"))};
  ELSIF TG_OP = 'UPDATE' THEN
    ${collect(`${from("old_rows")} UNION ${from("new_rows")}`)};
  END IF;`;
  const whole = `jsonb_build_object('table', ${literal(path)})`;
  return `DECLARE
  keys jsonb;
  message text;
BEGIN${isPartitioned ? perRow : perStatement}
  IF keys IS NULL AND TG_OP <> 'TRUNCATE' THEN
    RETURN NULL;
  END IF;
  IF keys IS NOT NULL AND jsonb_array_length(keys) <= ${MOST_ROWS} THEN
    message := (${whole} || jsonb_build_object('operation', lower(TG_OP), 'rows', keys))::text;
  END IF;
  IF message IS NULL OR octet_length(message) > ${MOST_BYTES} THEN
    message := ${whole}::text;
  END IF;
  PERFORM pg_notify(${literal(channel)}, message);
  RETURN NULL;
END
`;
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 12);
}

/** A name in quotes. */
export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

function literal(text: string): string {
  return text.includes("\\")
    ? `E'${text.replaceAll("\\", "\\\\").replaceAll("'", "''")}'`
    : `'${text.replaceAll("'", "''")}'`;
}
