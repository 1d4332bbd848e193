import { parseArgs } from "node:util";

/** What the command line asks for. */
export interface Flags {
  readonly help: boolean;
  /** A URL, or {@link OWN_REDIS}; undefined keeps the cache in this process. */
  readonly redis: string | undefined;
  /** A file; undefined keeps the database in memory. */
  readonly database: string | undefined;
  readonly serve: boolean;
  readonly tour: boolean;
  readonly cache: boolean;
  readonly port: number;
}

/** Something that the user can put right: said in one line, exit code 2. */
export class UsageError extends Error {}

const DEFAULT_PORT = 3000;

/** In the place of a URL: a redis-server that belongs to the example, and may be stopped. */
export const OWN_REDIS = "own";

export const HELP = `A small shop with a cache that is never stale: a tour of what it does, and its API.

Usage: npm run example -- [flags]

  --redis URL        keep the cache in Redis, e.g. redis://localhost:6379 (default: in this process)
  --redis own        keep it in a redis-server that is started for it, and that the page can stop
  --database FILE    keep the shop in this SQLite file (default: in memory)
  --typeorm LINE     1 for TypeORM 1.x with better-sqlite3 (default), 0.3 for TypeORM 0.3 with sqlite3
  --serve            after the tour, serve the API and a page to watch the cache, until Ctrl-C
  --no-tour          with --serve: serve them at once
  --no-cache         with --no-tour: serve it without a cache, to compare
  --port N           port of both (default: ${DEFAULT_PORT}; 0 takes a free one)
  --help             this text

Exit code: 0 if every step of the tour did what it says, 1 if one did not, 2 for a wrong flag.
`;

const OPTIONS = {
  redis: { type: "string" },
  database: { type: "string" },
  typeorm: { type: "string" },
  serve: { type: "boolean" },
  "no-tour": { type: "boolean" },
  "no-cache": { type: "boolean" },
  port: { type: "string" },
  help: { type: "boolean", short: "h" },
} as const;

/** @throws UsageError for whatever is not in the help text */
export function parseFlags(args: readonly string[]): Flags {
  const values = parse(args);
  const { redis, database, typeorm = "1", serve = false, port, help = false } = values;
  const { "no-tour": noTour = false, "no-cache": noCache = false } = values;
  // Which TypeORM it is was decided before this file was loaded, by scripts/run-ts.cjs.
  if (typeorm !== "1" && typeorm !== "0.3") throw new UsageError(`--typeorm is "${typeorm}", but must be 1 or 0.3.`);
  if (redis !== undefined && redis !== OWN_REDIS && !/^rediss?:\/\/./.test(redis)) {
    throw new UsageError(`--redis is "${redis}", but must be a URL such as redis://localhost:6379, or "own".`);
  }
  if (database === "") throw new UsageError("--database needs the name of a file.");
  if (noTour && !serve) throw new UsageError("--no-tour goes with --serve.");
  if (noCache && !noTour) throw new UsageError("--no-cache goes with --no-tour: the tour shows the cache.");
  if (noCache && redis !== undefined) throw new UsageError("--no-cache and --redis exclude each other.");
  if (port !== undefined && !serve) throw new UsageError("--port goes with --serve.");
  if (port !== undefined && !(/^\d+$/.test(port) && Number(port) < 65_536)) {
    throw new UsageError(`--port is "${port}", but must be a number from 0 to 65535.`);
  }
  const place = { redis, database, port: port === undefined ? DEFAULT_PORT : Number(port) };
  return { ...place, help, serve, tour: !noTour, cache: !noCache };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: OPTIONS, strict: true }).values;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (!code?.startsWith("ERR_PARSE_ARGS")) throw error;
    // Node's message goes on about positional arguments, of which there are none here.
    const [reason = ""] = message.split(/\. |\.?\n|\.$/);
    const short = reason.replace(/^Option '(--\w+) <value>' argument missing$/, "$1 needs a value");
    throw new UsageError(`${short}. --help lists the flags.`);
  }
}
