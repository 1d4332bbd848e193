import "reflect-metadata";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { DataSource, EntitySchema } from "typeorm";
import { RowCodec, type RawRow } from "../../../src/codec/row-codec";
import { resolveSchema } from "../../../src/metadata/schema";

const Thing = new EntitySchema<{ id: number; name: string; secret: string; tags: unknown }>({
  name: "Thing",
  columns: {
    id: { type: Number, primary: true, select: false },
    name: { type: String },
    secret: { type: String, select: false },
    tags: { type: "simple-json" },
  },
});

describe("a row codec", () => {
  const dataSource = new DataSource({ type: "better-sqlite3", database: ":memory:", entities: [Thing] });
  let codec: RowCodec;
  beforeAll(async () => {
    await dataSource.initialize();
    codec = new RowCodec(dataSource, resolveSchema(dataSource, { entities: "all" }).models[0]!);
  });
  afterAll(() => dataSource.destroy());

  const row: RawRow = { e_id: 1, e_name: "x", e_tags: '{"a":1}' };

  it("keeps what TypeORM selects: the primary key always, and no column that is not selected", () => {
    const payload = codec.encode([{ ...row, e_secret: "s", other: 1 }]);
    expect(payload).toBe(JSON.stringify([[1, "x", '{"a":1}']]));
    expect(codec.decode(payload).map((one) => codec.hydrate(one))).toEqual([{ id: 1, name: "x", tags: { a: 1 } }]);
    expect(codec.valuesOf(row, dataSource.getMetadata("Thing").primaryColumns)).toEqual([1]);
  });

  it("takes an image at once: what happens to the row afterwards does not matter", () => {
    const mutable = { e_id: 1, e_name: "x", e_tags: { list: [1] } };
    const { text, primaryKey } = codec.imageOf(mutable);
    mutable.e_tags.list.push(2);
    expect(text).toBe('[1,"x",["j",{"list":[1]}]]');
    expect(primaryKey).toEqual([1]);
  });

  it("has no text for a row that lacks a column or holds something of a class", () => {
    expect(codec.imageOf({ e_id: 1, e_name: "x" })).toMatchObject({ primaryKey: [1], text: undefined });
    expect(codec.imageOf({ ...row, e_name: new Map() })).toMatchObject({ primaryKey: [1], text: undefined });
    expect(() => codec.encode([{ ...row, e_name: undefined }])).toThrow();
  });

  it("makes entities of the same rows more than once, unless a caller could change the rows", () => {
    const rows = codec.decode(codec.encode([row, { ...row, e_name: new Date(5) }]));
    expect(codec.isReusable(rows)).toBe(true);
    const [first, second] = [codec.make(rows), codec.make(rows)];
    expect(first).toEqual(second);
    expect(first[0]).not.toBe(second[0]);
    expect((first[1] as { name: Date }).name).not.toBe((second[1] as { name: Date }).name);
    expect(codec.isReusable(codec.decode(codec.encode([row, { ...row, e_tags: { list: [1] } }])))).toBe(false);
  });

  it("reads nothing else than what it has written", () => {
    for (const text of ["", "{}", "1", "[1]", "[[1]]", "[[1,2,3,4]]", '[{"length":3}]', "[[1,2,3]", "null"]) {
      expect(() => codec.decode(text)).toThrow();
    }
    const texts = fc.oneof(fc.string(), fc.json());
    fc.assert(
      fc.property(texts, (text) => {
        let rows: readonly (readonly unknown[])[];
        try {
          rows = codec.decode(text);
        } catch {
          return;
        }
        expect(rows.every((one) => one.length === 3)).toBe(true);
      }),
    );
  });
});
