import { describe, expect, it } from "@jest/globals";
import type { DataSource } from "typeorm";
import type { ColumnMetadata } from "typeorm/metadata/ColumnMetadata";
import { canonicalOf, isExact } from "../../../src/metadata/column-equality";

type Kind = "postgres" | "mariadb" | "better-sqlite3";

/** The canonical form in a column of a type, as `normalizeType` has it. */
function canonical(database: Kind, type: string, column: Partial<ColumnMetadata> = {}) {
  const dataSource = { options: { type: database }, driver: { normalizeType: () => type } } as unknown as DataSource;
  return canonicalOf({ type, ...column } as ColumnMetadata, dataSource);
}

describe("canonical values", () => {
  it.each(["int", "integer", "bigint", "smallint", "int8", "serial", "INTEGER"])(
    "of %s: one for every way to write it",
    (type) => {
      const integer = canonical("postgres", type);
      for (const one of [1, "1", 1n]) expect(integer(one)).toBe("1");
      for (const zero of [0, -0, "0"]) expect(integer(zero)).toBe("0");
      expect(integer("9007199254740993")).toBe("9007199254740993");
      for (const other of [
        "01",
        "+1",
        "1.0",
        " 1",
        "1e3",
        "-0",
        "",
        1.5,
        NaN,
        2 ** 53,
        true,
        null,
        undefined,
        [1],
        {},
      ]) {
        expect(integer(other)).toBeUndefined();
      }
    },
  );

  it("of booleans, where MySQL has none too", () => {
    for (const column of [canonical("mariadb", "tinyint", { type: Boolean }), canonical("postgres", "boolean")]) {
      for (const yes of [true, 1]) expect(column(yes)).toBe("1");
      for (const no of [false, 0]) expect(column(no)).toBe("0");
      for (const other of ["1", "true", "t", 2, null]) expect(column(other)).toBeUndefined();
    }
    expect(canonical("mariadb", "tinyint")(2)).toBe("2");
  });

  it("of texts fold what some databases do not tell apart", () => {
    const text = canonical("postgres", "character varying");
    expect(text("Abc  ")).toBe(text("aBC"));
    expect(text("é")).toBe(text("e\u0301"));
    expect(text(" abc")).not.toBe(text("abc"));
    for (const other of [1, true, null, undefined, Buffer.from("a"), ["a"]]) expect(text(other)).toBeUndefined();
  });

  it.each([
    ["mariadb", "varchar", {}],
    ["mariadb", "varchar", { collation: "utf8mb4_bin" }],
    ["postgres", "character varying", { collation: "und-x-icu" }],
    ["postgres", "citext", {}],
    ["better-sqlite3", "varchar", { collation: "NOCASE" }],
  ] as const)("of texts on %s as %s %j are known for plain ASCII only", (database, type, column) => {
    const text = canonical(database, type, column);
    expect(text("Abc~ 1")).toBe("abc~ 1");
    for (const other of ["é", "ß", "a\u00ad", "a\u0000", "a\tb", "a\nb", "\u{1f389}"])
      expect(text(other)).toBeUndefined();
  });

  it("of uuids in every spelling", () => {
    const uuid = "6f9619ff-8b86-4011-b42d-00cf4fc964ff";
    for (const database of ["postgres", "mariadb"] as const) {
      const column = canonical(database, "uuid");
      expect(column(uuid.toUpperCase())).toBe(column(uuid));
      expect(column(uuid.replaceAll("-", ""))).toBe(column(uuid));
      for (const other of ["", "x", `${uuid}0`, 5, null]) expect(column(other)).toBeUndefined();
    }
  });

  it.each([
    "decimal",
    "numeric",
    "real",
    "double",
    "float",
    "date",
    "datetime",
    "timestamp",
    "time",
    "year",
    "json",
    "blob",
    "bytea",
    "inet",
    "bit",
    "set",
    "interval",
    "xml",
    "point",
    "unknown",
  ])("of %s are nobody's to tell", (type) => {
    for (const database of ["postgres", "mariadb", "better-sqlite3"] as const) {
      for (const value of [1, "1", "x", new Date(0), true]) expect(canonical(database, type)(value)).toBeUndefined();
    }
  });

  it("are shared by entries where every driver takes them alike", () => {
    expect(isExact(canonical("postgres", "int"), 1)).toBe(true);
    expect(isExact(canonical("postgres", "int"), "1")).toBe(true);
    expect(isExact(canonical("postgres", "boolean"), true)).toBe(true);
    // sqlite3 does not understand a bigint and finds nothing.
    expect(isExact(canonical("better-sqlite3", "int"), 1n)).toBe(false);
    for (const type of ["uuid", "text", "decimal"]) expect(isExact(canonical("postgres", type), "x")).toBe(false);
  });
});
