import { EntitySchema, Equal, In, type DataSource, type EntitySchemaColumnOptions, type Repository } from "typeorm";
import type { CoherentCache } from "typeorm-coherent";
import { attachMemory } from "../support/cache-harness";
import { describeEachDatabase, type TestDatabase } from "../support/databases";

interface Row {
  id: unknown;
  n: number;
}

/** Values that rows have in a column, and others that a database may or may not find equal to one of them. */
interface OddKey {
  readonly name: string;
  readonly column: EntitySchemaColumnOptions;
  readonly values: readonly unknown[];
  readonly lookups: readonly unknown[];
}

const UUID = "6f9619ff-8b86-4011-b42d-00cf4fc964ff";
const texts = [
  "abc",
  "ABC",
  "abc ",
  "ábc",
  "abć",
  " abc",
  "abc\u0000",
  "a%c",
  "ss",
  "ß",
  "0",
  "00",
  0,
  1,
  true,
  false,
  0n,
  "1",
  "1.0",
];
const numbers = [
  1,
  "1",
  "1.0",
  "01",
  " 1",
  "+1",
  "1e0",
  1.0,
  1.5,
  "1.5",
  true,
  false,
  0,
  -0,
  "-0",
  "0",
  1n,
  "abc",
  "",
  2 ** 53,
  "9007199254740993",
];

function oddKeys({ name }: TestDatabase): readonly OddKey[] {
  const sqlite = name === "sqlite";
  const postgres = name === "postgres";
  const mariadb = name === "mariadb";
  return [
    { name: "int", column: { type: "int" }, values: [1, 0, 7], lookups: numbers },
    { name: "bigint", column: { type: "bigint" }, values: ["1", "9007199254740993"], lookups: numbers },
    { name: "varchar", column: { type: "varchar", length: 40 }, values: ["abc", "1", "ss"], lookups: texts },
    {
      name: "text_like",
      column: { type: "varchar", length: 40 },
      values: ["x", "y", "z"],
      lookups: [0, "X", "x ", false],
    },
    {
      name: "char",
      column: { type: sqlite ? "character" : "char", length: 5 },
      values: ["abc", "x"],
      lookups: ["abc", "abc  ", "ABC"],
    },
    {
      name: "decimal",
      column: { type: "decimal", precision: 10, scale: 2 },
      values: ["1.00", "2.5"],
      lookups: [1, "1", "1.0", "1.00", 2.5, "2.50"],
    },
    {
      name: "uuid",
      column: { type: "uuid" },
      values: [UUID],
      lookups: [UUID, UUID.toUpperCase(), UUID.replaceAll("-", ""), `{${UUID}}`, ` ${UUID}`, "x"],
    },
    {
      name: "date",
      column: { type: "date" },
      values: ["2024-01-02"],
      lookups: ["2024-01-02", "2024-1-2", new Date("2024-01-02T00:00:00Z"), "20240102"],
    },
    {
      name: "datetime",
      column: { type: postgres ? "timestamp" : "datetime" },
      values: [new Date("2024-01-02T03:04:05Z")],
      lookups: [
        new Date("2024-01-02T03:04:05Z"),
        "2024-01-02 03:04:05",
        "2024-01-02 03:04:05.000",
        "2024-01-02T03:04:05",
      ],
    },
    {
      name: "boolean",
      column: { type: "boolean" },
      values: [true, false],
      lookups: [true, false, 1, 0, "1", "0", "true", "t", 2],
    },
    {
      name: "bytes",
      column: { type: sqlite ? "blob" : postgres ? "bytea" : "varbinary", ...(mariadb ? { length: 20 } : {}) },
      values: [Buffer.from("abc")],
      lookups: [Buffer.from("abc"), Buffer.from("ABC"), "abc", "\\x616263"],
    },
    {
      name: "double",
      column: { type: "double precision" },
      values: [0.5, 3],
      lookups: [0.5, "0.5", 3, "3", "3.0", 0.1 + 0.2],
    },
    {
      name: "transformed",
      column: {
        type: "varchar",
        length: 40,
        transformer: {
          to: (value: unknown) => (typeof value === "string" ? value.toLowerCase() : value),
          from: (value: unknown) => value,
        },
      },
      values: ["abc"],
      lookups: ["abc", "ABC", "Abc ", 0],
    },
    ...(sqlite
      ? [
          {
            name: "nocase",
            column: { type: "varchar" as const, collation: "NOCASE" },
            values: ["abc", "Éa"],
            lookups: ["abc", "ABC", "aBc", "éa", "abc "],
          },
        ]
      : []),
    ...(postgres
      ? [
          {
            name: "enum",
            column: { type: "enum" as const, enum: ["a", "b"] },
            values: ["a"],
            lookups: ["a", "A", "b", 1, "c"],
          },
          {
            name: "numeric",
            column: { type: "numeric" as const },
            values: ["1.10"],
            lookups: ["1.1", "1.10", 1.1, "NaN"],
          },
          {
            name: "inet",
            column: { type: "inet" as const },
            values: ["10.0.0.1"],
            lookups: ["10.0.0.1", "10.0.0.1/32", "10.0.0.2"],
          },
        ]
      : []),
    ...(mariadb
      ? [
          {
            name: "year",
            column: { type: "year" as const },
            values: [1999, 2012],
            lookups: [1999, 99, "99", 12, "12", "1999"],
          },
          {
            name: "enum",
            column: { type: "enum" as const, enum: ["a", "b"] },
            values: ["a", "b"],
            lookups: ["a", "A", "b", 1, 2, "1", "c"],
          },
          {
            name: "binary_text",
            column: { type: "varchar" as const, length: 40, collation: "utf8mb4_bin" },
            values: ["abc"],
            lookups: ["abc", "ABC", "abc "],
          },
          {
            name: "unicode_text",
            column: { type: "varchar" as const, length: 40, collation: "utf8mb4_unicode_ci" },
            values: ["abc", "ss"],
            lookups: ["ábc", "a\u0301bc", "ß", "ABC", "abc\u00ad"],
          },
        ]
      : []),
  ];
}

