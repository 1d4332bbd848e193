import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createConnection } from "mysql2/promise";
import { Client } from "pg";
import { DataSource, type DataSourceOptions, type MixedList, type EntitySchema } from "typeorm";

/** Options of TypeORM that a test adds, for one or for all databases. */
export type ExtraOptions = Record<string, unknown> & {
  /** SQLite only: a temporary file instead of memory, for tests with several processes or connections. */
  file?: boolean;
};

// eslint-disable-next-line @typescript-eslint/no-unsafe-function-type -- TypeORM's own type of an entity class
export type Entities = MixedList<Function | string | EntitySchema>;

/** A database to run tests on. */
export interface TestDatabase {
  readonly name: "sqlite" | "postgres" | "mariadb";

  /**
   * Options of a data source with an empty database of its own (PostgreSQL: a schema) and `synchronize` on. They are
   * plain data, so that another process can be given them too.
   */
  options(entities: Entities, extra?: ExtraOptions): Promise<DataSourceOptions>;

  /** An initialized data source with such options; `cleanup` destroys it. */
  open(entities: Entities, extra?: ExtraOptions): Promise<DataSource>;

  /** Destroys the data sources of `open` and drops what `options` created. */
  cleanup(): Promise<void>;
}

// Read as a file: the exports of TypeORM do not let one require its package.json.
const manifest = join(dirname(require.resolve("typeorm")), "package.json");

/** The TypeORM that "typeorm" stands for in this test run. */
export const typeormVersion = (JSON.parse(readFileSync(manifest, "utf8")) as { version: string }).version;

/** Which of the two lines that is: the sqlite3 driver exists in 0.3 only, better-sqlite3 is what 1.x is tested with. */
export const typeormLine: "0.3" | "1" = typeormVersion.startsWith("0.3.") ? "0.3" : "1";

/** Every database of this run; those that are missing are left out, which jest.config.js's setup reported. */
export function databases(): TestDatabase[] {
  return [sqlite(), postgres(), mariadb()].filter((database) => database !== undefined);
}

/**
 * `describe` once per database. Data sources that were opened are destroyed after the block; a database that is not
 * there shows up as skipped (under CI=true the run would not have begun).
 *
 * @example
 * describeEachDatabase("save", (database) => {
 *   let dataSource: DataSource;
 *   beforeAll(async () => { dataSource = await database.open([Product]); });
 *   it("…", async () => { … });
 * });
 */
export function describeEachDatabase(name: string, block: (database: TestDatabase) => void): void {
  const present = databases();
  for (const database of present) {
    describe(`${name} [${database.name}]`, () => {
      afterAll(() => database.cleanup());
      block(database);
    });
  }
  for (const missing of ["postgres", "mariadb"].filter((each) => !present.some((found) => found.name === each))) {
    describe.skip(`${name} [${missing}]`, () => it("needs a server", () => undefined));
  }
}

type Settings = Record<string, unknown>;

/** Several workers, data sources and other programs share a server, which has a hundred connections at most by default. */
const POOL = { poolSize: 5 };

/** Where a fresh, empty place is, and how it goes away. */
type Place = { settings: Settings; remove: () => Promise<void> };

/** The part that is the same everywhere: remembers what to clean up. */
function testDatabase(name: TestDatabase["name"], createPlace: (file: boolean) => Promise<Place>): TestDatabase {
  let dataSources: DataSource[] = [];
  let places: Place[] = [];
  const database: TestDatabase = {
    name,
    async options(entities, { file = false, ...extra } = {}) {
      const place = await createPlace(file);
      places.push(place);
      // The settings name drivers that only one of the two lines knows, so no type of TypeORM fits both.
      return { ...place.settings, entities, synchronize: true, ...extra } as unknown as DataSourceOptions;
    },
    async open(entities, extra) {
      const dataSource = new DataSource(await database.options(entities, extra));
      await dataSource.initialize();
      dataSources.push(dataSource);
      return dataSource;
    },
    async cleanup() {
      // Emptied first: a second cleanup, or one after a failure, has nothing to repeat.
      const [open, created] = [dataSources, places];
      [dataSources, places] = [[], []];
      for (const dataSource of open) if (dataSource.isInitialized) await dataSource.destroy();
      for (const place of created) await place.remove();
    },
  };
  return database;
}

const uniqueName = (prefix: string) => `${prefix}_${randomBytes(6).toString("hex")}`;

function sqlite(): TestDatabase {
  const type = typeormLine === "0.3" ? "sqlite" : "better-sqlite3";
  return testDatabase("sqlite", (file) => {
    if (!file) return Promise.resolve({ settings: { type, database: ":memory:" }, remove: () => Promise.resolve() });
    const folder = mkdtempSync(join(tmpdir(), "coherent-sqlite-"));
    const remove = () => Promise.resolve(rmSync(folder, { recursive: true, force: true }));
    return Promise.resolve({ settings: { type, database: join(folder, "test.db") }, remove });
  });
}

function postgres(): TestDatabase | undefined {
  const url = process.env["TEST_PG_URL"];
  if (url === undefined) return undefined;
  const run = async (statement: string) => {
    const client = new Client({ connectionString: url });
    await client.connect();
    try {
      await client.query(statement);
    } finally {
      await client.end();
    }
  };
  return testDatabase("postgres", async () => {
    const schema = uniqueName("s");
    await run(`CREATE SCHEMA ${schema}`);
    const { searchParams, ...server } = parseUrl(url);
    const settings = { type: "postgres", ...server, host: searchParams.get("host") ?? server.host, schema };
    // The path is for raw SQL in tests, which does not name the schema. No test crashes the server, so that none needs a
    // COMMIT to wait for the disk.
    const extra = { options: `-c search_path=${schema} -c synchronous_commit=off` };
    // Extensions belong to one schema, and all tests share a database; gen_random_uuid() is there without.
    const uuids = { uuidExtension: "pgcrypto", installExtensions: false };
    return { settings: { ...settings, ...uuids, ...POOL, extra }, remove: () => run(`DROP SCHEMA ${schema} CASCADE`) };
  });
}

function mariadb(): TestDatabase | undefined {
  const url = process.env["TEST_MYSQL_URL"];
  if (url === undefined) return undefined;
  const run = async (statement: string) => {
    const connection = await createConnection(url);
    try {
      await connection.query(statement);
    } finally {
      await connection.end();
    }
  };
  return testDatabase("mariadb", async () => {
    const { searchParams, ...server } = parseUrl(url);
    // Begins with the name of the run, whose end drops all of these.
    const database = uniqueName(server.database);
    await run(`CREATE DATABASE ${database} CHARACTER SET utf8mb4`);
    const socketPath = searchParams.get("socketPath");
    const settings = { type: "mariadb", ...server, ...POOL, database, ...(socketPath === null ? {} : { socketPath }) };
    return { settings, remove: () => run(`DROP DATABASE ${database}`) };
  });
}

function parseUrl(text: string) {
  const url = new URL(text);
  const { hostname: host, searchParams } = url;
  return {
    host,
    ...(url.port === "" ? {} : { port: Number(url.port) }),
    username: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
    database: url.pathname.slice(1),
    searchParams,
  };
}
