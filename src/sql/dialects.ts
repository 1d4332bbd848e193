import type { Dialect } from "./tokenizer";

/** The drivers that are supported, by TypeORM's names, and the SQL that they speak. */
export const DIALECTS: Readonly<Record<string, Dialect>> = {
  "better-sqlite3": "sqlite",
  sqlite: "sqlite",
  postgres: "postgres",
  mysql: "mysql",
  mariadb: "mysql",
};
