// Runs a TypeScript file without a build: `node scripts/run-ts.cjs example-app/main.ts --typeorm 0.3`. Types are stripped,
// not checked. For what runs outside of jest: the example, the benchmarks, and processes that tests start and kill.
//
// With `--typeorm 0.3` (or `--typeorm-0.3`) among the arguments, or TYPEORM_LINE=0.3, "typeorm" means TypeORM 0.3, as in the jest project
// of that name; a process that this one starts inherits it.
const { readFileSync } = require("node:fs");
const Module = require("node:module");
const { dirname, join, resolve } = require("node:path");
const ts = require("typescript");

const root = dirname(__dirname);
const { config } = ts.readConfigFile(join(root, "tsconfig.json"), (file) => readFileSync(file, "utf8"));
const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, root);
// The map goes into the code: Node reads it there, and a stack trace shows lines of the source.
Object.assign(options, { module: ts.ModuleKind.CommonJS, declaration: false, sourceMap: false, inlineSourceMap: true });
delete options.rootDir;
delete options.outDir;
process.setSourceMapsEnabled(true);

Module._extensions[".ts"] = (module, fileName) => {
  const { outputText } = ts.transpileModule(readFileSync(fileName, "utf8"), { compilerOptions: options, fileName });
  module._compile(outputText, fileName);
};

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
