import { describe, expect, it } from "@jest/globals";
import { In, type FindOperator } from "typeorm";
import type { RowImage } from "../../../src/codec/row-codec";
import { keyTag } from "../../../src/metadata/cached-query";
import type { EntityModel, Key } from "../../../src/metadata/entity-model";
import type { KeyedQuery } from "../../../src/read/row-fill";
import { rowsByQuery, sorted, withIds } from "../../../src/read/multi-get";

const column = { getEntityValue: (entity: { id: unknown }) => entity.id };
const primaryKey = {
  id: "id",
  tagName: "id",
  unique: true,
  columns: [
    {
      column,
      databaseName: "id",
      canonical: (value: string | number | null) => (value === null ? undefined : String(value).toLowerCase()),
    },
  ],
} as unknown as Key;
const model = { group: "t", primaryKey } as EntityModel;
const query = (id: unknown) =>
  ({ query: { key: primaryKey, tags: ["t|", keyTag("t", primaryKey, [id])] } }) as unknown as KeyedQuery;
const row = (id: unknown): RowImage => ({
  text: `[${String(id)}]`,
  primaryKey: [id],
  unique: new Map([[primaryKey, [id]]]),
});

describe("a multi-get", () => {
  it("gives each id its row, and none to those that found none", () => {
    expect(rowsByQuery(model, [query(1), query(2), query(3)], [row(3), row(1)])).toEqual([[row(1)], [], [row(3)]]);
    expect(rowsByQuery(model, [query("A")], [row("a")])).toEqual([[row("a")]]);
    expect(rowsByQuery(model, [query("A")], [row("a"), row("A")])).toEqual([[row("a"), row("A")]]);
  });

  it("gives nothing at all if a row is nobody's", () => {
    expect(rowsByQuery(model, [query(1)], [row(1), row(2)])).toBeUndefined();
    expect(rowsByQuery(model, [query(1)], [row(null)])).toBeUndefined();
  });

  it.each([
    [
      [10, 9, -1],
      [-1, 9, 10],
    ],
    [
      ["10", "9", "-10", "-9"],
      ["-10", "-9", "9", "10"],
    ],
    [
      ["9007199254740993", "9007199254740992", 5],
      [5, "9007199254740992", "9007199254740993"],
    ],
    [
      ["b", "a", "B"],
      ["B", "a", "b"],
    ],
  ])("is in the order of its ids: %j", (ids, expected) => {
    const entities = ids.map((id) => ({ id }));
    expect(sorted(entities, model).map(({ id }) => id as unknown)).toEqual(expected);
    expect(entities.map(({ id }) => id)).toEqual(ids);
  });

  it("asks for the ids that were missed, in whatever form the caller asked, and leaves the caller's own where alone", () => {
    const where = [{ id: In([1, 2, 3]) }];
    const missed = withIds({ where, withDeleted: true }, [2]);
    expect((missed.where as { id: FindOperator<number> }[])[0]!.id.value).toEqual([2]);
    expect(missed.withDeleted).toBe(true);
    expect(where[0]!.id.value).toEqual([1, 2, 3]);
  });
});
