import { createRequire } from "node:module";
import { Command, CommanderError } from "commander";
import type * as Doctor from "./commands/doctor";
import type * as Explain from "./commands/explain";
import type * as Invalidate from "./commands/invalidate";
import type * as Stats from "./commands/stats";
import type * as Triggers from "./commands/triggers";
import type * as Watch from "./commands/watch";
import { EXIT } from "./exit-codes";
import { ownManifest } from "./needed";
import { Target, type TargetOptions } from "./target";
import { Terminal } from "./terminal";

/** What a command is given besides its own arguments. */
export interface Call {
  readonly target: Target;
  readonly terminal: Terminal;
}

/** Does one command. @returns what the process ends with */
export type Run<Options, Arguments extends readonly unknown[] = []> = (
  call: Call,
  options: Options,
  ...args: Arguments
) => Promise<number>;

interface CommonOptions extends TargetOptions {
  readonly json?: true;
  readonly debug?: true;
}

// A command is loaded when it is called.
const load = createRequire(__filename);

/**
 * Runs a command line.
 *
 * @param args without the program's name
 * @returns what the process is to end with; see docs/cli.md
 */
export async function execute(args: readonly string[]): Promise<number> {
  const outcome: { code: number } = { code: EXIT.ok };
  try {
    await program(outcome).parseAsync([...args], { from: "user" });
    return outcome.code;
  } catch (error) {
    // It has said so already.
    if (error instanceof CommanderError) return error.exitCode === 0 && args.length > 0 ? EXIT.ok : EXIT.trouble;
    throw error;
  }
}

function program(outcome: { code: number }): Command {
  const root = new Command("typeorm-coherent")
    .description("Looks after a cache of typeorm-coherent: in Redis, in the database, and in the data source.")
    .version(ownManifest().version)
    .exitOverride()
    .showHelpAfterError("(--help says what there is)")
    .addHelpText("after", EXIT_TEXT);

  const add = <Options, Arguments extends readonly unknown[] = []>(
    usage: string,
    description: string,
    examples: readonly string[],
    run: () => Run<Options, Arguments>,
  ): Command =>
    root
      .command(usage)
      .description(description)
      .option("-d, --dataSource <file>", "module that exports your DataSource, and cacheOptions if there are any")
      .option("-r, --redis <url>", "Redis to ask; default: the store in cacheOptions, then the variable REDIS_URL")
      .option("-n, --namespace <name>", "namespace of the cache; default: that of cacheOptions, then of the database")
      .option("--json", "print data as JSON")
      .option("--debug", "print stack traces of errors")
      .addHelpText("after", `\nExamples:\n${examples.map((line) => `  $ typeorm-coherent ${line}`).join("\n")}\n`)
      .action(async (...given: unknown[]) => {
        // What commander adds behind the arguments: the options, and the command.
        const options = given.at(-2) as CommonOptions & Options;
        outcome.code = await guarded(options, (call) => run()(call, options, ...(given.slice(0, -2) as never)));
      });

  add(
    "doctor",
    "Checks versions, Redis, the database and the entities, and says what to do.",
    ["doctor -d src/data-source.ts", "doctor --redis redis://localhost:6379 --json"],
    () => (load("./commands/doctor") as typeof Doctor).doctor,
  ).option("--commits <number>", "commits that are measured", "20");

  add(
    "explain <entity> [method]",
    "Says what the cache would do with a read: keys, tags, whether it is there, or why it takes no part.",
    [
      `explain Product findOne --where '{"sku":"A-1"}' -d src/data-source.ts`,
      `explain Product find --where '{"price":{"$MoreThan":5}}' --options '{"take":10}' -d src/data-source.ts`,
    ],
    () => (load("./commands/explain") as typeof Explain).explain,
  )
    .option(
      "--where <json>",
      'what is looked for; an operator is an object {"$In":[1,2]} with the name that TypeORM has for it',
    )
    .option("--options <json>", "further find options: order, take, relations, ...");

  add(
    "stats",
    "Counts what Redis holds per table: entries, tags, locks; with a data source also what is set for each entity.",
    ["stats --redis redis://localhost:6379", "stats -d src/data-source.ts --json"],
    () => (load("./commands/stats") as typeof Stats).stats,
  ).option("--limit <number>", "keys of Redis to look at, at most", "1000000");

  add(
    "watch",
    "Prints what processes and programs tell each other of writes, as it comes.",
    ["watch --namespace shop", "watch -d src/data-source.ts --table product --json"],
    () => (load("./commands/watch") as typeof Watch).watch,
  )
    .option("--table <name>", "only this table")
    .option("--limit <number>", "end after so many")
    .option("--for <duration>", 'end after this time, "30s" for example');

  add(
    "invalidate [entity]",
    "Makes entries unreadable: of a row, of a table, under a tag, or all.",
    [
      `invalidate Product --where '{"id":1}' -d src/data-source.ts`,
      "invalidate --all -d src/data-source.ts",
      "invalidate --table product --namespace shop",
      `invalidate --table product --rows '[{"id":1}]' --namespace shop`,
      "invalidate --tag 'product|sku=A-1' --namespace shop",
    ],
    () => (load("./commands/invalidate") as typeof Invalidate).invalidate,
  )
    .option("--where <json>", "the primary key of a row of the entity")
    .option("--all", "everything in the namespace")
    .option("--table <name>", "a table by its name; needs no data source")
    .option("--rows <json>", "primary keys of rows of that table; the processes that listen do it")
    .option(
      "--tag <tag>",
      "what depends on this tag; may be repeated",
      (tag: string, tags: string[]) => [...tags, tag],
      [],
    );

  add(
    "triggers",
    "Prints, installs or checks the triggers of the change feeds; prints their SQL if nothing else is said.",
    [
      "triggers -d src/data-source.ts",
      "triggers -d src/data-source.ts --migration src/migrations",
      "triggers -d src/data-source.ts --check",
    ],
    () => (load("./commands/triggers") as typeof Triggers).triggers,
  )
    .option("--down", "print the statements that remove them")
    .option(
      "--migration [path]",
      "write a migration of TypeORM: into a folder, a .ts, .js or .mjs file, or to standard output",
    )
    .option("--install", "install what is missing")
    .option("--uninstall", "remove them")
    .option("--check", "say whether they are installed, in this version")
    .option("--table <name>", "the change table; not on PostgreSQL", "coherent_changes");

  return root;
}

/** Errors become one line, and a code to end with. */
async function guarded(options: CommonOptions, work: (call: Call) => Promise<number>): Promise<number> {
  const terminal = new Terminal(options.json === true);
  try {
    return await work({ target: await Target.of(options, terminal), terminal });
  } catch (error) {
    const { message, stack } = error instanceof Error ? error : new Error(String(error));
    terminal.say(`error: ${options.debug === true ? (stack ?? message) : message}`);
    return EXIT.trouble;
  }
}

const EXIT_TEXT = `
Ends with 0 if all is well, with 1 if what was asked about is not so, and with 2 if it could not be found out.
TypeScript is loaded as Node.js was told to (NODE_OPTIONS="--import tsx"), or by ts-node or tsx if they are installed.
Passwords are never printed. On a command line others can read them: prefer REDIS_URL, or cacheOptions.
`;
