import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { EntitySchema, type DataSource } from "typeorm";
import type { Schema } from "../../../src/metadata/schema";
import { ChangeSet } from "../../../src/write/change-set";
import { changesOf, KEYS, openSchema, SHOP, short, tableOf } from "./shop";

let dataSource: DataSource;
let schema: Schema;
beforeAll(async () => ({ dataSource, schema } = await openSchema()));
afterAll(() => dataSource.destroy());

const read = (sql: string, ...parameters: readonly unknown[]) => short(changesOf(schema, sql, parameters));
const EVERYTHING = "pair: all; person: all; product: all; word: all";

describe("what a statement touches", () => {
  it.each<[string, string, ...unknown[]]>([
    // Updates and deletes whose rows the text names.
    ["UPDATE product SET price = 1 WHERE id = 5", "product: * id=5"],
    ["UPDATE product SET price = ? WHERE id IN (?, ?)", "product: * id=5 id=6", 1, 5, "6"],
    ["UPDATE product SET price = 1 WHERE id = ?", "product: * id=5", 5n],
    ["DELETE FROM product WHERE id = 5", "product: * id=5"],
    ["UPDATE pair SET n = 1 WHERE a = 1 AND b = 'X'", "pair: * a,b=1,x"],
    ["UPDATE word SET n = 1 WHERE text = 'it'", "word: * text=it"],
    // A declared key makes lookups find the row that did not.
    ["UPDATE product SET shop = 1, price = 2 WHERE id = 5", "product: * id=5!"],
    ["UPDATE person SET name = 'x' WHERE id = 1", "person: * id=1!"],
    ["DELETE FROM person WHERE id = 1", "person: * id=1"],
    // Rows that the text does not name.
    ["UPDATE product SET price = 1", "product: all"],
    ["UPDATE product SET price = 1 WHERE code = 'x'", "product: all by code"],
    ["UPDATE product SET price = 1 WHERE id = 5 OR code = 'x'", "product: all by code"],
    ["UPDATE product SET price = 1 WHERE code IN ('x', ?) OR shop = 1", "product: all by code by shop", "y"],
    ["DELETE FROM product WHERE price = 1 AND shop = ?", "product: all by shop", 1],
    ["UPDATE product SET shop = 1 WHERE code = 'x'", "product: all"],
    ["UPDATE product SET id = 1 WHERE code = 'x'", "product: all"],
    ["UPDATE product SET price = 1 WHERE code = ?", "product: nothing", null],
    ["UPDATE product SET price = 1 WHERE code = 'x' OR price = 2", "product: all"],
    ["UPDATE product SET price = 1 WHERE id = 5 OR 1", "product: all"],
    ["UPDATE pair SET n = 1 WHERE a = 1", "pair: all"],
    ["DELETE FROM product", "product: all"],
    // Values that the database may compare otherwise than JavaScript does.
    ["UPDATE product SET price = 1 WHERE id = '5.0'", "product: all"],
    ["UPDATE product SET price = 1 WHERE id = ?", "product: all", "05"],
    ["UPDATE product SET price = 1 WHERE id = ?", "product: all", 1.5],
    ["UPDATE product SET price = 1 WHERE id = ?", "product: all", true],
    ["UPDATE product SET price = 1 WHERE id = ?", "product: all", [5]],
    ["UPDATE product SET price = 1 WHERE id = ?", "product: all", { id: 5 }],
    ["UPDATE product SET price = 1 WHERE id = ?", "product: all", null],
    ["UPDATE product SET price = 1 WHERE id = ?", "product: all"],
    ["UPDATE word SET n = 1 WHERE text = 5", "word: all"],
    ["UPDATE word SET n = 1 WHERE text = ?", "word: all", 5],
    // Rows that move to another primary key appear where nobody looked.
    ["UPDATE product SET id = 6 WHERE id = 5", "product: all"],
    ["UPDATE product SET rowid = 6 WHERE id = 5", "product: all"],
    ["UPDATE product SET OID = 6 WHERE id = 5", "product: all"],
    ["UPDATE pair SET b = 'y' WHERE a = 1 AND b = 'x'", "pair: all"],
    // Inserts.
    ["INSERT INTO product (id, code) VALUES (5, 'x')", "product: * id=5!"],
    ["INSERT INTO word (text, n) VALUES (?, 1), ('b', 2)", "word: * text=a text=b", "A"],
    ["INSERT INTO product (code) VALUES ('x')", "product: all"],
    ["INSERT INTO product (id, code) VALUES (NULL, 'x')", "product: all"],
    ["INSERT INTO product (id, code) VALUES (?, 'x')", "product: all", null],
    // MySQL takes a zero for "the next one".
    ["INSERT INTO product (id, code) VALUES (0, 'x')", "product: all"],
    ["INSERT INTO product (id, code) VALUES (?, 'x')", "product: all", "0"],
    ["INSERT INTO pair (a, b) VALUES (0, 'x')", "pair: * a,b=0,x"],
    ["INSERT INTO product (id, code) VALUES (5, 'x'), (NULL, 'y')", "product: all"],
    ["INSERT INTO product (id, code) VALUES (5, 'x') ON CONFLICT (code) DO UPDATE SET price = 1", "product: all"],
    ["INSERT INTO product SELECT * FROM product", "product: all"],
    ["REPLACE INTO product (id, code) VALUES (5, 'x')", "product: all"],
    // Several tables.
    ["INSERT INTO word SELECT code, 1 FROM product", "product: all; word: all"],
    ["UPDATE product SET price = (SELECT n FROM word) WHERE id = 5", "product: * id=5"],
    ["INSERT INTO audit (id, note) VALUES (1, 'product')", ""],
    ["UPDATE audit SET note = 'x' WHERE id = 1", ""],
    ["UPDATE elsewhere SET a = 1", ""],
    ["UPDATE product SET price = 1 WHERE id = 1; DELETE FROM word", "product: * id=1; word: all"],
    ["UPDATE product SET price = 1 WHERE id = 1; UPDATE product SET shop = 1 WHERE id = 1", "product: * id=1!"],
    // Names in any case, quoted or not, with a schema or not.
    ['UPDATE "Product" SET price = 1 WHERE "ID" = 5', "product: * id=5"],
    ["UPDATE main.PRODUCT SET price = 1 WHERE product.id = 5", "product: * id=5"],
    ["UPDATE [product] SET price = 1", "product: all"],
    // What nobody understands.
    ["CALL something()", EVERYTHING],
    ["UPDATE product SET code = 'open", EVERYTHING],
    ["DROP TABLE product", "product: all"],
    ["SELECT * FROM product", ""],
    ["COMMIT", ""],
  ])("%s -> %s", (sql, expected, ...parameters) => expect(read(sql, ...parameters)).toBe(expected));

  it("is every table if a view is written: what that is made of is not known here", async () => {
    const View = new EntitySchema({
      name: "Dear",
      type: "view",
      expression: "SELECT id FROM product",
      columns: { id: { type: "int" } },
    });
    const other = await openSchema([...SHOP, View]);
    try {
      expect(short(changesOf(other.schema, "INSERT INTO dear (id) VALUES (1)"))).toBe(EVERYTHING);
    } finally {
      await other.dataSource.destroy();
    }
  });
});

