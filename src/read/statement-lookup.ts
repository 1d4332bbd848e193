import { createHash } from "node:crypto";
import { encodeRaw, UnencodableValue } from "../codec/raw-value";
import type { BypassReason } from "../events";
import type { Schema } from "../metadata/schema";
import type { SelectAnalyzer } from "../sql/select-text";
import type { SqlAnalyzer } from "../sql/statement";
import { statementTags, type StatementTags } from "./statement-tags";

/** What a SELECT is to the cache: which query it is, and on what its result depends. */
export interface StatementQuery extends StatementTags {
  /** Equal if and only if the SQL is, and the parameters are with their types. */
  readonly text: string;
}

/** What it takes to understand a SELECT. */
export interface StatementContext {
  readonly schema: Schema;
  readonly selects: SelectAnalyzer;
  readonly statements: SqlAnalyzer;
  /** Of the driver: two of them may give the same row as different values. */
  readonly driver: string;
}

/** What a SELECT is to the cache, or why its result cannot be kept. */
export function statementQuery(
  { schema, selects, statements, driver }: StatementContext,
  sql: string,
  parameters: readonly unknown[],
): StatementQuery | BypassReason {
  const select = selects.analyze(sql);
  if (select.refusal !== undefined) return select.refusal;
  if (!statements.analyze(sql).harmless) return "not-understood";
  if (parameters.flat().some((parameter) => selects.isClock(parameter))) return "volatile";
  const tags = statementTags(schema, select, parameters);
  if (tags === undefined) return "tables";
  const text = textOf(driver, sql, parameters);
  if (text === undefined) return "value";
  return { text, ...tags };
}

function textOf(driver: string, sql: string, parameters: readonly unknown[]): string | undefined {
  let encoded: string;
  try {
    // Drivers take undefined for NULL, or throw; null may be something else to them.
    encoded = JSON.stringify(parameters.map((value) => (value === undefined ? ["u"] : encodeRaw(value))));
  } catch (error) {
    if (error instanceof UnencodableValue) return undefined;
    throw error;
  }
  return `#${createHash("sha256").update(`${driver}\n${sql}\n${encoded}`).digest("base64url")}`;
}
