import { DataSource, EntitySchema, type EntitySchemaColumnOptions } from "typeorm";
import { resolveSchema, type Schema, type TableModel } from "../../../src/metadata/schema";
import type { CacheOptions } from "../../../src/options";
import { SqlAnalyzer } from "../../../src/sql/statement";
import { ChangeSet } from "../../../src/write/change-set";

const text: EntitySchemaColumnOptions = { type: "varchar" };
const integer: EntitySchemaColumnOptions = { type: "int", nullable: true };
const id: EntitySchemaColumnOptions = { type: "int", primary: true };

/** Has two declared keys, one of them unique. */
export const Product = new EntitySchema({
  name: "Product",
  tableName: "product",
  columns: { id: { ...id, generated: true }, code: { ...text, unique: true }, shop: integer, price: integer },
});
/** Has no key but its primary one, which is a text. */
export const Word = new EntitySchema({
  name: "Word",
  tableName: "word",
  columns: { text: { ...text, primary: true }, n: integer },
});
export const Pair = new EntitySchema({
  name: "Pair",
  tableName: "pair",
  columns: { a: id, b: { ...text, primary: true }, n: integer },
});
/** One of its declared keys is made by the database. */
export const Person = new EntitySchema({
  name: "Person",
  tableName: "person",
  columns: {
    id,
    name: text,
    folded: { ...text, asExpression: "lower(name)", generatedType: "STORED", insert: false, update: false },
  },
});
/** Not cached. */
export const Audit = new EntitySchema({ name: "Audit", tableName: "audit", columns: { id, note: text } });

export const SHOP = [Product, Word, Pair, Person, Audit];

export const KEYS: CacheOptions = {
  entities: {
    Product: { keys: ["code", "shop"] },
    Word: {},
    Pair: {},
    Person: { keys: ["folded"] },
  },
};

/** A data source in memory, and what the library makes of its entities. */
export async function openSchema(
  entities: readonly EntitySchema[] = SHOP,
  options: CacheOptions = KEYS,
): Promise<{ readonly dataSource: DataSource; readonly schema: Schema }> {
  const dataSource = new DataSource({
    type: "better-sqlite3",
    database: ":memory:",
    entities: [...entities],
    synchronize: true,
  });
  await dataSource.initialize();
  return { dataSource, schema: resolveSchema(dataSource, options) };
}

export function tableOf(schema: Schema, name: string): TableModel {
  return schema.tablesNamed(name)[0]!;
}

/** The changes that a text makes, as a text: "product: *, id=1; word: all". */
export function changesOf(schema: Schema, sql: string, parameters: readonly unknown[] = []): ChangeSet {
  const changes = new ChangeSet(schema);
  for (const statement of new SqlAnalyzer("sqlite").analyze(sql).statements)
    changes.addStatement(statement, parameters);
  return changes;
}

const MARK = { "as before": "", again: "?", anew: "!" };

/**
 * The tags of changes by table, without its name; "all" for the epoch, with the columns that are searched by; rows that lookups
 * find anew with a "!", restored ones with a "?".
 */
export function short(changes: ChangeSet): string {
  return [...changes.tables.values()]
    .map((table) => {
      const tags = table.tags().map((tag) => {
        const rest = tag.slice(tag.indexOf("|") + 1);
        const searched = table.searches.flatMap(({ conditions }) => conditions.map(({ columns }) => columns.join("+")));
        const all = ["all", ...new Set(searched)].join(" by ");
        return rest === "" ? all : `${rest}${MARK[table.rows.get(tag)?.findable ?? "as before"]}`;
      });
      return `${table.table.group}: ${tags.join(" ") || "nothing"}`;
    })
    .sort()
    .join("; ");
}
