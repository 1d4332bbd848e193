// Loaded by mocha before TypeORM's tests: attaches a cache to every data source that they open. See settings.cjs.
const { resolve } = require("node:path");
const { inTypeorm, library, options, report } = require("./settings.cjs");

const { attachCache, MemoryStore } = require(library);
const { DataSource } = inTypeorm();

const SUPPORTED = ["better-sqlite3", "sqlite", "postgres", "mariadb", "mysql"];

/** By database, as long as somebody has it open: data sources that are open side by side are like processes of one app. */
const stores = new Map();
const figures = { attached: 0, hits: 0, misses: 0, fills: 0, writeThroughs: 0, locks: 0, storeErrors: 0, bypasses: {} };
report("figures", figures);

const { initialize } = DataSource.prototype;
DataSource.prototype.initialize = async function () {
  if (!SUPPORTED.includes(this.options.type) || this.isInitialized) return initialize.call(this);
  const { store, release } = storeOf(this);
  const quiet = { logger: { warn: () => undefined } };
  const cache = await attachCache(this, { transparent: true, entities: "all", ...quiet, ...options, store });
  figures.attached += 1;
  const { close } = cache;
  let closing;
  // The data source closes it when it is destroyed itself.
  cache.close = function () {
    closing ??= close.call(this).finally(() => {
      release();
      add(cache.stats());
    });
    return closing;
  };
  try {
    return await initialize.call(this);
  } catch (error) {
    await cache.close();
    throw error;
  }
};

function storeOf(dataSource) {
  const name = nameOf(dataSource);
  const kept = stores.get(name) ?? { store: new MemoryStore(), users: 0 };
  kept.users += 1;
  if (name !== undefined) stores.set(name, kept);
  const release = () => {
    kept.users -= 1;
    if (kept.users === 0) stores.delete(name);
  };
  return { store: kept.store, release };
}

/** Tells databases apart as the library does; undefined for one that no other data source can see. */
function nameOf({ options: { type, database, url, replication } }) {
  if (!type.includes("sqlite")) return [type, database, url, replication?.master?.database].join("|");
  return typeof database !== "string" || database.includes(":memory:") ? undefined : resolve(database);
}

function add({ misses, bypasses, ...counts }) {
  for (const name of ["hits", "fills", "writeThroughs", "locks", "storeErrors"]) figures[name] += counts[name];
  for (const count of Object.values(misses)) figures.misses += count;
  for (const [reason, count] of Object.entries(bypasses)) {
    figures.bypasses[reason] = (figures.bypasses[reason] ?? 0) + count;
  }
}
