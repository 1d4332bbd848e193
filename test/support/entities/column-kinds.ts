import { EntitySchema, type EntitySchemaColumnOptions } from "typeorm";
import { typeormLine, type TestDatabase } from "../databases";

/** One kind of column, in a table of its own, and values that are likely to be changed on their way through a cache. */
export interface ColumnKind {
  readonly name: string;
  readonly column: EntitySchemaColumnOptions;
  readonly values: readonly unknown[];
  /** The driver makes an object of it that no text can carry: its rows are read rightly, but not cached. */
  readonly unencodable?: boolean;
}

/** A row of such a table. */
export class Sample {
  id!: number;
  value!: unknown;
}

/** What a transformer that returns instances makes. */
export class Money {
  constructor(
    readonly amount: bigint,
    readonly currency: string,
  ) {}
  toString(): string {
    return `${this.amount} ${this.currency}`;
  }
}

const texts = [
  "",
  "plain",
  " spaces ",
  "1",
  "null",
  'O\'Neil "x" \\ % _',
  "ünïcode 漢字 🎉",
  "line\nbreak\r\n\ttab",
  '["d",5]',
];
const json: readonly object[] = [
  {},
  [],
  { nested: { list: [1, [2, { three: 3 }], null], empty: {}, text: "é\u2028\n", yes: true }, none: null },
  [["d", 0], ["b", "AA=="], { "0": 1, "": 2, __order: "b", a: 1 }],
  { toJSON: "a name like any other", constructor: 1 },
];
const scalarJson: readonly unknown[] = ["text", "", "12", 0, 1.5, true, false];
const bytes = [Buffer.alloc(0), Buffer.from([0, 1, 2, 127, 128, 255]), Buffer.from("text"), Buffer.alloc(5000, 7)];
const floats = [0, 0.1, -1.5, 1e300, 5e-324, Number.MAX_SAFE_INTEGER, 123456789.123];
const dates = [new Date(0), new Date("2024-02-29T23:59:59.999Z"), new Date("1969-07-20T20:17:40.123Z")];

const common: readonly ColumnKind[] = [
  { name: "text", column: { type: "text" }, values: texts },
  { name: "varchar", column: { type: "varchar", length: 100 }, values: texts },
  { name: "string_class", column: { type: String }, values: texts },
  { name: "number_class", column: { type: Number }, values: [0, 1, -1, 2147483647] },
  { name: "boolean_class", column: { type: Boolean }, values: [true, false] },
  { name: "boolean", column: { type: "boolean" }, values: [true, false] },
  { name: "smallint", column: { type: "smallint" }, values: [0, -32768, 32767] },
  { name: "bigint", column: { type: "bigint" }, values: ["0", "123", "-9007199254740991"] },
  { name: "decimal", column: { type: "decimal", precision: 20, scale: 10 }, values: ["0", "1234567.125", "-0.5"] },
  { name: "double", column: { type: "double precision" }, values: floats },
  { name: "date", column: { type: "date" }, values: ["2024-02-29", "1900-01-01", "9999-12-31"] },
  { name: "time", column: { type: "time" }, values: ["00:00:00", "23:59:59"] },
  { name: "date_class", column: { type: Date }, values: dates },
  { name: "simple_json", column: { type: "simple-json" }, values: [...json, ...scalarJson] },
  { name: "json", column: { type: "json" }, values: json },
  { name: "simple_array", column: { type: "simple-array" }, values: [[], ["a"], ["a", "b c", ""], ["1", "2"]] },
  {
    name: "simple_enum",
    column: { type: "simple-enum", enum: ["new", "used"] },
    values: ["new", "used"],
  },
  { name: "simple_enum_numbers", column: { type: "simple-enum", enum: [0, 1, 2] }, values: [0, 2] },
  { name: "uuid", column: { type: "uuid" }, values: ["6f9619ff-8b86-4011-b42d-00cf4fc964ff"] },
  { name: "unselected", column: { type: "varchar", select: false }, values: ["secret"] },
  {
    name: "other_name",
    column: { type: "varchar", name: "Column With Spaces_and-Dash" },
    values: ["x"],
  },
  {
    name: "long_name",
    column: { type: "varchar", name: `n${"o".repeat(62)}` },
    values: ["the alias of this column is longer than what the database allows"],
  },
  {
    // TypeORM's own alias of it is replaced by a digest, ours is not.
    name: `of_an_entity_${"with_a_long_name_".repeat(2)}`,
    column: { type: "varchar", name: "and_a_column_with_a_long_name_as_well" },
    values: ["x"],
  },
  {
    name: "transformer",
    // Applied twice it gives something else.
    column: {
      type: "varchar",
      transformer: {
        to: (value: string | null) => (value === null ? null : `<${value}>`),
        from: (value: string | null) => (value === null ? null : value.slice(1, -1)),
      },
    },
    values: ["", "<x>", "y"],
  },
  {
    name: "transformer_of_null",
    column: {
      type: "varchar",
      transformer: {
        to: (value: string) => (value === "none" ? null : value),
        from: (value: string | null) => value ?? "none",
      },
    },
    values: ["none", "some"],
  },
  {
    name: "transformer_to_undefined",
    column: { type: "varchar", transformer: { to: () => "x", from: () => undefined } },
    values: ["anything"],
  },
  {
    name: "transformer_list",
    column: {
      type: "varchar",
      transformer: [
        { to: (value: number | null) => value && value + 1, from: (value: number | null) => value && value - 1 },
        {
          to: (value: number | null) => value && String(value * 2),
          from: (value: string | null) => value && Number(value) / 2,
        },
      ],
    },
    values: [1, 20],
  },
  {
    name: "transformer_to_class",
    column: {
      type: "varchar",
      transformer: {
        to: (money: Money | null) => money?.toString() ?? null,
        from: (text: string | null) => {
          if (text === null) return null;
          const [amount = "", currency = ""] = text.split(" ");
          return new Money(BigInt(amount), currency);
        },
      },
    },
    values: [new Money(0n, "EUR"), new Money(-5n, "USD")],
  },
  {
    name: "transformer_in_place",
    // Changes what it gets: what is stored must not be that object.
    column: {
      type: "json",
      transformer: {
        to: (value: unknown) => value,
        from: (value: number[] | string | null) =>
          (typeof value === "string" ? (JSON.parse(value) as number[]) : value)?.reverse() ?? null,
      },
    },
    values: [[1, 2, 3]],
  },
];

