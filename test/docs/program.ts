import { existsSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import ts from "typescript";
import { root, type Block } from "./blocks";

/** A block that was compiled. */
export interface Compiled {
  readonly block: Block;
  /** What the compiler says against it, with its place in the page. */
  readonly problems: readonly string[];
  /** A module whose `run` runs the block, and where it belongs. */
  readonly javascript: string;
  readonly file: string;
  /** The file that sets things up for it. */
  readonly prelude: string;
  /** It attaches the cache itself. */
  readonly attaches: boolean;
}

/** Where the modules would lie: imports are looked for from here. */
export const FOLDER = join(root, ".tmp", "docs");

/** Names that a block may use without an import, as one reads them. */
const IMPLICIT = ["typeorm", "typeorm-coherent", join(__dirname, "tracked-redis.ts"), "node:async_hooks"];

/** Compiles all blocks of TypeScript in one program, under the rules of the project. */
export function compile(blocks: readonly Block[]): Compiled[] {
  const options: ts.CompilerOptions = {
    ...projectOptions(),
    noEmit: false,
    declaration: false,
    sourceMap: false,
    outDir: FOLDER,
    rootDir: root,
    module: ts.ModuleKind.CommonJS,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    // Not every user has it: process.env.SECRET is given as it is.
    exactOptionalPropertyTypes: false,
    // Docs show entities as people write them.
    strictPropertyInitialization: false,
    noUnusedLocals: false,
    noUnusedParameters: false,
    isolatedModules: false,
  };
  const exported = new Map(IMPLICIT.map((name) => [name, exportsOf(name, options)]));
  const sources = new Map<string, Source>();
  for (const [at, block] of blocks.entries()) {
    const file = join(FOLDER, `${block.page.replaceAll("/", "-")}-${at}.ts`);
    sources.set(file, sourceOf(block, exported, options));
  }
  const host = ts.createCompilerHost(options);
  const { readFile, fileExists } = host;
  host.readFile = (file) => sources.get(file)?.text ?? readFile(file);
  host.fileExists = (file) => sources.has(file) || fileExists(file);
  const emitted = new Map<string, string>();
  host.writeFile = (file, text) => emitted.set(basename(file, ".js"), text);
  const program = ts.createProgram([...sources.keys()], options, host);
  return Array.from(sources, ([file, { block, prelude, header, attaches }]) => {
    const source = program.getSourceFile(file)!;
    program.emit(source);
    const problems = ts.getPreEmitDiagnostics(program, source).map((diagnostic) => {
      const line = ts.getLineAndCharacterOfPosition(source, diagnostic.start ?? 0).line - header;
      const [page, first] = block.place.split(":");
      return `${page}:${Number(first) + 1 + line}: ${ts.flattenDiagnosticMessageText(diagnostic.messageText, "\n")}`;
    });
    return {
      block,
      problems,
      javascript: emitted.get(basename(file, ".ts"))!,
      file: file.replace(/ts$/, "js"),
      prelude,
      attaches,
    };
  });
}

interface Source {
  readonly block: Block;
  readonly text: string;
  /** Lines before the first of the block. */
  readonly header: number;
  readonly prelude: string;
  readonly attaches: boolean;
}

function sourceOf(
  block: Block,
  exported: ReadonlyMap<string, ReadonlySet<string>>,
  options: ts.CompilerOptions,
): Source {
  const own = join(__dirname, "preludes", `${basename(block.page).toLowerCase()}.ts`);
  const prelude = existsSync(own) ? own : join(__dirname, "preludes", "shop.ts");
  const { imports, body, declared, used } = taken(block.code);
  const given = exportsOf(prelude, options);
  const context = contextOf(prelude, options);
  const attaches = used.has("attachCache");
  const wanted = (names: ReadonlySet<string>) => [...names].filter((name) => used.has(name) && !declared.has(name));
  const fromPrelude = wanted(given);
  const known = new Set([...declared, ...fromPrelude, ...wanted(context)]);
  const lines = [
    'import "reflect-metadata";',
    ...Array.from(exported, ([module, names]) => {
      const needed = wanted(names).filter((name) => !known.has(name));
      for (const name of needed) known.add(name);
      return `import { ${needed.join(", ")} } from ${JSON.stringify(module.replace(/\.ts$/, ""))};`;
    }),
    `import { ${fromPrelude.join(", ")} } from ${JSON.stringify(prelude.replace(/\.ts$/, ""))};`,
    `import type { setUp } from ${JSON.stringify(prelude.replace(/\.ts$/, ""))};`,
    imports,
    `export async function run({ ${wanted(context).join(", ")} }: Awaited<ReturnType<typeof setUp>>): Promise<void> {`,
  ].join("\n");
  return { block, text: `${lines}\n${body}\n}`, header: lines.split("\n").length, prelude, attaches };
}

/** A block's imports, what is left without them and without `export`, and its names. Lines stay where they are. */
function taken(code: string) {
  const source = ts.createSourceFile("block.ts", code, ts.ScriptTarget.Latest, true);
  const declared = new Set<string>();
  const used = new Set<string>();
  let body = code;
  const blank = (from: number, to: number) => {
    body = body.slice(0, from) + body.slice(from, to).replace(/[^\n]/g, " ") + body.slice(to);
  };
  const imports: string[] = [];
  for (const statement of source.statements) {
    if (ts.isImportDeclaration(statement)) {
      imports.push(statement.getText().replaceAll("\n", " "));
      blank(statement.getStart(), statement.end);
      statement.forEachChild(function names(node): void {
        if (ts.isIdentifier(node)) declared.add(node.text);
        node.forEachChild(names);
      });
      continue;
    }
    const modifiers = ts.canHaveModifiers(statement) ? ts.getModifiers(statement) : undefined;
    for (const one of modifiers ?? []) if (one.kind === ts.SyntaxKind.ExportKeyword) blank(one.getStart(), one.end);
    if (ts.isVariableStatement(statement)) {
      for (const { name } of statement.declarationList.declarations) namesIn(name, declared);
    } else if (
      ts.isClassDeclaration(statement) ||
      ts.isFunctionDeclaration(statement) ||
      ts.isInterfaceDeclaration(statement)
    ) {
      if (statement.name !== undefined) declared.add(statement.name.text);
    }
  }
  source.forEachChild(function names(node): void {
    if (ts.isIdentifier(node)) used.add(node.text);
    node.forEachChild(names);
  });
  return { imports: imports.join(" "), body, declared, used };
}

function namesIn(name: ts.BindingName, into: Set<string>): void {
  if (ts.isIdentifier(name)) into.add(name.text);
  else for (const element of name.elements) if (!ts.isOmittedExpression(element)) namesIn(element.name, into);
}

let checker: { readonly program: ts.Program; readonly options: ts.CompilerOptions } | undefined;

/** The names that a module exports. */
function exportsOf(module: string, options: ts.CompilerOptions): ReadonlySet<string> {
  const symbol = moduleSymbol(module, options);
  return new Set(
    symbol.checker
      .getExportsOfModule(symbol.module)
      .map(({ name }) => name)
      .filter((name) => name !== "setUp" && name !== "default"),
  );
}

/** The names of what `setUp` of a prelude returns. */
function contextOf(prelude: string, options: ts.CompilerOptions): ReadonlySet<string> {
  const { checker: types, module } = moduleSymbol(prelude, options);
  const setUp = types.getExportsOfModule(module).find(({ name }) => name === "setUp")!;
  const [signature] = types.getTypeOfSymbol(setUp).getCallSignatures();
  const promised = types.getAwaitedType(types.getReturnTypeOfSignature(signature!))!;
  return new Set(types.getPropertiesOfType(promised).map(({ name }) => name));
}

function moduleSymbol(module: string, options: ts.CompilerOptions) {
  // One more program, which knows all modules that names are taken from.
  checker ??= { program: ts.createProgram(probeFiles(options), options), options };
  const types = checker.program.getTypeChecker();
  const resolved = module.endsWith(".ts")
    ? module
    : ts.resolveModuleName(module, join(FOLDER, "x.ts"), options, ts.sys).resolvedModule?.resolvedFileName;
  const source = resolved === undefined ? undefined : checker.program.getSourceFile(resolved);
  const symbol =
    source === undefined
      ? types.getAmbientModules().find(({ name }) => name === `"${module}"`)
      : types.getSymbolAtLocation(source);
  if (symbol === undefined) throw new Error(`No module ${module}`);
  return { checker: types, module: symbol };
}

function probeFiles(options: ts.CompilerOptions): string[] {
  const preludes = ts.sys.readDirectory(join(__dirname, "preludes"), [".ts"]);
  const packages = IMPLICIT.flatMap(
    (name) =>
      (name.endsWith(".ts") ? name : undefined) ??
      ts.resolveModuleName(name, join(FOLDER, "x.ts"), options, ts.sys).resolvedModule?.resolvedFileName ??
      [],
  );
  return [...preludes, ...packages];
}

function projectOptions(): ts.CompilerOptions {
  const file = join(root, "tsconfig.check.json");
  const { config } = ts.readConfigFile(file, (path) => ts.sys.readFile(path)) as { config: object };
  return ts.parseJsonConfigFileContent({ ...config, include: [], files: ["src/index.ts"] }, ts.sys, dirname(file))
    .options;
}
