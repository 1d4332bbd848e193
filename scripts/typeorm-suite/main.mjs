// npm run typeorm-tests -- [--typeorm 1|0.3] [--database sqlite,postgres,mariadb] [--folders functional,...] [--grep TEXT]
// [--options JSON] [--source FOLDER_OR_URL] [--ref TAG_OR_COMMIT]: runs TypeORM's own tests without the cache and with it, attached
// to every data source and for all entities. Ends with 1 if the cache breaks a test that exceptions.mjs does not name.
import { parseArgs } from "node:util";
import { compare, passed } from "./compare.mjs";
import { prepare } from "./prepare.mjs";
import { runTests } from "./run.mjs";

const { values } = parseArgs({
  options: {
    typeorm: { type: "string", default: "1" },
    database: { type: "string", default: "sqlite,postgres,mariadb" },
    folders: { type: "string", default: "core,functional,github-issues,other-issues" },
    grep: { type: "string" },
    options: { type: "string", default: "{}" },
    source: { type: "string" },
    ref: { type: "string" },
  },
});

/** Lines of an error that are shown. */
const SHOWN = 12;

const NEEDS = { sqlite: undefined, postgres: "TEST_PG_URL", mariadb: "TEST_MYSQL_URL" };
const databases = values.database.split(",");
for (const database of databases) {
  if (!(database in NEEDS)) throw new Error(`--database takes ${Object.keys(NEEDS).join(", ")}, not ${database}`);
}
if (!["1", "0.3"].includes(values.typeorm)) throw new Error("--typeorm takes 1 or 0.3");

const prepared = prepare({ line: values.typeorm, source: values.source, ref: values.ref });
const folders = values.folders.split(",");
const { grep } = values;
const options = JSON.parse(values.options);

const rows = [];
const found = { failing: [], excepted: [] };
for (const database of databases) {
  const variable = NEEDS[database];
  if (variable !== undefined && process.env[variable] === undefined) {
    process.stderr.write(`${database}: there is no server, so it is left out\n`);
    continue;
  }
  process.stderr.write(`${database}, without the cache ...\n`);
  const without = await runTests({ prepared, database, folders, grep });
  process.stderr.write(`${database}, with it ...\n`);
  const withCache = await runTests({ prepared, database, folders, grep, options });
  if (!(withCache.figures.attached > 0 && withCache.figures.hits > 0)) {
    throw new Error(
      `${database}: the cache has served nothing, so this run shows nothing. See the logs in ${prepared.folder}.`,
    );
  }
  const { failing, excepted } = compare(without, withCache);
  rows.push(row(database, without, withCache, failing, excepted));
  found.failing.push(...failing.map((test) => ({ ...test, database })));
  found.excepted.push(...excepted.map((test) => ({ ...test, database })));
}

console.log(`TypeORM ${prepared.version}, ${folders.join(", ")}\n`);
console.log(
  "| database | passed without | passed with | newly failing | exceptions | data sources | hits | misses | bypasses |",
);
console.log(
  "| -------- | -------------- | ----------- | ------------- | ---------- | ------------ | ---- | ------ | -------- |",
);
console.log(rows.join("\n"));
if (found.excepted.length > 0) console.log(`\nExceptions. ${byReason(found.excepted)}`);
for (const { database, name, why } of found.failing) {
  console.log(`\nNewly failing on ${database}: ${name}\n${String(why).split("\n").slice(0, SHOWN).join("\n")}`);
}
process.exitCode = found.failing.length > 0 ? 1 : 0;

function row(database, without, withCache, failing, excepted) {
  const { attached, hits, misses, bypasses } = withCache.figures;
  const reasons = Object.entries(bypasses).map(([reason, count]) => `${count} ${reason}`);
  const counts = [passed(without), passed(withCache), failing.length, excepted.length, attached, hits, misses];
  return `| ${[database, ...counts, reasons.join(", ") || "none"].join(" | ")} |`;
}

function byReason(tests) {
  const reasons = new Map();
  for (const { name, reason, database } of tests) {
    const names = reasons.get(reason) ?? new Map();
    names.set(name, [...(names.get(name) ?? []), database]);
    reasons.set(reason, names);
  }
  return Array.from(reasons, ([reason, names]) => {
    const lines = Array.from(names, ([name, places]) => `- ${name} (${places.join(", ")})`);
    return `${reason}:\n${lines.join("\n")}`;
  }).join("\n\n");
}
