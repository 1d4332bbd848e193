import "reflect-metadata";
import { afterEach, describe, expect, it } from "@jest/globals";
import { DataSource, EntitySchema, type EntitySchemaOptions, type ObjectLiteral } from "typeorm";
import type { EntityModel } from "../../../src/metadata/entity-model";
import { resolveSchema } from "../../../src/metadata/schema";
import type { EntityCacheOptions } from "../../../src/options";

type Options = Partial<EntitySchemaOptions<ObjectLiteral>>;

const id = { type: Number, primary: true, generated: true } as const;
const columns = { id, name: { type: String }, zip: { type: String, nullable: true } } as const;

describe("the model of an entity", () => {
  const open: DataSource[] = [];
  afterEach(async () => {
    for (const dataSource of open.splice(0)) await dataSource.destroy();
  });

  async function model(options: Options = {}, settings: EntityCacheOptions = {}): Promise<EntityModel> {
    const schema = new EntitySchema<ObjectLiteral>({
      name: "Thing",
      columns,
      ...options,
    });
    const dataSource = new DataSource({ type: "better-sqlite3", database: ":memory:", entities: [schema] });
    open.push(await dataSource.initialize());
    return resolveSchema(dataSource, { entities: { Thing: settings } }).models[0]!;
  }
  const fingerprint = async (options?: Options) => (await model(options)).fingerprint;

  it("has another fingerprint when the same query would find other rows, or a row look otherwise", async () => {
    const changes: Options[] = [
      {},
      { tableName: "things" },
      { orderBy: { name: "ASC" } },
      { orderBy: { name: "DESC" } },
      { columns: { ...columns, more: { type: String } } },
      { columns: { ...columns, name: { type: Number } } },
      { columns: { ...columns, name: { type: String, name: "title" } } },
      { columns: { ...columns, name: { type: String, select: false } } },
      { columns: { zip: columns.zip, name: columns.name, id } },
      { columns: { ...columns, gone: { type: "datetime", nullable: true } } },
      { columns: { ...columns, gone: { type: "datetime", nullable: true, deleteDate: true } } },
    ];
    const all = await Promise.all(changes.map(fingerprint));
    expect(new Set(all).size).toBe(changes.length);
    expect(await fingerprint({ columns: { ...columns, name: { type: String, unique: true } } })).toBe(all[0]);
    expect(await fingerprint()).toBe(all[0]);
  });

  it("knows which keys find one row at most", async () => {
    const unique = async (options: Options, ...keys: (string | string[])[]) =>
      (await model(options, { keys })).keys.map((key) => [key.id, key.unique]);
    expect(await unique({}, "name", ["name", "id"], "id")).toEqual([
      ["id", true],
      ["name", false],
      ["name,id", true],
    ]);
    expect(await unique({ uniques: [{ columns: ["zip", "name"] }] }, "zip", ["name", "zip"])).toEqual([
      ["id", true],
      ["zip", false],
      ["name,zip", true],
    ]);
    expect(await unique({ indices: [{ columns: ["zip"], unique: true }] }, "zip")).toContainEqual(["zip", true]);
    expect(await unique({ indices: [{ columns: ["zip"] }] }, "zip")).toContainEqual(["zip", false]);
    // Of a partial index two rows may have the same values.
    expect(await unique({ indices: [{ columns: ["zip"], unique: true, where: "name = 'x'" }] }, "zip")).toContainEqual([
      "zip",
      false,
    ]);
  });

  it("of what is not all in its row serves nothing", async () => {
    expect((await model()).cacheable).toBe(true);
    const virtual = { type: Number, virtualProperty: true, query: () => "SELECT 1" } as never;
    expect((await model({ columns: { ...columns, count: virtual } })).cacheable).toBe(false);
    await expect(model({ columns: { ...columns, count: virtual } }, { keys: ["count"] })).rejects.toMatchObject({
      code: "KEY_COLUMN_UNKNOWN",
    });
  });
});
