import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import type { DataSource } from "typeorm";
import { keyTag } from "../../../src/metadata/cached-query";
import type { Schema, TableModel } from "../../../src/metadata/schema";
import { changesOf, openSchema, tableOf } from "./shop";

// Statements run on a real SQLite; what really changed must be among the tags of the change set, in every table.

let dataSource: DataSource;
let schema: Schema;
beforeAll(async () => {
  ({ dataSource, schema } = await openSchema());
  await dataSource.query("PRAGMA foreign_keys = OFF");
  await dataSource.query(
    "INSERT INTO product (id, code, shop, price) VALUES (1, 'A', 1, 1), (2, 'b', 1, 2), (3, '5', 2, 3)",
  );
  await dataSource.query("INSERT INTO word (text, n) VALUES ('a', 1), ('A ', 2), ('5', 3), ('05', 4), ('', 5)");
  await dataSource.query("INSERT INTO pair (a, b, n) VALUES (1, 'a', 1), (1, 'A', 2), (2, '5', 3), (0, '', 4)");
});
afterAll(() => dataSource.destroy());

const TABLES = ["product", "word", "pair"] as const;

type Row = Record<string, unknown>;

async function snapshot(table: TableModel): Promise<Map<string, Row>> {
  const rows = await dataSource.query<Row[]>(`SELECT rowid AS hidden, * FROM ${table.metadata.tableName}`);
  return new Map(rows.map((row) => [JSON.stringify(row), row]));
}

/** The tags of the rows that came, went or changed. */
function changedTags(table: TableModel, before: Map<string, Row>, after: Map<string, Row>): (string | undefined)[] {
  const differing = [...before, ...after].filter(([text]) => before.has(text) !== after.has(text));
  return differing.map(([, row]) =>
    keyTag(
      table.group,
      table.primaryKey!,
      table.primaryKey!.columns.map(({ databaseName }) => row[databaseName]),
    ),
  );
}

const value = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom<unknown>(1, 2, 3, "a", "5") },
  {
    weight: 2,
    arbitrary: fc.constantFrom<unknown>(0, 7, -1, 1.5, "A", "A ", "b", "05", "1", "1.0", "", null),
  },
);
const literal = (one: unknown) => (one === null ? "NULL" : typeof one === "string" ? `'${one}'` : JSON.stringify(one));
const operand = fc.oneof(
  { weight: 8, arbitrary: value.map((one) => ({ text: literal(one), parameters: [] as unknown[] })) },
  { weight: 8, arbitrary: value.map((one) => ({ text: "?", parameters: [one] })) },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom("id", "1 + 1", "(SELECT 1)", "abs(-1)", "n")
      .map((text) => ({ text, parameters: [] as unknown[] })),
  },
);
interface Shape {
  readonly name: (typeof TABLES)[number];
  readonly key: readonly string[];
  readonly others: readonly string[];
  readonly lists: readonly string[];
}
const SHAPES: readonly Shape[] = [
  {
    name: "product",
    key: ["id"],
    others: ["code", "shop", "rowid"],
    lists: ["id, code", "code, id", "code, price", "rowid, code"],
  },
  { name: "word", key: ["text"], others: ["n", "rowid"], lists: ["text, n", "n, text"] },
  { name: "pair", key: ["a", "b"], others: ["n"], lists: ["a, b", "b, a"] },
];

/** Mostly what names a row for sure, spiced with what does not. */
const conditionOn = ({ key, others }: Shape) => {
  const equality = (name: string) =>
    operand.map((right) => ({ text: `${name} = ${right.text}`, parameters: right.parameters }));
  const whole = fc.tuple(...key.map(equality)).map((parts) => joined(parts, " AND "));
  const any = fc.constantFrom(...key, ...others).chain((name) =>
    fc.oneof(
      equality(name),
      fc.tuple(operand, operand).map(([one, other]) => ({
        text: `${name} IN (${one.text}, ${other.text})`,
        parameters: [...one.parameters, ...other.parameters],
      })),
      operand.map((right) => ({ text: `${name} > ${right.text}`, parameters: right.parameters })),
    ),
  );
  return fc.oneof(
    { weight: 4, arbitrary: whole },
    { weight: 2, arbitrary: any },
    { weight: 2, arbitrary: fc.tuple(whole, whole).map((parts) => joined(parts, " OR ")) },
    { weight: 1, arbitrary: fc.tuple(whole, any).map((parts) => joined(parts, " AND ")) },
    { weight: 1, arbitrary: fc.tuple(whole, any).map((parts) => joined(parts, " OR ")) },
  );
};

interface Sql {
  readonly text: string;
  readonly parameters: readonly unknown[];
}
const joined = (parts: readonly Sql[], by: string): Sql => ({
  text: parts.map(({ text }) => text).join(by),
  parameters: parts.flatMap(({ parameters }) => parameters),
});

const statement: fc.Arbitrary<Sql> = fc.constantFrom(...SHAPES).chain((shape) => {
  const { name, key, others, lists } = shape;
  return fc.oneof(
    fc.tuple(fc.constantFrom(...key, ...others, ...others), operand, conditionOn(shape)).map(([set, right, where]) => ({
      text: `UPDATE ${name} SET ${set} = ${right.text} WHERE ${where.text}`,
      parameters: [...right.parameters, ...where.parameters],
    })),
    conditionOn(shape).map((where) => ({
      text: `DELETE FROM ${name} WHERE ${where.text}`,
      parameters: where.parameters,
    })),
    fc
      .tuple(
        fc.constantFrom("INSERT", "INSERT", "INSERT OR REPLACE", "REPLACE", "INSERT OR IGNORE"),
        fc.constantFrom(...lists),
        fc.array(fc.tuple(operand, operand), { minLength: 1, maxLength: 2 }),
      )
      .map(([verb, columns, rows]) => ({
        text: `${verb} INTO ${name} (${columns}) VALUES ${rows.map(([one, other]) => `(${one.text}, ${other.text})`).join(", ")}`,
        parameters: rows.flatMap(([one, other]) => [...one.parameters, ...other.parameters]),
      })),
  );
});

describe("a change set", () => {
  it("has the tag of every row that a statement really changes", async () => {
    const counts = { precise: 0, coarse: 0 };
    await fc.assert(
      fc.asyncProperty(statement, async ({ text, parameters }) => {
        await dataSource.query("BEGIN");
        try {
          const tables = TABLES.map((name) => tableOf(schema, name));
          const before = await Promise.all(tables.map(snapshot));
          await dataSource.query(text, parameters).catch(() => undefined);
          const after = await Promise.all(tables.map(snapshot));
          const changes = changesOf(schema, text, parameters);
          for (const [index, one] of tables.entries()) {
            const changed = changedTags(one, before[index]!, after[index]!);
            if (changed.length === 0) continue;
            const found = changes.tables.get(one.group);
            counts[found?.isCoarse() === true ? "coarse" : "precise"] += 1;
            if (found?.isCoarse() === true) continue;
            for (const tag of changed) {
              expect({ text, parameters, tag, tags: found?.tags() ?? [] }).toMatchObject({
                tags: expect.arrayContaining([tag]) as unknown,
              });
            }
          }
        } finally {
          await dataSource.query("ROLLBACK");
        }
      }),
      { numRuns: 1500 },
    );
    // Were nearly everything coarse, this would prove nothing.
    expect(counts.precise).toBeGreaterThan(50);
    expect(counts.coarse).toBeGreaterThan(50);
  });
});
