import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import type { DataSource } from "typeorm";
import type { Schema } from "../../../src/metadata/schema";
import { planWrite, type KeyTagReader } from "../../../src/write/lock-planner";
import { changesOf, KEYS, openSchema, SHOP, tableOf } from "./shop";

let dataSource: DataSource;
let schema: Schema;
beforeAll(async () => {
  ({ dataSource, schema } = await openSchema(SHOP, { ...KEYS, defaults: { strategy: "write-through" } }));
});
afterAll(() => dataSource.destroy());

/** Answers with a tag per row that it is asked for, and remembers for which. */
function reader(
  answer: (ids: unknown[]) => string[] | undefined = (ids) => ids.map((id) => `product|shop=of-${String(id)}`),
) {
  const asked: unknown[][] = [];
  const read: KeyTagReader = (_, rows) => {
    const ids = rows.map(({ values }) => values[0]);
    asked.push(ids);
    return Promise.resolve(answer(ids));
  };
  return { read, asked };
}

const plan = (sql: string, read?: KeyTagReader) => planWrite(changesOf(schema, sql), 1, read);
const updates = (count: number) =>
  Array.from({ length: count }, (_, index) => `UPDATE product SET price = 1 WHERE id = ${index + 1}`).join(";");

describe("which tags a COMMIT locks", () => {
  it("those of the rows, and what every row write touches", async () => {
    const { read, asked } = reader();
    const { tags, cause } = await plan("UPDATE product SET price = 1 WHERE id = 5", read);
    expect(tags).toEqual(["product|*", "product|id=5"]);
    expect(cause).toBe("update product");
    expect(asked).toEqual([]);
  });

  it("with the declared keys of those rows alone that a lookup may find anew", async () => {
    const { read, asked } = reader();
    const { tags } = await plan(
      "UPDATE product SET price = 1 WHERE id = 5; UPDATE product SET shop = 1 WHERE id = 6",
      read,
    );
    expect(asked).toEqual([[6]]);
    expect(tags).toEqual(["product|*", "product|id=5", "product|id=6", "product|shop=of-6"]);
  });

  it("the epoch in place of all of them if some key cannot be told", async () => {
    const { read } = reader(() => undefined);
    const { tags, writeThrough } = await plan("UPDATE product SET shop = 1 WHERE id = 6", read);
    expect(tags).toEqual(["product|"]);
    expect(writeThrough).toEqual([]);
  });

  it("the epoch for a statement alone, whose rows cannot be read before it runs", async () => {
    expect((await plan("UPDATE product SET shop = 1 WHERE id = 6")).tags).toEqual(["product|"]);
    expect((await plan("UPDATE product SET price = 1 WHERE id = 6")).tags).toEqual(["product|*", "product|id=6"]);
  });

  it("the epoch alone where rows are not known, without a read", async () => {
    const { read, asked } = reader();
    expect((await plan("UPDATE product SET shop = 1; UPDATE product SET shop = 1 WHERE id = 6", read)).tags).toEqual([
      "product|",
    ]);
    expect(asked).toEqual([]);
  });

  it("nothing where nothing was written", async () => {
    const { tags, readTags, writeThrough } = await plan("SELECT 1; UPDATE audit SET note = 'x'");
    expect([tags, readTags, writeThrough]).toEqual([[], [], []]);
  });

  it("passes on what the reader throws", async () => {
    const read: KeyTagReader = () => Promise.reject(new Error("aborted"));
    await expect(plan("UPDATE product SET shop = 1 WHERE id = 6", read)).rejects.toThrow("aborted");
  });
});

describe("what may be written through", () => {
  it("the known rows, under the token that the epoch has at the lock", async () => {
    const { readTags, writeThrough } = await plan("UPDATE product SET price = 1 WHERE id IN (5, 6)");
    expect(readTags).toEqual(["product|", "product|~"]);
    expect(writeThrough.map(({ model, rows }) => [model.name, rows.map(({ values }) => values)])).toEqual([
      ["Product", [[5], [6]]],
    ]);
  });

  it("with the tags of unique keys that nobody locks and that the rows had before", async () => {
    const changes = changesOf(schema, "UPDATE product SET price = 1 WHERE id = 5");
    changes.table(tableOf(schema, "product")).suspected.add("product|code=x").add("product|id=5");
    expect((await planWrite(changes, 1)).readTags).toEqual(["product|", "product|~", "product|code=x"]);
  });

  it("nothing of a table whose epoch is locked", async () => {
    const { readTags, writeThrough } = await plan("UPDATE product SET price = 1 WHERE id = 5; DELETE FROM product");
    expect({ readTags, writeThrough }).toEqual({ readTags: [], writeThrough: [] });
  });

  it("nothing of more rows than UNLOCK should carry", async () => {
    expect((await plan(updates(200))).writeThrough[0]?.rows).toHaveLength(200);
    const { tags, readTags, writeThrough } = await plan(`${updates(201)}; UPDATE word SET n = 1 WHERE text = 'a'`);
    expect(tags).toHaveLength(1 + 201 + 2);
    expect(readTags).toEqual(["word|", "word|~"]);
    expect(writeThrough.map(({ model }) => model.name)).toEqual(["Word"]);
  });

  it("nothing of an entity that asks for invalidation only", async () => {
    const other = await openSchema();
    const { readTags, writeThrough } = await planWrite(
      changesOf(other.schema, "UPDATE product SET price = 1 WHERE id = 5"),
      1,
    );
    expect({ readTags, writeThrough }).toEqual({ readTags: [], writeThrough: [] });
    await other.dataSource.destroy();
  });
});