const sqlite: readonly ColumnKind[] = [
  // Of the two drivers only better-sqlite3 knows it.
  ...(typeormLine === "1" ? [{ name: "jsonb", column: { type: "jsonb" as const }, values: json }] : []),
  { name: "integer", column: { type: "integer" }, values: [0, -1, Number.MAX_SAFE_INTEGER] },
  { name: "blob", column: { type: "blob" }, values: bytes },
  { name: "real", column: { type: "real" }, values: [...floats, () => "9e999", () => "-9e999"] },
  { name: "numeric", column: { type: "numeric" }, values: ["1.25", 7, "text as well"] },
  { name: "datetime", column: { type: "datetime" }, values: dates },
];

const postgres: readonly ColumnKind[] = [
  { name: "bytea", column: { type: "bytea" }, values: bytes },
  { name: "real", column: { type: "real" }, values: [0, 0.5, NaN, Infinity, -Infinity, -0] },
  { name: "double_edges", column: { type: "double precision" }, values: [NaN, Infinity, -Infinity, -0] },
  { name: "numeric", column: { type: "numeric" }, values: ["NaN", "1e100", "0.1000"] },
  { name: "money", column: { type: "money" }, values: ["$1.50"] },
  { name: "timestamp", column: { type: "timestamp" }, values: dates },
  { name: "timestamp_3", column: { type: "timestamp", precision: 3 }, values: dates },
  { name: "timestamp_0", column: { type: "timestamp", precision: 0 }, values: dates },
  { name: "timestamptz", column: { type: "timestamptz" }, values: dates },
  { name: "timestamp_raw", column: { type: "timestamp without time zone" }, values: ["2024-01-01 10:00:00.123456"] },
  { name: "timestamp_infinity", column: { type: "timestamptz" }, values: [() => "'infinity'", () => "'-infinity'"] },
  { name: "timetz", column: { type: "time with time zone" }, values: ["10:00:00+02"] },
  { name: "interval", column: { type: "interval" }, values: ["1 day 02:00:00"], unencodable: true },
  { name: "jsonb", column: { type: "jsonb" }, values: json },
  { name: "enum", column: { type: "enum", enum: ["new", "used"] }, values: ["new"] },
  { name: "enum_array", column: { type: "enum", enum: ["new", "used"], array: true }, values: [["new", "used"], []] },
  {
    name: "int_array",
    column: { type: "int", array: true },
    values: [
      [],
      [1, -2],
      [
        [1, 2],
        [3, 4],
      ],
    ],
  },
  { name: "bigint_array", column: { type: "bigint", array: true }, values: [["9007199254740993"]] },
  {
    name: "text_array",
    column: { type: "text", array: true },
    values: [
      ["a", "", "NULL", "b,c", '"q"'],
      [null, "x"],
    ],
  },
  { name: "uuid_array", column: { type: "uuid", array: true }, values: [["6f9619ff-8b86-4011-b42d-00cf4fc964ff"]] },
  { name: "timestamptz_array", column: { type: "timestamptz", array: true }, values: [dates, []] },
  { name: "bytea_array", column: { type: "bytea", array: true }, values: [() => "ARRAY['\\x00ff'::bytea]"] },
  { name: "float_array", column: { type: "double precision", array: true }, values: [[0.5, NaN, -0, Infinity]] },
  { name: "jsonb_array", column: { type: "jsonb", array: true }, values: [() => "ARRAY['{\"a\":[1]}'::jsonb]"] },
  { name: "point", column: { type: "point" }, values: ["(1,2.5)"] },
  { name: "circle", column: { type: "circle" }, values: ["<(1,2),3>"] },
  { name: "inet", column: { type: "inet" }, values: ["192.168.0.1/24"] },
  { name: "int4range", column: { type: "int4range" }, values: ["[1,5)"] },
  { name: "bit", column: { type: "bit", length: "3" }, values: ["101"] },
  { name: "xml", column: { type: "xml" }, values: ["<a>b</a>"] },
  { name: "tsvector", column: { type: "tsvector" }, values: ["'a' 'b'"] },
  { name: "char", column: { type: "char", length: 5 }, values: ["ab"] },
  {
    name: "json_scalars",
    column: { type: "jsonb" },
    values: [() => "'5'", () => "'\"text\"'", () => "'true'", () => "'null'"],
  },
];

