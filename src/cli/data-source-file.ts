import { createRequire } from "node:module";
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { DataSource, Logger } from "typeorm";
import { messageOf } from "../core/message-of";
import { CacheConfigError } from "../errors";
import type { CacheOptions } from "../options";

/** What the module of `--dataSource` gives. */
export interface DataSourceFile {
  readonly path: string;
  readonly dataSource: DataSource;
  /** Its export `cacheOptions`; undefined if it has none. */
  readonly cacheOptions: CacheOptions | undefined;
}

/**
 * Loads the module: one export is the data source, or a promise of it, as for TypeORM's own command line; `cacheOptions`, an object or
 * a function that returns one, is what the application gives to `attachCache()`.
 *
 * The data source is kept from changing the schema, and from logging into what is printed here.
 *
 * @throws CacheConfigError CONFIG_INVALID if it cannot be loaded, or has no such export
 */
export async function loadDataSourceFile(given: string): Promise<DataSourceFile> {
  const path = resolve(given);
  if (!existsSync(path)) throw invalid(`--dataSource: there is no file ${given}.`);
  const exported = await load(path);
  const dataSources = new Set<DataSource>();
  for (const value of exportsOf(exported)) {
    const settled: unknown = await value;
    if (isDataSource(settled)) dataSources.add(settled);
  }
  const [dataSource] = dataSources;
  if (dataSource === undefined || dataSources.size > 1) {
    throw invalid(`--dataSource: ${given} exports ${dataSources.size} data sources, but must export one.`);
  }
  // As TypeORM's own command line does: who looks must change nothing.
  dataSource.setOptions({
    subscribers: [],
    synchronize: false,
    dropSchema: false,
    migrationsRun: false,
    logger: SILENT,
  });
  return { path, dataSource, cacheOptions: await optionsIn(exported, given) };
}

/** As the loader does with which Node.js was started, else as Node.js does by itself, else by what is installed beside the file. */
async function load(path: string): Promise<unknown> {
  const local = createRequire(path);
  try {
    registerTypeScript(path, local);
    return local(path);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "";
    if (!["ERR_REQUIRE_ESM", "ERR_REQUIRE_ASYNC_MODULE", "ERR_REQUIRE_CYCLE_MODULE"].includes(code)) {
      throw cannotLoad(path, error);
    }
  }
  try {
    return await import(pathToFileURL(path).href);
  } catch (error) {
    throw cannotLoad(path, error);
  }
}

/** What makes CommonJS of TypeScript, the most exact first: only the former two write the types of columns down. */
const LOADERS = ["ts-node/register/transpile-only", "@swc-node/register", "tsx/cjs"];

/** Node.js itself takes types away, and knows no decorators, without which there is hardly an entity. */
function registerTypeScript(path: string, local: NodeJS.Require): void {
  if (!/\.[cm]?ts$/.test(path)) return;
  const isOfNode = "typescript" in process.features && process.features.typescript !== false;
  // The hooks of loaders are deprecated, and are all that tells that there is one.

  if (local.extensions[".ts"] !== undefined && !isOfNode) return;
  for (const name of LOADERS) {
    try {
      local.resolve(name);
    } catch {
      continue;
    }
    local(name);
    return;
  }
}

async function optionsIn(exported: unknown, given: string): Promise<CacheOptions | undefined> {
  const found = isObject(exported) ? (exported["cacheOptions"] ?? defaultOf(exported)?.["cacheOptions"]) : undefined;
  const options: unknown = await (typeof found === "function" ? (found as () => unknown)() : found);
  if (options === undefined || isObject(options)) return options;
  throw invalid(
    `--dataSource: cacheOptions of ${given} must be the options that attachCache() gets, or a function that returns them.`,
  );
}

/** A module that was compiled to CommonJS and is imported has its exports once more in `default`. */
function exportsOf(exported: unknown): readonly unknown[] {
  if (isDataSource(exported)) return [exported];
  if (!isObject(exported)) return [];
  const inner = defaultOf(exported);
  return [...Object.values(exported), ...(inner === undefined || isDataSource(inner) ? [] : Object.values(inner))];
}

function defaultOf({ default: inner }: Record<string, unknown>): Record<string, unknown> | undefined {
  return isObject(inner) ? inner : undefined;
}

/** By what TypeORM writes on its instances: the class may be that of another copy. */
function isDataSource(value: unknown): value is DataSource {
  return isObject(value) && value["@instanceof"] === Symbol.for("DataSource");
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function cannotLoad(path: string, cause: unknown): CacheConfigError {
  const hint = /\.[cm]?ts$/.test(path)
    ? " For TypeScript start Node.js with the loader of your application (NODE_OPTIONS='--import tsx'), install ts-node or tsx, or name the compiled file."
    : "";
  return new CacheConfigError("CONFIG_INVALID", `--dataSource: ${path} cannot be loaded: ${messageOf(cause)}.${hint}`, {
    cause,
  });
}

function invalid(message: string): CacheConfigError {
  return new CacheConfigError("CONFIG_INVALID", message);
}

const SILENT: Logger = {
  logQuery: () => undefined,
  logQueryError: () => undefined,
  logQuerySlow: () => undefined,
  logSchemaBuild: () => undefined,
  logMigration: () => undefined,
  log: () => undefined,
};
