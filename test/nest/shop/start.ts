import type { INestApplication, LoggerService, ModuleMetadata } from "@nestjs/common";
import { Test } from "@nestjs/testing";
import { TypeOrmModule } from "@nestjs/typeorm";
import type { DataSourceOptions } from "typeorm";
import { databases, type TestDatabase } from "../../support/databases";
import { AuditEntry, Product } from "./entities";
import { ShopModule } from "./shop-module";

export type Imports = NonNullable<ModuleMetadata["imports"]>;

/** SQLite alone: the other databases add nothing to what Nest has a part in. */
export function sqlite(): TestDatabase {
  return databases().find(({ name }) => name === "sqlite")!;
}

/** A name that only the module knows: @nestjs/typeorm takes it from the options, where TypeORM 1.x has none. */
export function named(options: DataSourceOptions, name: string): DataSourceOptions {
  return { ...options, name } as object as DataSourceOptions;
}

const nothing = () => undefined;
const silent: LoggerService = { log: nothing, warn: nothing, error: nothing };

/** Starts an app, which answers at its server. Messages of Nest are not printed. */
export async function start(imports: Imports): Promise<INestApplication> {
  const testing = await Test.createTestingModule({ imports }).setLogger(silent).compile();
  const app = testing.createNestApplication();
  await app.init();
  return app;
}

/** Both databases of the shop, in memory, and what the test says about their caches. */
export async function shop(caches: Imports, database = sqlite()): Promise<INestApplication> {
  return start([
    ShopModule.with([
      TypeOrmModule.forRoot(await database.options([Product])),
      TypeOrmModule.forRoot(named(await database.options([AuditEntry]), "audit")),
      ...caches,
    ]),
  ]);
}
