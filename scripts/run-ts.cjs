// Runs a TypeScript file without a build: `node scripts/run-ts.cjs example-app/main.ts --typeorm 0.3`. Types are stripped,
// not checked. For what runs outside of jest: the example, the benchmarks, and processes that tests start and kill.
//
// With `--typeorm 0.3` (or `--typeorm-0.3`) among the arguments, or TYPEORM_LINE=0.3, "typeorm" means TypeORM 0.3, as in the jest project
// of that name; a process that this one starts inherits it.
const { createHash } = require("node:crypto");
const { mkdirSync, readFileSync, renameSync, writeFileSync } = require("node:fs");
const Module = require("node:module");
const { dirname, join, resolve } = require("node:path");

const root = dirname(__dirname);
const tsconfig = join(root, "tsconfig.json");
process.setSourceMapsEnabled(true);

/** Whatever what is compiled depends on, besides the source. */
const version = [
  readFileSync(module.filename, "utf8"),
  readFileSync(tsconfig, "utf8"),
  require("typescript/package.json").version,
].join("\n");
const kept = join(root, ".tmp", "run-ts");
mkdirSync(kept, { recursive: true });

/** Loading the compiler and compiling takes longer than most of what is run, so what it made is kept. */
Module._extensions[".ts"] = (module, fileName) => {
  const source = readFileSync(fileName, "utf8");
  const file = join(kept, createHash("sha256").update([version, fileName, source].join("\n")).digest("hex"));
  let code;
  try {
    code = readFileSync(file, "utf8");
  } catch {
    code = compile(source, fileName);
    // Other processes may do the same right now: none of them must find half a file.
    writeFileSync(`${file}.${process.pid}`, code);
    renameSync(`${file}.${process.pid}`, file);
  }
  module._compile(code, fileName);
};

function compile(source, fileName) {
  const ts = require("typescript");
  const { config } = ts.readConfigFile(tsconfig, (file) => readFileSync(file, "utf8"));
  const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, root);
  // The map goes into the code: Node reads it there, and a stack trace shows lines of the source.
  Object.assign(options, {
    module: ts.ModuleKind.CommonJS,
    declaration: false,
    sourceMap: false,
    inlineSourceMap: true,
  });
  delete options.rootDir;
  delete options.outDir;
  return ts.transpileModule(source, { compilerOptions: options, fileName }).outputText;
}

if (/ --typeorm[- =]0\.3( |$)/.test(process.argv.join(" "))) process.env.TYPEORM_LINE = "0.3";
if (process.env.TYPEORM_LINE === "0.3") {
  const resolveFilename = Module._resolveFilename;
  Module._resolveFilename = function (request, ...rest) {
    return resolveFilename.call(this, request.replace(/^typeorm(?=\/|$)/, "typeorm-0.3"), ...rest);
  };
}

const [file] = process.argv.splice(2, 1);
process.argv[1] = resolve(file);
require(process.argv[1]);
