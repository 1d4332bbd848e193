import type { DataSource, EntityMetadata, QueryRunner } from "typeorm";
import type { TestDatabase } from "../databases";
import { NEXT_ID, type Shape } from "./shape";

type Row = Record<string, unknown>;

/** All that a read of a shape's tables can depend on, and the ids that come next. */
export interface State {
  /** Rows as texts, by their tables. */
  readonly tables: Readonly<Record<string, readonly string[]>>;
  /** The same as one text. */
  readonly rows: string;
  readonly counters: Readonly<Record<string, unknown>>;
}

/** A row that is not as it was, by its primary key; of a table that no entity of the shape has, the table alone. */
export type Difference =
  { readonly entity: EntityMetadata["target"]; readonly id: Readonly<Row> } | { readonly table: string };

/** The tables of one shape, which can be put back to how they were. */
export class ShapeTables {
  /** Those that refer to others come before these. */
  private readonly names: readonly string[];
  private readonly entities: ReadonlyMap<string, EntityMetadata>;
  /** Tables whose ids the database gives, with the column. */
  private readonly counted: readonly (readonly [table: string, column: string])[];
  private remembered: State | undefined;

  constructor(
    private readonly database: TestDatabase["name"],
    private readonly dataSource: DataSource,
    shape: Shape,
  ) {
    const entities = shape.entities.map((entity) => dataSource.getMetadata(entity));
    this.names = [...new Set([...entities.flatMap(behind), ...entities].map(({ tableName }) => tableName))];
    // Of several classes of one table the parent comes last.
    this.entities = new Map(entities.map((entity) => [entity.tableName, entity]));
    const counted = entities.flatMap(({ tableName, generatedColumns }) =>
      generatedColumns
        .filter(({ generationStrategy }) => generationStrategy === "increment")
        .map(({ databaseName }) => [tableName, databaseName] as const),
    );
    this.counted = [...new Map(counted)];
  }

  /** As it was when it was remembered. */
  get seeded(): State {
    if (this.remembered === undefined) throw new Error("Nothing is remembered yet.");
    return this.remembered;
  }

  /** Remembers the rows that are there now. */
  async remember(): Promise<void> {
    for (const name of this.names) await this.dataSource.query(`CREATE TABLE seed_${name} AS SELECT * FROM ${name}`);
    for (const [table] of this.counted) await this.dataSource.query(this.counterStatement(table));
    this.remembered = await this.state();
  }

  /**
   * Puts the remembered rows back, unseen by the cache.
   *
   * @returns what was not as it was, for the cache to be told
   */
  async reset(now: State): Promise<Difference[]> {
    const counters = this.counted
      .filter(([table]) => text(now.counters[table]) !== text(this.seeded.counters[table]))
      .map(([table]) => this.counterStatement(table));
    const changed = this.names.filter((name) => text(now.tables[name]) !== text(this.seeded.tables[name]));
    if (changed.length === 0 && counters.length === 0) return [];
    // MariaDB looks at each row by itself, and rows of one table refer to each other. Without that nothing cascades either.
    const names = this.database === "mariadb" ? changed : this.names;
    const checks = (on: number) => (this.database === "mariadb" ? [`SET foreign_key_checks = ${on}`] : []);
    const rows = [
      ...names.map((name) => `DELETE FROM ${name}`),
      ...names.toReversed().map((name) => `INSERT INTO ${name} SELECT * FROM seed_${name}`),
    ];
    const statements =
      this.database === "postgres"
        ? [[...rows, ...counters].join("; ")]
        : [...checks(0), "BEGIN", ...rows, "COMMIT", ...checks(1), ...counters];
    const runner = this.dataSource.createQueryRunner();
    try {
      for (const statement of statements) await behindTheCache(runner, statement);
    } finally {
      await runner.release();
    }
    return this.differences(now);
  }

  async state(): Promise<State> {
    const [rows, counters] = this.database === "postgres" ? await this.askPostgres() : await this.ask();
    const tables = Object.fromEntries(this.names.map((name, at) => [name, rows[at]!.map(text)]));
    return { tables, rows: text(tables), counters };
  }