describe("more rows than a lock should hold", () => {
  const table = (changes: ChangeSet) => changes.table(tableOf(schema, "product"));

  it("become the epoch, and take no memory any more", () => {
    const changes = new ChangeSet(schema);
    for (let id = 1; id <= 1000; id += 1) table(changes).addRow([id], "as before");
    expect(table(changes).tags()).toHaveLength(1001);
    table(changes).addRow([1], "anew");
    expect(table(changes).isCoarse()).toBe(false);
    table(changes).addRow([1001], "as before");
    expect(short(changes)).toBe("product: all");
    table(changes).addRow([1002], "as before");
    expect(table(changes).rows.size).toBe(0);
  });

  it("also where they come together from several statements", () => {
    const [all, one, other] = [new ChangeSet(schema), new ChangeSet(schema), new ChangeSet(schema)];
    for (let id = 1; id <= 600; id += 1) {
      table(one).addRow([id], "as before");
      table(other).addRow([id + 500], "as before");
    }
    all.merge(one);
    expect(table(all).isCoarse()).toBe(false);
    all.merge(other);
    expect(short(all)).toBe("product: all");
  });
});

describe("merging", () => {
  it("loses nothing", () => {
    const changes = new ChangeSet(schema);
    for (const sql of [
      "UPDATE product SET price = 1 WHERE id = 5",
      "UPDATE product SET shop = 1 WHERE id = 5",
      "UPDATE product SET price = 1 WHERE id = 6",
      "UPDATE word SET n = 1",
      "UPDATE word SET n = 1 WHERE text = 'a'",
    ]) {
      changes.merge(changesOf(schema, sql));
    }
    expect(short(changes)).toBe("product: * id=5! id=6; word: all");
  });

  it("keeps what was inserted, and what events explained of it, apart", () => {
    const changes = new ChangeSet(schema);
    changes.merge(changesOf(schema, "INSERT INTO product (code) VALUES ('x')"));
    const announced = new ChangeSet(schema);
    announced.table(tableOf(schema, "product")).announced = 1;
    changes.merge(announced);
    expect(short(changes)).toBe("product: nothing");
    changes.merge(changesOf(schema, "INSERT INTO product (code) VALUES ('x')"));
    expect(short(changes)).toBe("product: all");
  });

  it("never believes ids of several rows whose statement gives nothing back, whatever events say", () => {
    const changes = changesOf(schema, "INSERT INTO product (code) VALUES ('x'), ('y')");
    changes.table(tableOf(schema, "product")).announced = 2;
    expect(short(changes)).toBe("product: all");
  });
});

