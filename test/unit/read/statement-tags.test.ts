import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { DataSource, EntitySchema } from "typeorm";
import { resolveSchema, type Schema } from "../../../src/metadata/schema";
import { statementTags } from "../../../src/read/statement-tags";
import { selectText } from "../../../src/sql/select-text";

const id = { type: "int", primary: true } as const;
const integer = { type: "int", nullable: true } as const;
const City = new EntitySchema({ name: "City", tableName: "city", columns: { id, size: { type: "int" } } });
const Shop = new EntitySchema<{ id: number; chain: number; size: number; city: unknown; town: unknown }>({
  name: "Shop",
  tableName: "shop",
  columns: { id, chain: integer, size: integer },
  relations: {
    city: { type: "many-to-one", target: "City", nullable: true },
    town: { type: "many-to-one", target: "City", nullable: false },
  },
});
const Ware = new EntitySchema<{ id: number; shop: unknown; kind: number; price: number }>({
  name: "Ware",
  tableName: "ware",
  columns: { id, kind: integer, price: integer },
  relations: { shop: { type: "many-to-one", target: "Shop", nullable: true } },
});
const Lonely = new EntitySchema({ name: "Lonely", tableName: "lonely", columns: { id } });

let dataSource: DataSource;
let schema: Schema;
beforeAll(async () => {
  dataSource = await new DataSource({
    type: "better-sqlite3",
    database: ":memory:",
    entities: [City, Shop, Ware, Lonely],
    synchronize: true,
  }).initialize();
  schema = resolveSchema(dataSource, {
    entities: { Shop: { keys: ["chain", ["chain", "size"]] }, Ware: { keys: ["shop"] } },
  });
});
afterAll(() => dataSource.destroy());

/** The tags that a statement names, without the epochs; after an arrow those that these rows reveal. */
function tagsOf(
  sql: string,
  parameters: readonly unknown[] = [],
  rows: readonly Record<string, unknown>[] = [],
): string {
  const found = statementTags(schema, selectText(sql, "sqlite"), parameters);
  if (found === undefined) return "not followed";
  const named = found.tags.filter((tag) => !tag.endsWith("|"));
  const revealed = found.reveal(rows);
  expect([...new Set(revealed.map((tag) => tag.split("|")[0]))].every((one) => found.revealing.includes(one!))).toBe(
    true,
  );
  const members = found.members.map(({ table, key }) => `members of ${table.group} by ${key.id}`);
  return [
    named.join(" "),
    ...(revealed.length > 0 || (rows.length > 0 && found.members.length === 0 && found.revealing.length > 0)
      ? [`-> ${revealed.join(" ")}`]
      : []),
    ...(members.length === 0 ? [] : [`(${members.join(", ")})`]),
  ]
    .join(" ")
    .trim();
}

const BY_CHAIN = "shop|chain=7 (members of shop by chain)";
const SHOP = '"s"."id" AS "s_id", "s"."chain" AS "s_chain", "s"."cityId" AS "s_cityId", "s"."townId" AS "s_townId"';
const WARE = '"w"."id" AS "w_id", "w"."shopId" AS "w_shopId"';
const CITY = '"c"."id" AS "c_id"';