  private differences(now: State): Difference[] {
    return this.names.flatMap((name): Difference[] => {
      const [before, after] = [new Set(this.seeded.tables[name]), new Set(now.tables[name])];
      const changed = [...before].filter((row) => !after.has(row)).concat([...after].filter((row) => !before.has(row)));
      const entity = this.entities.get(name);
      if (changed.length === 0) return [];
      if (entity === undefined) return [{ table: name }];
      const ids = changed.map((row) => {
        const values = JSON.parse(row.slice(row.indexOf("{"))) as Row;
        return entity.primaryColumns.map(({ propertyName, databaseName }) => [propertyName, values[databaseName]]);
      });
      return ids.map((id) => ({ entity: entity.target, id: Object.fromEntries(id) as Row }));
    });
  }

  private async ask(): Promise<[Row[][], Row]> {
    const rows: Row[][] = [];
    for (const name of this.names) {
      const found: Row[] = await this.dataSource.query(`SELECT * FROM ${name}`);
      rows.push(found.sort((left, right) => (text(left) < text(right) ? -1 : 1)));
    }
    const quoted = this.counted.map(([table]) => `'${table}'`).join(", ");
    if (quoted === "") return [rows, {}];
    const counters: Row[] = await this.dataSource.query(
      this.database === "sqlite"
        ? `SELECT name, seq AS value FROM sqlite_sequence WHERE name IN (${quoted})`
        : `SELECT table_name AS name, auto_increment AS value FROM information_schema.tables
           WHERE table_schema = DATABASE() AND table_name IN (${quoted})`,
    );
    return [rows, Object.fromEntries(counters.map(({ name, value }) => [name, value])) as Row];
  }

  /** All in one round trip. */
  private async askPostgres(): Promise<[Row[][], Row]> {
    const rows = this.names.map((name) => `(SELECT json_agg(one ORDER BY one) FROM ${name} one)`);
    const counters = this.counted.map(([table, column]) => `(SELECT last_value FROM ${table}_${column}_seq)`);
    const parts = [...rows, ...counters].map((part, at) => `${part} AS part${at}`);
    const [found = {}] = await this.dataSource.query<Row[]>(`SELECT ${parts.join(", ")}`);
    const values = Object.values(found);
    const next = this.counted.map(([table], at) => [table, values[rows.length + at]]);
    return [values.slice(0, rows.length).map((one) => (one ?? []) as Row[]), Object.fromEntries(next) as Row];
  }

  private counterStatement(table: string): string {
    const column = this.counted.find(([name]) => name === table)?.[1];
    if (this.database === "postgres") return `SELECT setval('${table}_${column}_seq', ${NEXT_ID - 1})`;
    if (this.database === "mariadb") return `ALTER TABLE ${table} AUTO_INCREMENT = ${NEXT_ID}`;
    return `UPDATE sqlite_sequence SET seq = ${NEXT_ID - 1} WHERE name = '${table}'`;
  }
}

/** The cache has put its own function in front of this one. */
function behindTheCache(runner: QueryRunner, sql: string): Promise<unknown> {
  const { query } = Object.getPrototypeOf(runner) as Pick<QueryRunner, "query">;
  return query.call(runner, sql);
}

/** The tables that TypeORM keeps beside that of an entity. */
function behind({ manyToManyRelations, closureJunctionTable }: EntityMetadata): EntityMetadata[] {
  const junctions = manyToManyRelations.flatMap(({ junctionEntityMetadata }) => junctionEntityMetadata ?? []);
  // TypeORM's types hide that only closure tables have it.
  const closure = closureJunctionTable as EntityMetadata | undefined;
  return closure === undefined ? junctions : [...junctions, closure];
}

/** A value as a text, the classes of rows included. */
export function text(value: unknown): string {
  const classes = (Array.isArray(value) ? value : [value]).map((row: unknown) =>
    typeof row === "object" && row !== null ? row.constructor.name : "",
  );
  return `${classes.join()} ${JSON.stringify(value)}`;
}