describe("what the database does to other tables by itself", () => {
  const key = { type: "int", nullable: true } as const;
  const node = (name: string, relations: Record<string, [string, string, string?]>) =>
    new EntitySchema({
      name,
      tableName: name.toLowerCase(),
      columns: {
        id: { type: "int", primary: true },
        ...Object.fromEntries(Object.keys(relations).map((to) => [`${to}Id`, key])),
      },
      relations: Object.fromEntries(
        Object.entries(relations).map(([property, [target, onDelete, onUpdate = "NO ACTION"]]) => [
          property,
          {
            type: "many-to-one" as const,
            target,
            onDelete: onDelete as "CASCADE",
            onUpdate: onUpdate as "CASCADE",
            joinColumn: { name: `${property}Id` },
          },
        ]),
      ),
    });

  async function touched(entities: readonly EntitySchema[], sql: string): Promise<string> {
    const { dataSource, schema } = await openSchema(entities, { entities: "all" });
    try {
      return [...changesOf(schema, sql).tables.values()]
        .filter((table) => table.isCoarse())
        .map(({ table: { group } }) => group)
        .sort()
        .join(" ");
    } finally {
      await dataSource.destroy();
    }
  }

  it("goes through any depth and around cycles", async () => {
    const entities = [
      node("A", { back: ["D", "CASCADE"] }),
      node("B", { a: ["A", "CASCADE"] }),
      node("C", { b: ["B", "CASCADE"] }),
      node("D", { c: ["C", "CASCADE"] }),
      node("E", { d: ["D", "RESTRICT"] }),
      node("F", { self: ["F", "CASCADE"] }),
    ];
    expect(await touched(entities, "DELETE FROM a WHERE id = 1")).toBe("a b c d");
    expect(await touched(entities, "DELETE FROM c WHERE id = 1")).toBe("a b c d");
    expect(await touched(entities, "DELETE FROM e WHERE id = 1")).toBe("");
    expect(await touched(entities, "DELETE FROM f WHERE id = 1")).toBe("f");
    expect(await touched(entities, "UPDATE a SET backId = 1 WHERE id = 1")).toBe("");
  });

  it("ends at SET NULL, but where the child is referred to by the column that is set", async () => {
    const entities = [node("A", {}), node("B", { a: ["A", "SET NULL"] }), node("C", { b: ["B", "CASCADE"] })];
    expect(await touched(entities, "DELETE FROM a WHERE id = 1")).toBe("b");
  });

  it("finds the child that is set to null on one way and deleted on another", async () => {
    const entities = [
      node("A", {}),
      // Found by way of A first: merely set to null, so that nothing happens to D.
      node("B", { a: ["A", "SET NULL"], c: ["C", "CASCADE"] }),
      node("C", { a: ["A", "CASCADE"] }),
      node("D", { b: ["B", "CASCADE"] }),
    ];
    expect(await touched(entities, "DELETE FROM a WHERE id = 1")).toBe("b c d");
  });

  it("follows a primary key that changes", async () => {
    const entities = [
      node("A", {}),
      node("B", { a: ["A", "RESTRICT", "CASCADE"] }),
      node("C", { b: ["B", "RESTRICT", "CASCADE"] }),
      node("D", { a: ["A", "CASCADE", "RESTRICT"] }),
    ];
    expect(await touched(entities, "UPDATE a SET id = 2 WHERE id = 1")).toBe("a b c");
    expect(await touched(entities, "UPDATE b SET aId = 2 WHERE id = 1")).toBe("");
    // Rows and columns unknown: both.
    expect(await touched(entities, "REPLACE INTO a VALUES (1)")).toBe("a b c d");
  });

  it("reaches a cached child of a table that is not cached", async () => {
    const entities = [node("A", {}), node("B", { a: ["A", "CASCADE"] })];
    const { dataSource, schema } = await openSchema(entities, { ...KEYS, entities: { B: {} } });
    expect(short(changesOf(schema, "DELETE FROM a WHERE id = 1"))).toBe("a: * id=1; b: all");
    await dataSource.destroy();
  });
});
