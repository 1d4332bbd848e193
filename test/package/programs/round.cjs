// round.cjs <driver> <URL of Redis>: writes, misses, hits, and writes again, with the cache in the process and in Redis.
// Prints what came out, as JSON.
require("reflect-metadata");
const { setTimeout: delay } = require("node:timers/promises");
const { Redis } = require("ioredis");
const { DataSource, EntitySchema } = require("typeorm");
const { attachCache, MemoryStore, RedisStore } = require("typeorm-coherent");

const [type, url] = process.argv.slice(2);

const Product = new EntitySchema({
  name: "Product",
  columns: { id: { type: Number, primary: true, generated: true }, sku: { type: String }, price: { type: Number } },
});

/** better-sqlite3 is built for one version of Node; this is the SQLite that Node itself has, behind what TypeORM calls of it. */
class SqliteOfNode {
  constructor(file) {
    const { DatabaseSync } = require("node:sqlite");
    this.database = new DatabaseSync(file);
  }
  pragma(text) {
    return this.prepare(`PRAGMA ${text}`).all();
  }
  prepare(sql) {
    const statement = this.database.prepare(sql);
    return {
      reader: statement.columns().length > 0,
      all: (...values) => statement.all(...values),
      run: (...values) => statement.run(...values),
    };
  }
  close() {
    this.database.close();
  }
}

function driver() {
  if (type !== "better-sqlite3") return {};
  const Sqlite = require("better-sqlite3");
  try {
    new Sqlite(":memory:").close();
    return {};
  } catch (error) {
    if (error.code !== "ERR_DLOPEN_FAILED") throw error;
    return { driver: SqliteOfNode };
  }
}

async function round(store) {
  const settings = { type, database: ":memory:", entities: [Product], synchronize: true, ...driver() };
  const dataSource = await new DataSource(settings).initialize();
  const entities = { Product: { strategy: "write-through", keys: ["sku"] } };
  const cache = await attachCache(dataSource, { store, entities, consistency: "strict", lockTtl: 200 });
  const products = cache.repository("Product");
  const { id } = await products.save({ sku: "A", price: 1 });
  // A new Redis fills nothing for the length of a lock.
  while (cache.stats().hits < 2) {
    await products.findOneBy({ sku: "A" });
    await products.findOneBy({ id });
    await delay(5);
  }
  await products.save({ id, price: 2 });
  const prices = [await products.findOneBy({ sku: "A" }), await products.findOneBy({ id })].map((found) => found.price);
  await dataSource.destroy();
  return { prices, sqlite: settings.driver === undefined ? type : "node:sqlite" };
}

async function main() {
  const memory = await round(new MemoryStore());
  const redis = await round(new RedisStore(new Redis(url, { lazyConnect: true })));
  console.log(JSON.stringify({ node: process.versions.node, memory, redis }));
}

void main();
