// Loaded first by programs outside of jest: what "typeorm-coherent" and, here, "@nestjs/typeorm" stand for.
import Module from "node:module";
import { join } from "node:path";

const root = join(__dirname, "..", "..");
const names: Readonly<Record<string, string>> = {
  "typeorm-coherent": join(root, "src", "index.ts"),
  "typeorm-coherent/nest": join(root, "src", "nest", "index.ts"),
  "@nestjs/typeorm": require.resolve("nestjs-typeorm-12"),
};

type Resolve = (request: string, ...rest: unknown[]) => string;
const loader = Module as unknown as { _resolveFilename: Resolve };
const resolve = loader._resolveFilename.bind(loader);
loader._resolveFilename = (request, ...rest) => resolve(names[request] ?? request, ...rest);