describe("on what a statement depends", () => {
  const shops = [
    { s_id: 1, s_chain: 7, s_cityId: 3, s_townId: 4, w_id: 11, w_shopId: 1, c_id: 3 },
    { s_id: 2, s_chain: 7, s_cityId: null, s_townId: 4, w_id: null, w_shopId: null, c_id: null },
  ];
  const cases: readonly (readonly [sql: string, expected: string, parameters?: readonly unknown[]])[] = [
    // Rows by primary key, whatever else is asked of them.
    [`SELECT ${SHOP} FROM "shop" "s" WHERE "s"."id" = 5`, "shop|id=5"],
    [`SELECT ${SHOP} FROM "shop" "s" WHERE "s"."id" IN (?, ?) AND "s"."size" > 3`, "shop|id=1 shop|id=2", [1, "2"]],
    [
      `SELECT COUNT(*) AS "cnt" FROM "shop" "s" WHERE ("s"."id" = ? OR "s"."id" = ?) LIMIT 1`,
      "shop|id=1 shop|id=2",
      [1, 2],
    ],
    [`SELECT ${SHOP} FROM "shop" "s" WHERE "s"."id" = ?`, "shop|*", ["1.0"]],
    [`SELECT ${SHOP} FROM "shop" "s" WHERE "s"."id" = ?`, "", [null]],
    // All rows with a value of a declared key.
    [`SELECT ${SHOP} FROM "shop" "s" WHERE "s"."chain" = 7`, "shop|chain=7 -> shop|id=1 shop|id=2"],
    [`SELECT ${SHOP} FROM "shop" "s" WHERE "s"."chain" IN (7, 8)`, "shop|chain=7 shop|chain=8 -> shop|id=1 shop|id=2"],
    [`SELECT ${SHOP} FROM "shop" "s" WHERE "s"."chain" = 7 AND "s"."size" = 1`, "shop|chain=7 -> shop|id=1 shop|id=2"],
    [`SELECT ${SHOP} FROM "shop" "s" WHERE "s"."chain" = 7 ORDER BY "s"."size"`, "shop|chain=7 -> shop|id=1 shop|id=2"],
    // Rows that are not shown count as well: all of them are looked up.
    [`SELECT ${SHOP} FROM "shop" "s" WHERE "s"."chain" = 7 LIMIT 1`, BY_CHAIN],
    [`SELECT ${SHOP} FROM "shop" "s" WHERE "s"."chain" = 7 AND "s"."size" > 1`, BY_CHAIN],
    [`SELECT ${SHOP} FROM "shop" "s" WHERE "s"."chain" = 7 AND "s"."cityId" = 1`, BY_CHAIN],
    [`SELECT "s"."chain" AS "s_chain" FROM "shop" "s" WHERE "s"."chain" = 7`, BY_CHAIN],
    [`SELECT COUNT(*) AS "cnt" FROM "shop" "s" WHERE "s"."chain" = 7`, BY_CHAIN],
    [`SELECT ${SHOP} FROM "shop" "s"`, "shop|*"],
    // What is joined, by the values of the rows that it is joined to.
    [`SELECT ${SHOP}, ${CITY} FROM "shop" "s" LEFT JOIN "city" "c" ON "c"."id" = "s"."cityId"`, "shop|* -> city|id=3"],
    [
      `SELECT ${SHOP}, ${CITY} FROM "shop" "s" LEFT JOIN "city" "c" ON "c"."id" = "s"."cityId" WHERE "s"."id" = 1`,
      "shop|id=1 -> city|id=3",
    ],
    [
      `SELECT ${SHOP}, ${CITY} FROM "shop" "s" LEFT JOIN "city" "c" ON "c"."id" = "s"."cityId" LIMIT 1`,
      "shop|* -> city|id=3",
    ],
    [
      `SELECT ${SHOP}, ${CITY} FROM "shop" "s" INNER JOIN "city" "c" ON "c"."id" = "s"."townId" WHERE "s"."chain" = 7`,
      "shop|chain=7 -> shop|id=1 shop|id=2 city|id=4",
    ],
    [
      `SELECT ${SHOP}, ${CITY} FROM "shop" "s" INNER JOIN "city" "c" ON "c"."id" = "s"."cityId" WHERE "s"."chain" = 7`,
      "shop|chain=7 city|* (members of shop by chain)",
    ],
    [
      `SELECT ${SHOP}, ${CITY} FROM "shop" "s" LEFT JOIN "city" "c" ON "c"."id" = "s"."cityId" WHERE "c"."size" = 1`,
      "shop|* city|*",
    ],
    [
      `SELECT ${SHOP}, ${CITY} FROM "shop" "s" LEFT JOIN "city" "c" ON "c"."id" = "s"."cityId" WHERE "size" = 1`,
      "shop|* city|*",
    ],
    [
      `SELECT ${SHOP}, ${CITY} FROM "shop" "s" LEFT JOIN "city" "c" ON "c"."id" = "s"."cityId" ORDER BY "c"."size" LIMIT 1`,
      "shop|* city|*",
    ],
    [
      `SELECT ${SHOP}, ${WARE} FROM "shop" "s" LEFT JOIN "ware" "w" ON "w"."shopId" = "s"."id"`,
      "shop|* -> ware|shopId=1 ware|shopId=2 ware|id=11",
    ],
    [
      `SELECT ${SHOP}, ${WARE} FROM "shop" "s" LEFT JOIN "ware" "w" ON "w"."shopId" = "s"."id" AND "w"."price" = 1`,
      "shop|* ware|*",
    ],
    [`SELECT ${SHOP} FROM "shop" "s" LEFT JOIN "ware" "w" ON "w"."shopId" = "s"."id"`, "shop|* ware|*"],
    [`SELECT ${SHOP}, ${CITY} FROM "shop" "s" RIGHT JOIN "city" "c" ON "c"."id" = "s"."cityId"`, "shop|* city|*"],
    // What WHERE says of one side of a join holds for the other, unless the join is a matter of taste.
    [
      `SELECT "w"."price" AS "p" FROM "ware" "w" LEFT JOIN "shop" "s" ON "s"."id" = "w"."shopId" WHERE "s"."id" = 5`,
      "ware|shopId=5 shop|id=5 (members of ware by shopId)",
    ],
    [
      `SELECT ${WARE} FROM "ware" "w" LEFT JOIN "shop" "s" ON "s"."id" = "w"."id" WHERE "s"."id" = 5`,
      "ware|id=5 shop|id=5",
    ],
    [
      `SELECT ${WARE} FROM "ware" "w" LEFT JOIN "shop" "s" ON "s"."id" = "w"."kind" AND "s"."id" = "w"."id" WHERE "w"."kind" = 5`,
      "ware|* shop|id=5",
    ],
    [
      `SELECT ${WARE} FROM "ware" "w" INNER JOIN "shop" "s" ON "s"."id" = "w"."kind" AND "s"."id" = "w"."id" WHERE "w"."kind" = 5`,
      "ware|id=5 shop|id=5",
    ],
    // The ids of a page, as TypeORM asks for them.
    ...(
      [
        ['LEFT JOIN "city" "c" ON "c"."id" = "s"."cityId" WHERE "s"."id" = 5', "", "shop|id=5"],
        ['INNER JOIN "city" "c" ON "c"."id" = "s"."townId"', "", "shop|*"],
        ['LEFT JOIN "ware" "w" ON "w"."shopId" = "s"."id" WHERE "s"."id" = 5', "", "shop|id=5"],
        ['LEFT JOIN "city" "c" ON "c"."id" = "s"."cityId" WHERE "s"."id" = 5', '"d"."c_id" DESC, ', "shop|id=5 city|*"],
        ['INNER JOIN "city" "c" ON "c"."id" = "s"."cityId" WHERE "s"."id" = 5', "", "shop|id=5 city|*"],
        [
          'LEFT JOIN "city" "c" ON "c"."id" = "s"."cityId" WHERE "s"."id" = 5 AND "c"."size" > 1',
          "",
          "shop|id=5 city|*",
        ],
      ] as const
    ).map(([from, order, expected]): [string, string] => [
      `SELECT DISTINCT "d"."s_id" AS "ids_s_id"${order === "" ? "" : ', "d"."c_id"'} FROM (SELECT ${SHOP}, ${CITY} FROM "shop" "s" ${from}) "d" ORDER BY ${order}"s_id" ASC LIMIT 2`,
      expected,
    ]),
    // The same table twice, and tables that nobody follows.
    [`SELECT ${SHOP} FROM "shop" "s" LEFT JOIN "shop" "o" ON "o"."id" = "s"."id" WHERE "s"."id" = 1`, "shop|*"],
    [`SELECT ${SHOP} FROM "shop" "s" WHERE "s"."id" = 1 AND EXISTS (SELECT 1 FROM "ware" "w")`, "shop|id=1 ware|*"],
    [`SELECT ${SHOP} FROM "shop" "s", "lonely" "l"`, "not followed"],
    [`SELECT ${SHOP} FROM "shop" "s" LEFT JOIN "elsewhere" "e" ON 1 = 1`, "not followed"],
    ["SELECT 1", "not followed"],
  ];
  for (const [sql, expected, parameters] of cases) {
    it(`${sql}: ${expected}`, () => expect(tagsOf(sql, parameters, shops)).toBe(expected));
  }

  it("of many rows, on the table instead", () => {
    const many = Array.from({ length: 101 }, (_, at) => ({ s_id: at, s_cityId: at }));
    const joined = `SELECT ${SHOP}, ${CITY} FROM "shop" "s" LEFT JOIN "city" "c" ON "c"."id" = "s"."cityId"`;
    expect(tagsOf(joined, [], many)).toBe("shop|* -> city|*");
    const ids = Array.from({ length: 101 }, (_, at) => at).join(", ");
    expect(tagsOf(`SELECT ${SHOP} FROM "shop" "s" WHERE "s"."id" IN (${ids})`)).toBe("shop|*");
    // A driver that cuts long names, or gives a value that is not understood.
    expect(tagsOf(joined, [], [{}])).toBe("shop|* -> city|*");
  });
});
