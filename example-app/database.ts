import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { DataSource, type DataSourceOptions, type Logger } from "typeorm";
import { CacheError } from "typeorm-coherent";
import { Category } from "./entities/category";
import { Customer } from "./entities/customer";
import { Order } from "./entities/order";
import { OrderLine } from "./entities/order-line";
import { Product } from "./entities/product";
import { UsageError } from "./flags";

// Read as a file: the exports of TypeORM do not let one require its package.json.
const manifest = join(dirname(require.resolve("typeorm")), "package.json");
const { version } = JSON.parse(readFileSync(manifest, "utf8")) as { version: string };
const driver = version.startsWith("0.3.") ? "sqlite" : "better-sqlite3";

/** For the report: what runs here. */
export const typeorm = `TypeORM ${version} with ${driver === "sqlite" ? "sqlite3" : driver}`;

/** The data source of the shop, not initialised yet. */
export function createDataSource(file: string | undefined, logger: Logger): DataSource {
  const entities = [Category, Product, Customer, Order, OrderLine];
  // The type "sqlite" exists in TypeORM 0.3 only, so no type of TypeORM fits both lines.
  return new DataSource({ type: driver, database: file ?? ":memory:", entities, logger } as DataSourceOptions);
}

/**
 * Opens the database and makes its tables, unless it is somebody else's: synchronising would change their tables.
 *
 * @throws UsageError if the file cannot be opened, or holds other tables
 */
export async function openDatabase(dataSource: DataSource, file: string | undefined): Promise<void> {
  let tables: { name: string }[];
  try {
    await dataSource.initialize();
    tables = await dataSource.query<{ name: string }[]>("SELECT name FROM sqlite_master WHERE type = 'table'");
  } catch (error) {
    // A file that is no database opens, and fails at the first statement; in memory there is nothing that can fail.
    if (file === undefined || error instanceof CacheError) throw error;
    throw new UsageError(`--database ${file} cannot be used: ${(error as Error).message}.`);
  }
  const ours = new Set(dataSource.entityMetadatas.map(({ tableName }) => tableName));
  const foreign = tables
    .map(({ name }) => name)
    .filter((name) => !ours.has(name) && !/^(?:sqlite_|coherent_changes$)/.test(name));
  if (foreign.length > 0) {
    throw new UsageError(
      `--database ${file} holds other tables (${foreign.join(", ")}); name a new file for the shop.`,
    );
  }
  await dataSource.synchronize();
}
