import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { installedVersion, Packed, root, run } from "./packed";

const PUBLIC_NAMES = ["Cached", "CacheKey", "attachCache", "RedisStore", "MemoryStore", "CacheError"];

/** Prints the public names, as one line of JSON. */
const PRINT_NAMES = "console.log(JSON.stringify(Object.keys(library).filter((name) => name !== 'default').sort()))";

const bin = (name: string) => join(root, "node_modules", ".bin", name);

const { version: ownVersion } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };

jest.setTimeout(300_000);

let packed: Packed;
beforeAll(() => {
  packed = new Packed();
});
afterAll(() => packed?.remove());

describe("the tarball", () => {
  it("passes publint", () => {
    run(bin("publint"), ["run", packed.tarball, "--strict"]);
  });

  it("has types that every module resolution finds (attw)", () => {
    run(bin("attw"), [packed.tarball, "--profile", "node16"]);
  });

  it("has the scripts of Redis, and nothing that is for developing only", () => {
    const files = run("tar", ["-tzf", packed.tarball])
      .trim()
      .split("\n")
      .map((file) => file.replace("package/", ""));
    const scripts = ["store/redis/scripts", "feed/scripts"].flatMap((folder) =>
      readdirSync(join(root, "src", folder)).map((name) => `dist/${folder}/${name}`),
    );
    expect(files).toEqual(
      expect.arrayContaining([...scripts, "LICENSE", "README.md", "dist/index.js", "dist/index.d.ts"]),
    );
    expect(files.filter((file) => !/^(dist\/.*\.(js|js\.map|d\.ts|lua)|[^/]+)$/.test(file))).toEqual([]);
  });
});

describe.each([installedVersion("typeorm"), installedVersion("typeorm-0.3")])(
  "installed next to TypeORM %s",
  (version) => {
    let app: string;
    beforeAll(() => {
      app = packed.install(version);
    });

    it("can be required", () => {
      const names: unknown = JSON.parse(
        run("node", ["-e", `const library = require("typeorm-coherent"); ${PRINT_NAMES}`], app),
      );
      expect(names).toEqual(expect.arrayContaining(PUBLIC_NAMES));
    });

    it("loads nothing of its command line", () => {
      const code = `require("typeorm-coherent"); console.log(Object.keys(require.cache).join("\\n"))`;
      const loaded = run("node", ["-e", code], app);
      expect(loaded).toContain("typeorm-coherent");
      expect(loaded).not.toMatch(/commander|dist.cli/);
    });

    it("has a command line, which loads modules of either kind", () => {
      const bin = join(app, "node_modules", ".bin", "typeorm-coherent");
      expect(run(bin, ["--version"], app)).toBe(`${ownVersion}\n`);
      expect(run(bin, ["doctor"], app)).toMatch(new RegExp(`^ok +typeorm +typeorm ${version}$`, "m"));
      // An export of a promise, as a top-level await leaves it.
      const module = `export const nothing = await Promise.resolve(1); export { DataSource } from "typeorm";`;
      writeFileSync(join(app, "data-source.mjs"), module);
      expect(() => run(bin, ["doctor", "-d", "data-source.mjs"], app)).toThrow(
        /data-source\.mjs exports 0 data sources/,
      );
      expect(() => run(bin, ["stats", "-r", "redis://localhost"], app)).toThrow(/npm install ioredis/);
    });

    it("can be imported by name, and is the same module as the required one", () => {
      // One registry of decorators, whichever way an entity's file came by them.
      const code = `
      import { createRequire } from "node:module";
      import { ${PUBLIC_NAMES.join(", ")} } from "typeorm-coherent";
      import * as library from "typeorm-coherent";
      const required = createRequire(import.meta.url)("typeorm-coherent");
      for (const name of Object.keys(required)) {
        if (required[name] !== library[name]) throw new Error("import cannot name " + name);
      }
      ${PRINT_NAMES}`;
      writeFileSync(join(app, "import.mjs"), code);
      expect(JSON.parse(run("node", ["import.mjs"], app))).toEqual(expect.arrayContaining(PUBLIC_NAMES));
    });

    it.each(["usage.cts", "usage.mts"])("has types that a strict program agrees with (%s)", (file) => {
      const code = `
      import "reflect-metadata";
      import { attachCache, CacheError, Cached, CacheKey, MemoryStore } from "typeorm-coherent";
      import { Column, DataSource, Entity, PrimaryGeneratedColumn, type Repository } from "typeorm";

      @Entity()
      @Cached({ strategy: "write-through", ttl: "10m" })
      @CacheKey(["tenant", "slug"])
      export class Product {
        @PrimaryGeneratedColumn() id!: number;
        @CacheKey() @Column() sku!: string;
        @Column() tenant!: string;
        @Column() slug!: string;
      }

      export async function find(dataSource: DataSource): Promise<Product | null> {
        const cache = await attachCache(dataSource, { store: new MemoryStore() });
        const products: Repository<Product> = cache.repository(Product);
        return products.findOneBy({ sku: "A-1" });
      }

      export const codeOf = (error: unknown): string | undefined => (error instanceof CacheError ? error.code : undefined);

      // @ts-expect-error -- not a strategy
      Cached({ strategy: "sometimes" });`;
      writeFileSync(join(app, file), code);
      const target = [
        "--target",
        "es2023",
        "--module",
        "node20",
        "--experimentalDecorators",
        "--emitDecoratorMetadata",
      ];
      const types = ["--types", "node", "--typeRoots", join(root, "node_modules", "@types")];
      // Our own declarations are checked through what this program uses; those of TypeORM are not ours to check.
      run(bin("tsc"), [file, "--ignoreConfig", "--noEmit", "--strict", "--skipLibCheck", ...target, ...types], app);
    });
  },
);
