// Loaded by mocha before TypeORM's tests, with the cache and without: makes each read three times, and hands over the last. Most
// tests read a thing once, and what is read once is never served from a cache. The second goes past the cache, and what the other two
// have found must be the same as what it finds: tests look at a few properties only.
const { AsyncLocalStorage } = require("node:async_hooks");
const { join } = require("node:path");
const { inspect, isDeepStrictEqual } = require("node:util");

const { inTypeorm, library, nameOf, report, withCache } = require("./settings.cjs");

const { DataSource, SelectQueryBuilder } = inTypeorm();

const FINDERS = ["find", "findBy", "findAndCount", "findAndCountBy", "findOne", "findOneBy", "findOneOrFail"];
FINDERS.push("findOneByOrFail", "exists", "existsBy", "count", "countBy", "sum", "average", "minimum", "maximum");
const BUILDERS = ["getOne", "getOneOrFail", "getMany", "getManyAndCount", "getCount", "getExists", "getRawOne"];
BUILDERS.push("getRawMany", "getRawAndEntities");

/** What a read calls is part of it, and is not made three times again. */
const reading = new AsyncLocalStorage();
const pastTheCache = withCache
  ? (read) => require(join(library, "read", "read-scope.js")).inScope({ cached: false }, read)
  : (read) => read();

let test = "";
/** By test: the first difference that it has seen. */
const differences = {};
report("differences", differences);

function threeTimes(name, read) {
  return function (...args) {
    // A query runner of the caller's is never served from the cache, and may be watched.
    if (reading.getStore() || this.queryRunner !== undefined) return read.apply(this, args);
    return reading.run(true, async () => {
      const once = () => read.apply(this, args);
      const found = [await once(), await pastTheCache(once), await once()];
      const [first, loaded, again] = found;
      if (!isDeepStrictEqual(first, loaded) || !isDeepStrictEqual(again, loaded)) {
        differences[test] ??= `${name}: ${inspect(found, { depth: 8 })}`;
      }
      return again;
    });
  };
}

for (const name of BUILDERS) SelectQueryBuilder.prototype[name] = threeTimes(name, SelectQueryBuilder.prototype[name]);
// The cache puts methods of its own on the manager itself, so these go on top when it has done so.
const { initialize } = DataSource.prototype;
DataSource.prototype.initialize = async function () {
  const dataSource = await initialize.call(this);
  for (const name of FINDERS) if (this.manager[name]) this.manager[name] = threeTimes(name, this.manager[name]);
  return dataSource;
};

exports.mochaHooks = {
  beforeEach() {
    test = this.currentTest === undefined ? "" : nameOf(this.currentTest);
  },
};
