import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import type { DataSource } from "typeorm";
import type { Schema } from "../../../src/metadata/schema";
import { changesOf } from "../../../src/write/change-of";
import { planWrite } from "../../../src/write/lock-planner";
import { changesOf as changesIn, openSchema } from "./shop";

let dataSource: DataSource;
let schema: Schema;
beforeAll(async () => {
  ({ dataSource, schema } = await openSchema());
});
afterAll(() => dataSource.destroy());

const told = async (sql: string) =>
  (await planWrite(changesIn(schema, sql), 1)).told.map(({ table, operation, rows }) => ({ table, operation, rows }));

describe("what a write is told as", () => {
  it.each([
    ["UPDATE product SET price = 1 WHERE id = 5", "update", [{ id: 5 }]],
    ["DELETE FROM product WHERE id IN (5, 6)", "delete", [{ id: 5 }, { id: 6 }]],
    ["INSERT INTO word (text, n) VALUES ('a', 1)", "insert", [{ text: "a" }]],
    ["INSERT INTO product (price) VALUES (1)", "insert", null],
    ["UPDATE product SET price = 1", "unknown", null],
    ["UPDATE product SET price = 1 WHERE id = 5; DELETE FROM product WHERE id = 6", "mixed", [{ id: 5 }, { id: 6 }]],
    ["UPDATE product SET price = 1 WHERE id = 5; DELETE FROM product", "unknown", null],
    ["UPDATE pair SET n = 1 WHERE a = 1 AND b = 'x'", "update", [{ a: 1, b: "x" }]],
  ])("%s", async (sql, operation, rows) => {
    const [change] = await told(sql);
    expect(change).toEqual({ table: sql.match(/product|word|pair/)![0], operation, rows });
  });

  it("has one change per table, and what is covered besides is unknown", () => {
    const tags = ["product|*", "product|id=1", "product|~", "word|", "gone|id=1"];
    const known = { table: "product", group: "product", operation: "update", rows: [{ id: 1 }], tags: [] } as const;
    expect(changesOf(schema, tags, [known])).toEqual([
      { ...known, tags: ["product|*", "product|id=1"] },
      { table: "word", group: "word", operation: "unknown", rows: null, tags: ["word|"] },
      { table: "gone", group: "gone", operation: "unknown", rows: null, tags: ["gone|id=1"] },
    ]);
  });

  it("names no rows where the epoch was touched after all", () => {
    const known = { table: "product", group: "product", operation: "update", rows: [{ id: 1 }], tags: [] } as const;
    expect(changesOf(schema, ["product|", "product|id=1"], [known])[0]).toMatchObject({ rows: null });
  });
});
