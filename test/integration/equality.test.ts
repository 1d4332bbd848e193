import * as fc from "fast-check";
import { EntitySchema, type DataSource, type EntitySchemaColumnOptions } from "typeorm";
import { canonicalOf, isExact } from "../../src/metadata/column-equality";
import { describeEachDatabase, type TestDatabase } from "../support/databases";

interface Comparable {
  readonly name: string;
  readonly column: EntitySchemaColumnOptions;
  /** What rows hold, and what they are compared with. */
  readonly values: fc.Arbitrary<unknown>;
  readonly lookups?: fc.Arbitrary<unknown>;
}

interface Held {
  id: number;
  value: unknown;
}

const letters = fc.constantFrom(
  ..."aAbBsS01 ~%_.-",
  "á",
  "Á",
  "à",
  "ß",
  "ss",
  "SS",
  "ı",
  "İ",
  "i",
  "I",
  "ﬁ",
  "fi",
  "a\u0301",
  "\u00ad",
  "\u200d",
  "\t",
  "ａ",
  "ǆ",
  "Ǆ",
  "漢",
  "🎉",
);
const text = fc.array(letters, { maxLength: 4 }).map((parts) => parts.join(""));
const integer = fc.oneof(fc.integer({ min: -3, max: 12 }), fc.constantFrom(2147483647, -2147483648));
const integerLookup = fc.oneof(
  integer,
  integer.map(String),
  fc.constantFrom("01", "+1", "1.0", " 1", "1 ", "1e0", "-0", "0x1", "", "a", 1.5, true, false),
);
const textLookup = fc.oneof({ weight: 6, arbitrary: text }, { weight: 1, arbitrary: integerLookup });

function comparables({ name }: TestDatabase): Comparable[] {
  const texts = (title: string, column: Partial<EntitySchemaColumnOptions> = {}): Comparable => ({
    name: title,
    column: { type: "varchar", length: 40, ...column },
    values: text,
    lookups: textLookup,
  });
  const uuid = "6f9619ff-8b86-4011-b42d-00cf4fc964ff";
  const all: Comparable[] = [
    { name: "int", column: { type: "int" }, values: integer, lookups: integerLookup },
    {
      name: "bigint",
      column: { type: "bigint" },
      values: integer,
      lookups: fc.oneof(integerLookup, fc.constant("9007199254740993")),
    },
    {
      name: "smallint",
      column: { type: "smallint" },
      values: fc.integer({ min: -3, max: 12 }),
      lookups: integerLookup,
    },
    {
      name: "boolean",
      column: { type: "boolean" },
      values: fc.boolean(),
      lookups: fc.constantFrom<unknown>(true, false, 1, 0, "1", "0", "true", "f", 2),
    },
    {
      name: "uuid",
      column: { type: "uuid" },
      values: fc.constantFrom(uuid, uuid.replace("6f", "70")),
      lookups: fc.constantFrom(uuid, uuid.toUpperCase(), uuid.replaceAll("-", ""), `{${uuid}}`, `${uuid} `, "x"),
    },
    texts("varchar"),
    texts("text", { type: "text", length: "" }),
    texts("char", { type: name === "sqlite" ? "character" : "char", length: 12 }),
  ];
  if (name === "sqlite") {
    all.push(texts("nocase", { collation: "NOCASE" }), texts("rtrim", { collation: "RTRIM" }));
  }
  if (name === "postgres") {
    all.push({
      name: "enum",
      column: { type: "enum", enum: ["a", "A", "b"] },
      values: fc.constantFrom("a", "A", "b"),
      lookups: fc.oneof(fc.constantFrom("a", "A", "b"), text),
    });
    // The collations that PostgreSQL has whatever it was built with.
    all.push(texts("c", { collation: "C" }), texts("posix", { collation: "POSIX" }));
  }
  if (name === "mariadb") {
    for (const collation of [
      "utf8mb4_bin",
      "utf8mb4_general_ci",
      "utf8mb4_unicode_ci",
      "utf8mb4_unicode_520_ci",
      "utf8mb4_nopad_bin",
      "utf8mb4_german2_ci",
      "utf8mb4_turkish_ci",
      "utf8mb4_spanish2_ci",
    ]) {
      all.push(texts(collation, { charset: "utf8mb4", collation }));
    }
    all.push({
      name: "enum",
      column: { type: "enum", enum: ["a", "b", "ß"] },
      values: fc.constantFrom("a", "b", "ß"),
      lookups: fc.oneof(fc.constantFrom("a", "A", "ß"), textLookup),
    });
    all.push({
      name: "tinyint",
      column: { type: "tinyint" },
      values: fc.integer({ min: -3, max: 5 }),
      lookups: integerLookup,
    });
  }
  return all;
}

const schemaOf = ({ name, column }: Comparable) =>
  new EntitySchema<Held>({
    name: `equal_${name}`,
    columns: { id: { type: Number, primary: true, generated: true }, value: column },
  });

// The rule of exactness: two values that the database takes for equal have one canonical text, or one of them has none.
describeEachDatabase("canonical values against the database's own equality", (database) => {
  const all = comparables(database).map((one) => ({ ...one, schema: schemaOf(one) }));
  let dataSource: DataSource;
  beforeAll(async () => {
    dataSource = await database.open(all.map(({ schema }) => schema));
  });

  it.each(all)("$name", async ({ schema, values, lookups }) => {
    const repository = dataSource.getRepository(schema);
    const column = repository.metadata.findColumnWithPropertyName("value")!;
    const canonical = canonicalOf(column, dataSource);
    const alias = "e";
    const rowsEqualTo = async (value: unknown): Promise<number[] | string> => {
      const query = repository
        .createQueryBuilder(alias)
        .select("e.id", "id")
        .where("e.value = :value", { value })
        .orderBy("e.id");
      try {
        return (await query.getRawMany<{ id: number }>()).map(({ id }) => Number(id));
      } catch {
        return "refused"; // Types that do not compare; the driver says so.
      }
    };
    const written = fc.sample(values, { numRuns: 60, seed: 7 });
    await repository.insert(written.map((value) => ({ value })) as never);
    const rows = await repository
      .createQueryBuilder(alias)
      .select("e.id", "id")
      .addSelect("e.value", "value")
      .getRawMany<Held>();
    const held = new Map(rows.map(({ id, value }) => [Number(id), value]));
    let equal = 0;
    const answers = new Map<string, unknown>();
    for (const value of fc.sample(lookups ?? values, { numRuns: 150 })) {
      const found = await rowsEqualTo(value);
      const wanted = canonical(value);
      for (const id of Array.isArray(found) ? found : []) {
        // Tags of a write come from what the statement said, or from what the row holds.
        for (const own of [canonical(held.get(id)), canonical(written[id - 1])]) {
          equal += 1;
          if (wanted !== undefined && own !== undefined)
            expect({ value, row: held.get(id), own }).toEqual({ value, row: held.get(id), own: wanted });
        }
      }
      // Values that share an entry find the same rows.
      if (wanted === undefined || !isExact(canonical, value)) continue;
      if (answers.has(wanted)) expect({ value, found }).toEqual({ value, found: answers.get(wanted) });
      answers.set(wanted, found);
    }
    expect(equal).toBeGreaterThan(20); // Else nothing was compared.
  });
});