const schemaOf = (name: string, columns: Record<string, EntitySchemaColumnOptions>) =>
  new EntitySchema<Row & Record<string, unknown>>({
    name,
    columns: { ...columns, n: { type: Number, default: 0 } },
  });

// Equality is the database's affair: whatever a lookup is spelt like, it finds what the database finds, before and after writes.
describeEachDatabase("reads by odd values", (database) => {
  const keys = oddKeys(database).flatMap((key) => [
    {
      ...key,
      title: `${key.name}, the primary key`,
      property: "id",
      schema: schemaOf(`pk_${key.name}`, { id: { ...key.column, primary: true } }),
    },
    {
      ...key,
      title: `${key.name}, a unique key`,
      property: "value",
      schema: schemaOf(`unique_${key.name}`, {
        id: { type: Number, primary: true, generated: true },
        value: { ...key.column, unique: true },
      }),
    },
    {
      ...key,
      title: `${key.name}, a key of many`,
      property: "value",
      schema: schemaOf(`many_${key.name}`, { id: { type: Number, primary: true, generated: true }, value: key.column }),
    },
  ]);
  let dataSource: DataSource;
  let cache: CoherentCache;
  beforeAll(async () => {
    dataSource = await database.open(keys.map(({ schema }) => schema));
    const entities = Object.fromEntries(
      keys.map(({ schema, property }) => [
        schema.options.name,
        { strategy: "write-through" as const, keys: property === "id" ? [] : [property] },
      ]),
    );
    cache = await attachMemory(dataSource, { entities });
  });

  it.each(keys)("$title", async ({ schema, property, values, lookups }) => {
    const plain = dataSource.getRepository(schema);
    const cached = cache.repository(schema);
    const rowOf = (value: unknown, n: number) => ({ [property]: value, n }) as never;
    const everyRead = lookups.flatMap((lookup) => readsBy(property, lookup));
    const outcomes = (repository: Repository<Row & Record<string, unknown>>) =>
      Promise.all(everyRead.map(async ({ title, read }) => ({ title, ...(await outcomeOf(read, repository)) })));
    const compare = async () => {
      const expected = await outcomes(plain);
      for (const attempt of [1, 2]) {
        expect({ attempt, outcomes: await outcomes(cached) }).toEqual({ attempt, outcomes: expected });
      }
    };
    await compare(); // Nothing is there: negative entries.
    await cached.save(values.map((value) => rowOf(value, 1)));
    await compare();
    for (const row of await plain.find()) await cached.update({ [property]: row[property] } as never, { n: 2 });
    await compare();
    const [first, ...others] = await plain.find();
    await cached.save({ ...first, n: 3 } as never);
    for (const row of others) await cached.delete({ [property]: row[property] } as never);
    await compare();
    await cached.remove({ ...first } as never);
    await cached.insert(rowOf(first![property], 4));
    await compare();
  });
});

function readsBy(property: string, value: unknown) {
  const where = { [property]: value } as never;
  const reads: [string, (repository: Repository<Row & Record<string, unknown>>) => Promise<unknown>][] = [
    ["findOneBy", (repository) => repository.findOneBy(where)],
    ["find", (repository) => repository.find({ where, order: { n: "ASC", id: "ASC" } })],
    ["last", (repository) => repository.findOne({ where, order: { n: "DESC", id: "DESC" } })],
    ["count", (repository) => repository.countBy(where)],
  ];
  if (property === "id") {
    // An In list has an order of the database's own choice.
    const multiGet =
      (...ids: unknown[]) =>
      async (repository: Repository<Row & Record<string, unknown>>) =>
        inOrder(await repository.findBy({ id: In(ids) }));
    reads.push(["In", multiGet(value)], ["In with others", multiGet(value, "abc", "1")]);
  } else
    reads.push([
      "find one",
      (repository) => repository.find({ where: { [property]: Equal(value) } as never, take: 1, order: { id: "ASC" } }),
    ]);
  const text = typeof value === "bigint" ? `${value}n` : JSON.stringify(value);
  return reads.map(([title, read]) => ({ title: `${title} ${text}`, read }));
}

const inOrder = (rows: (Row & Record<string, unknown>)[]) =>
  rows.map((row) => ({ ...row })).sort((left, right) => (JSON.stringify(left) < JSON.stringify(right) ? -1 : 1));

async function outcomeOf(
  read: (repository: Repository<Row & Record<string, unknown>>) => Promise<unknown>,
  repository: Repository<Row & Record<string, unknown>>,
): Promise<{ readonly found?: unknown; readonly failed?: string }> {
  try {
    return { found: await read(repository) };
  } catch (error) {
    return { failed: (error as Error).message };
  }
}