const mariadb: readonly ColumnKind[] = [
  { name: "tinyint", column: { type: "tinyint" }, values: [0, 1, 127] },
  { name: "tinyint_unsigned", column: { type: "tinyint", unsigned: true }, values: [0, 1, 255] },
  { name: "bigint_unsigned", column: { type: "bigint", unsigned: true }, values: ["18446744073709551615", "5"] },
  { name: "float", column: { type: "float" }, values: [0, 0.5, -1.25] },
  { name: "bit", column: { type: "bit" }, values: [() => "b'1'"] },
  { name: "year", column: { type: "year" }, values: [1999, 2024] },
  { name: "char", column: { type: "char", length: 5 }, values: ["ab"] },
  { name: "binary", column: { type: "binary", length: 4 }, values: [Buffer.from([1, 0, 255, 0])] },
  { name: "varbinary", column: { type: "varbinary", length: 50 }, values: [Buffer.from([1, 0, 255]), Buffer.alloc(0)] },
  { name: "blob", column: { type: "longblob" }, values: bytes },
  { name: "datetime_6", column: { type: "datetime", precision: 6 }, values: dates },
  { name: "datetime_0", column: { type: "datetime", precision: 0 }, values: dates },
  { name: "timestamp", column: { type: "timestamp", precision: 3 }, values: [new Date("2024-02-29T23:59:59.999Z")] },
  { name: "time_3", column: { type: "time", precision: 3 }, values: ["10:00:00.123", "-12:00:00"] },
  { name: "enum", column: { type: "enum", enum: ["new", "used"] }, values: ["new"] },
  { name: "enum_numbers", column: { type: "enum", enum: [1, 2] }, values: [1] },
  { name: "set", column: { type: "set", enum: ["a", "b", "c"] }, values: [["a", "c"], []] },
  { name: "point", column: { type: "point" }, values: ["POINT(1 2)"] },
  { name: "longtext", column: { type: "longtext" }, values: ["x".repeat(70_000)] },
];

/** Every kind of column that is tested on a database; each is nullable and gets a null besides its values. */
export function columnKinds({ name }: TestDatabase): readonly ColumnKind[] {
  return [...common, ...{ sqlite, postgres, mariadb }[name]].filter(
    ({ column }) => name === "postgres" || column.array !== true,
  );
}

/** An entity of one kind; its class is its own, so that a wrong class cannot hide. */
export function kindSchema({ name, column }: ColumnKind): EntitySchema<Sample> {
  const className = `Kind_${name}`;
  return new EntitySchema<Sample>({
    name: className,
    target: { [className]: class extends Sample {} }[className]!,
    tableName: `kind_${name}`,
    columns: { id: { type: Number, primary: true, generated: true }, value: { nullable: true, ...column } },
  });
}
