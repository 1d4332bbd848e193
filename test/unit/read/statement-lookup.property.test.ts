import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import * as fc from "fast-check";
import { inspect } from "node:util";
import type { DataSource } from "typeorm";
import type { Schema } from "../../../src/metadata/schema";
import { statementQuery } from "../../../src/read/statement-lookup";
import { SelectAnalyzer } from "../../../src/sql/select-text";
import { SqlAnalyzer } from "../../../src/sql/statement";
import { openSchema } from "../write/shop";

let dataSource: DataSource;
let schema: Schema;
beforeAll(async () => ({ dataSource, schema } = await openSchema()));
afterAll(() => dataSource.destroy());

function textOf(sql: string, parameters: readonly unknown[], driver = "postgres"): string {
  const context = { schema, selects: new SelectAnalyzer("postgres"), statements: new SqlAnalyzer("postgres"), driver };
  const query = statementQuery(context, sql, parameters);
  return typeof query === "string" ? query : query.text;
}

const value = fc.oneof(
  fc.constantFrom<unknown>(
    1,
    "1",
    1n,
    true,
    "true",
    null,
    "null",
    undefined,
    0,
    -0,
    NaN,
    "NaN",
    "",
    [],
    [1],
    ["1"],
    "[1]",
  ),
  fc.integer(),
  fc.string(),
  fc.date({ noInvalidDate: false }),
  fc.uint8Array({ maxLength: 3 }).map((bytes) => Buffer.from(bytes)),
  fc.dictionary(fc.constantFrom("a", "b"), fc.integer(), { maxKeys: 2, noNullPrototype: true }),
);
const same = (left: unknown, right: unknown) =>
  inspect(left, { depth: Infinity }) === inspect(right, { depth: Infinity });

describe("the key of a statement", () => {
  const sqls = [
    "SELECT id FROM product WHERE price = $1",
    "SELECT id FROM product WHERE price = $2",
    "SELECT n FROM word",
  ];

  it("is the same if and only if the SQL and the parameters are, with their types", () => {
    fc.assert(
      fc.property(
        fc.tuple(fc.constantFrom(...sqls), fc.array(value, { maxLength: 3 })),
        fc.tuple(fc.constantFrom(...sqls), fc.array(value, { maxLength: 3 })),
        fc.boolean(),
        (one, other, copy) => {
          const second = copy ? one : other;
          const [left, right] = [textOf(...one), textOf(...second)];
          // One that asks for the clock has no key.
          if (left === "volatile" || right === "volatile") return;
          expect(left === right).toBe(same(one, second));
        },
      ),
      { numRuns: 3000 },
    );
  });

  it("tells drivers apart, and refuses what has no exact form", () => {
    expect(textOf(sqls[0]!, [1], "sqlite")).not.toBe(textOf(sqls[0]!, [1]));
    for (const odd of [Symbol("x"), () => 1, new Map(), new (class Odd {})()])
      expect(textOf(sqls[0]!, [odd])).toBe("value");
    expect(textOf(sqls[0]!, ["now"])).toBe("volatile");
    expect(textOf(sqls[0]!, [["today"]])).toBe("volatile");
    expect(textOf("SELECT note FROM audit", [])).toBe("tables");
    expect(textOf("WITH gone AS (DELETE FROM word RETURNING n) SELECT n FROM gone", [])).toBe("not-understood");
  });
});
