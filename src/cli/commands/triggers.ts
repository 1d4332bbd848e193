import { existsSync, statSync, writeFileSync } from "node:fs";
import { basename, extname, join } from "node:path";
import { CacheConfigError } from "../../errors";
import { EXIT } from "../exit-codes";
import { migrationText, type MigrationFormat } from "../migration";
import type { Call, Run } from "../program";

/** The options of `triggers`. */
export interface TriggersOptions {
  readonly down?: true;
  readonly migration?: string | true;
  readonly install?: true;
  readonly uninstall?: true;
  readonly check?: true;
  readonly table: string;
}

/** `triggers` */
export const triggers: Run<TriggersOptions> = async (call, options) => {
  const { migration, install, uninstall, check, down, table } = options;
  const wanted = [migration, install, uninstall, check, down].filter((one) => one !== undefined);
  if (wanted.length > 1) throw invalid("Say one of: --down, --migration, --install, --uninstall, --check.");
  const { target, terminal } = call;
  const store = install === true && target.hasRedis ? "redis" : "none";
  const cache = await target.cache(store);
  try {
    if (check === true) {
      const missing = await cache.feeds.missingTriggers(table);
      terminal.show({ installed: missing.length === 0, missing }, () =>
        missing.length === 0
          ? ["All triggers are installed."]
          : [`Missing, or of another version: ${missing.join(", ")}`],
      );
      return missing.length === 0 ? EXIT.ok : EXIT.no;
    }
    if (install === true) {
      const installed = await cache.feeds.installTriggers(table);
      // Of what others wrote before there were triggers nobody has taken notes.
      if (installed.length > 0 && store === "redis") await cache.clear();
      else if (installed.length > 0)
        terminal.say("No Redis is known: say `typeorm-coherent invalidate --all` when they are in use.");
      terminal.show({ installed }, () => [
        installed.length === 0 ? "Nothing was missing." : `Installed: ${installed.join(", ")}`,
      ]);
      return EXIT.ok;
    }
    const statements =
      target.dataSource.options.type === "postgres"
        ? await cache.feeds.postgresTriggers()
        : cache.feeds.pollingTriggers(table);
    if (uninstall === true) {
      for (const statement of statements.down) await target.dataSource.query(statement);
      terminal.show({ uninstalled: statements.down }, () => ["Removed."]);
      return EXIT.ok;
    }
    if (migration !== undefined) return writeMigration(call, migration, statements);
    const sql = down === true ? statements.down : statements.up;
    // A body of SQLite ends with END, and is one statement.
    terminal.show(statements, () => sql.map((statement) => `${statement};`));
    return EXIT.ok;
  } finally {
    await cache.close();
    if (target.dataSource.isInitialized) await target.dataSource.destroy();
  }
};

const FORMATS: Readonly<Record<string, MigrationFormat>> = {
  ".ts": "typescript",
  ".mts": "typescript",
  ".js": "commonjs",
  ".cjs": "commonjs",
  ".mjs": "module",
};

function writeMigration(
  { terminal }: Call,
  path: string | true,
  statements: { readonly up: readonly string[]; readonly down: readonly string[] },
): number {
  const now = Date.now();
  if (path === true) {
    const text = migrationText("typescript", `CoherentTriggers${now}`, statements);
    terminal.show({ migration: text }, () => [text.trimEnd()]);
    return EXIT.ok;
  }
  const isFolder = existsSync(path) && statSync(path).isDirectory();
  const file = isFolder ? join(path, `${now}-CoherentTriggers.ts`) : path;
  const format = FORMATS[extname(file)];
  if (format === undefined) throw invalid(`--migration: ${path} is no folder, and no .ts, .js or .mjs file.`);
  // TypeORM wants the time in the name of the class, and orders by it.
  const time = /^\d{13}/.exec(basename(file))?.[0] ?? String(now);
  if (existsSync(file)) throw invalid(`--migration: ${file} is there already.`);
  try {
    writeFileSync(file, migrationText(format, `CoherentTriggers${time}`, statements), { flag: "wx" });
  } catch (cause) {
    throw new CacheConfigError("CONFIG_INVALID", `--migration: ${(cause as Error).message}`, { cause });
  }
  terminal.show({ file }, () => [`Written: ${file}`]);
  return EXIT.ok;
}

function invalid(message: string): CacheConfigError {
  return new CacheConfigError("CONFIG_INVALID", message);
}
