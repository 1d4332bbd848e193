import type { DataSource, EntityMetadata } from "typeorm";
import type { TestDatabase } from "../databases";
import { NEXT_ID, type Shape } from "./shape";

/** All that a read of a shape's tables can depend on, and the ids that come next. */
export interface State {
  readonly rows: string;
  readonly counters: string;
}

/** The tables of one shape, which can be put back to how they were. */
export class ShapeTables {
  /** Those that refer to others come before these. */
  private readonly names: readonly string[];
  /** Tables whose ids the database gives, with the column. */
  private readonly counted: readonly (readonly [table: string, column: string])[];
  private seeded: State = { rows: "", counters: "" };

  constructor(
    private readonly database: TestDatabase["name"],
    private readonly dataSource: DataSource,
    shape: Shape,
  ) {
    const entities = shape.entities.map((entity) => dataSource.getMetadata(entity));
    this.names = [...new Set([...entities.flatMap(behind), ...entities].map(({ tableName }) => tableName))];
    const counted = entities.flatMap(({ tableName, generatedColumns }) =>
      generatedColumns
        .filter(({ generationStrategy }) => generationStrategy === "increment")
        .map(({ databaseName }) => [tableName, databaseName] as const),
    );
    this.counted = [...new Map(counted)];
  }

  /** Remembers the rows that are there now. */
  async remember(): Promise<void> {
    for (const name of this.names) await this.dataSource.query(`CREATE TABLE seed_${name} AS SELECT * FROM ${name}`);
    for (const statement of this.counterStatements()) await this.dataSource.query(statement);
    this.seeded = await this.state();
  }

  /** Puts the remembered rows back, if there are others now. */
  async reset(now: State): Promise<State> {
    await this.putBack(now);
    return this.seeded;
  }

  private async putBack(now: State): Promise<void> {
    const isCounted = now.counters !== this.seeded.counters;
    if (now.rows === this.seeded.rows && !isCounted) return;
    const rows = [
      ...this.names.map((name) => `DELETE FROM ${name}`),
      ...this.names.toReversed().map((name) => `INSERT INTO ${name} SELECT * FROM seed_${name}`),
    ];
    const counters = isCounted ? this.counterStatements() : [];
    if (this.database === "postgres") {
      await this.dataSource.query([...rows, ...counters].join("; "));
      return;
    }
    // MariaDB looks at each row by itself, and rows of one table refer to each other.
    const checks = (on: number) => (this.database === "mariadb" ? [`SET foreign_key_checks = ${on}`] : []);
    const runner = this.dataSource.createQueryRunner();
    try {
      for (const statement of [...checks(0), "BEGIN", ...rows, "COMMIT", ...checks(1), ...counters]) {
        await runner.query(statement);
      }
    } finally {
      await runner.release();
    }
  }

  async state(): Promise<State> {
    if (this.database === "postgres") return this.stateOfPostgres();
    const rows: unknown[] = [];
    for (const name of this.names) rows.push((await this.query(`SELECT * FROM ${name}`)).map(text).sort());
    const quoted = this.counted.map(([table]) => `'${table}'`).join(", ");
    const counters =
      quoted === ""
        ? []
        : this.database === "sqlite"
          ? await this.query(`SELECT * FROM sqlite_sequence WHERE name IN (${quoted})`)
          : await this.query(
              `SELECT table_name, auto_increment FROM information_schema.tables
               WHERE table_schema = DATABASE() AND table_name IN (${quoted})`,
            );
    return { rows: text(rows), counters: text(counters.map(text).sort()) };
  }

  private async stateOfPostgres(): Promise<State> {
    const rows = this.names.map((name) => `(SELECT json_agg(one ORDER BY one) FROM ${name} one)`);
    const counters = this.counted.map(([table, column]) => `(SELECT last_value FROM ${table}_${column}_seq)`);
    const parts = [...rows, ...counters].map((part, at) => `${part}::text AS part${at}`);
    const [found = {}] = await this.query(`SELECT ${parts.join(", ")}`);
    const values = Object.values(found);
    return { rows: text(values.slice(0, rows.length)), counters: text(values.slice(rows.length)) };
  }

  private counterStatements(): string[] {
    return this.counted.map(([table, column]) => {
      if (this.database === "postgres") return `SELECT setval('${table}_${column}_seq', ${NEXT_ID - 1})`;
      if (this.database === "mariadb") return `ALTER TABLE ${table} AUTO_INCREMENT = ${NEXT_ID}`;
      return `UPDATE sqlite_sequence SET seq = ${NEXT_ID - 1} WHERE name = '${table}'`;
    });
  }

  private query(sql: string): Promise<Record<string, unknown>[]> {
    return this.dataSource.query(sql);
  }
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
