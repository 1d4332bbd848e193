import fc from "fast-check";
import { SqlAnalyzer, type SqlStatement } from "../../src/sql/statement";
import { DDL, PARENTS, postgresStatements } from "../support/postgres-sql";
import { describeEachDatabase } from "../support/databases";

// PostgreSQL itself is the judge: its plan says which tables a statement writes.

interface Plan {
  readonly "Node Type": string;
  readonly "Relation Name"?: string;
  readonly "Target Tables"?: readonly Plan[];
  readonly Plans?: readonly Plan[];
}

/** The table of each ModifyTable, and the children that are written with it. */
function writtenBy(plan: Plan): string[] {
  const own =
    plan["Node Type"] === "ModifyTable"
      ? [plan, ...(plan["Target Tables"] ?? [])].flatMap((node) => node["Relation Name"] ?? [])
      : [];
  return [...own, ...(plan.Plans ?? []).flatMap(writtenBy)];
}

const analyzer = new SqlAnalyzer("postgres");
const writesAmong = (text: string) =>
  analyzer.analyze(text).statements.filter((one): one is SqlStatement & { kind: "write" } => one.kind === "write");

/** A child may be written under the name of its parent. */
const namesOf = (table: string) => [table.toLowerCase(), PARENTS.get(table) ?? table];
const isNamed = (text: string, table: string) =>
  writesAmong(text).some(({ names }) => names === "unknown" || namesOf(table).some((name) => names.has(name)));

describeEachDatabase("statements that a real server plans", (database) => {
  const only = database.name === "postgres" ? it : it.skip;

  only(
    "write no table that is not among the names, and a target's only",
    async () => {
      const dataSource = await database.open([]);
      for (const statement of DDL) await dataSource.query(statement);
      const [{ schema }] = await dataSource.query<[{ schema: string }]>("SELECT current_schema() AS schema");

      const count = { writing: 0, several: 0, understood: 0, targets: 0, reading: 0 };
      const planOf = async (text: string): Promise<Plan | undefined> => {
        const places = [0, ...(text.match(/\$\d+/g) ?? []).map((place) => Number(place.slice(1)))];
        const parameters = Array.from({ length: Math.max(...places) }, () => "1");
        try {
          const rows = await dataSource.query<[{ "QUERY PLAN": [{ Plan: Plan }] }]>(
            `EXPLAIN (FORMAT JSON, VERBOSE) ${text}`,
            parameters,
          );
          return rows[0]["QUERY PLAN"][0].Plan;
        } catch {
          return undefined;
        }
      };

      await fc.assert(
        fc.asyncProperty(postgresStatements(schema), async (text) => {
          const plan = await planOf(text);
          if (plan === undefined) return;
          const tables = new Set(writtenBy(plan));
          const { harmless, statements } = analyzer.analyze(text);
          if (tables.size === 0) {
            if (harmless) count.reading += 1;
            return;
          }
          expect({ text, harmless, statements: statements.length }).toEqual({ text, harmless: false, statements: 1 });
          for (const whole of [text, `EXPLAIN ANALYZE ${text}`, `SELECT ';'\n;${text}\n;SELECT 1`]) {
            for (const table of tables)
              expect({ whole, table, named: isNamed(whole, table) }).toMatchObject({ named: true });
          }
          const [write] = writesAmong(text);
          const target = write?.target?.table;
          for (const table of target === undefined ? [] : tables) {
            expect({ text, names: namesOf(table) }).toEqual({ text, names: expect.arrayContaining([target]) });
          }
          count.writing += 1;
          if ([...tables].filter((table) => !PARENTS.has(table)).length > 1) count.several += 1;
          if (write?.names !== "unknown") count.understood += 1;
          if (target !== undefined) count.targets += 1;
        }),
        { numRuns: 1500 },
      );
      // Were nearly everything refused, or unknown to us, this would prove nothing.
      for (const [kind, least] of Object.entries({
        writing: 500,
        several: 20,
        understood: 300,
        targets: 25,
        reading: 80,
      })) {
        expect({ kind, enough: count[kind as keyof typeof count] > least }).toEqual({ kind, enough: true });
      }
    },
    120_000,
  );
});
