import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import ts from "typescript";
import { typeormLine } from "../support/databases";

const ROOT = join(__dirname, "..", "..");

/** A worker that Node can start as it is. */
export interface WorkerBuild {
  readonly file: string;
  remove(): void;
}

/**
 * Compiles the library and the worker into a folder of their own, once: a writer that is killed all the time has to be back
 * at once, and compiling takes four times as long as everything else that a start needs.
 */
export function buildWorker(): WorkerBuild {
  const temporary = join(ROOT, ".tmp");
  mkdirSync(temporary, { recursive: true });
  const folder = mkdtempSync(join(temporary, "faults-"));
  for (const part of ["src", join("test", "faults")]) {
    for (const entry of readdirSync(join(ROOT, part), { recursive: true, encoding: "utf8" })) {
      build(join(ROOT, part, entry), join(folder, part, entry), join(folder, "src", "index.js"));
    }
  }
  return {
    file: join(folder, "test", "faults", "worker.js"),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

function build(from: string, to: string, library: string): void {
  if (from.endsWith(".lua")) {
    mkdirSync(dirname(to), { recursive: true });
    return cpSync(from, to);
  }
  if (!from.endsWith(".ts") || from.endsWith(".test.ts")) return;
  const compilerOptions = {
    module: ts.ModuleKind.CommonJS,
    target: ts.ScriptTarget.ES2023,
    esModuleInterop: true,
    experimentalDecorators: true,
    emitDecoratorMetadata: true,
  };
  const { outputText } = ts.transpileModule(readFileSync(from, "utf8"), { compilerOptions, fileName: from });
  const typeorm = typeormLine === "0.3" ? "typeorm-0.3" : "typeorm";
  mkdirSync(dirname(to), { recursive: true });
  writeFileSync(
    to.replace(/\.ts$/, ".js"),
    outputText
      .replaceAll(/require\("typeorm(?=["/])/g, `require("${typeorm}`)
      .replaceAll('require("typeorm-coherent")', `require("./${relative(dirname(to), library)}")`),
  );
}
