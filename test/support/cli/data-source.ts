// The module that `--dataSource` names in tests of the command line.
import "reflect-metadata";
import { Redis } from "ioredis";
import { DataSource, type DataSourceOptions } from "typeorm";
import { RedisStore, type CacheOptions } from "typeorm-coherent";
import { AuditLog, Product } from "./entities";

/** What a test says of the application, as JSON. */
const { database, redis, ...cache } = JSON.parse(process.env["TEST_APPLICATION"] ?? "{}") as Application;

/** The options of its data source, the URL of its Redis if it has one, and of its cache what is plain data. */
export type Application = { readonly database: DataSourceOptions; readonly redis?: string } & Omit<
  CacheOptions,
  "store"
>;

export const dataSource = new DataSource({ ...database, entities: [Product, AuditLog] });

/** As the application gives it to attachCache(). */
export const cacheOptions = (): CacheOptions => ({
  // A busy machine is not what these tests are about.
  storeTimeout: 900,
  ...cache,
  ...(redis === undefined ? {} : { store: new RedisStore(new Redis(redis)) }),
});
