import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { typeormLine } from "../databases";
import type { Application } from "./data-source";

const root = join(__dirname, "..", "..", "..");

/** The module of the application, for `--dataSource`. */
export const DATA_SOURCE = join(__dirname, "data-source.ts");

/** The name of the library means its sources, so that no test needs a build. */
const HOOK = `data:text/javascript,${encodeURIComponent(`
  import Module from "node:module";
  const resolve = Module._resolveFilename;
  Module._resolveFilename = (request, ...rest) =>
    request === "typeorm-coherent" ? ${JSON.stringify(join(root, "src", "index.ts"))} : resolve.call(Module, request, ...rest);`)}`;

/** How a command line has ended. */
export interface Ended {
  readonly code: number | null;
  /** Standard output. */
  readonly output: string;
  /** Standard error. */
  readonly errors: string;
}

/** A command line that runs. */
export interface Running {
  /** What came so far. */
  readonly soFar: { output: string; errors: string };
  readonly ended: Promise<Ended>;
  kill(signal: NodeJS.Signals): void;
}

/** Starts the program in a process of its own, without a terminal, and without a REDIS_URL but that of `env`. */
export function startCli(args: readonly string[], application?: Application, env: NodeJS.ProcessEnv = {}): Running {
  const { REDIS_URL: _, ...inherited } = process.env;
  const child = spawn(process.execPath, ["--import", HOOK, "scripts/run-ts.cjs", "src/cli/main.ts", ...args], {
    cwd: root,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...inherited, TYPEORM_LINE: typeormLine, TEST_APPLICATION: JSON.stringify(application ?? {}), ...env },
  });
  const soFar = { output: "", errors: "" };
  child.stdout.on("data", (chunk: Buffer) => (soFar.output += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (soFar.errors += chunk.toString()));
  const ended = once(child, "close").then(([code]) => ({ ...soFar, code: code as number | null }));
  return { soFar, ended, kill: (signal) => void child.kill(signal) };
}

/** Runs it to its end. */
export function runCli(args: readonly string[], application?: Application, env?: NodeJS.ProcessEnv): Promise<Ended> {
  return startCli(args, application, env).ended;
}
