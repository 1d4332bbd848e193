import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startRedis, type RedisServer } from "../support/redis-server";
import { engineOf, equip, LINES, tryEngine } from "./engines";
import { entries, installedVersion, manifest, Packed, root, run, runInApp } from "./packed";
import { isRecording, publicNames, recordNames } from "./public-names";
import { othersThan, ownPlace, PackageSize } from "./size";

const bin = (name: string) => join(root, "node_modules", ".bin", name);

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
    for (const target of Object.values(manifest.exports)) {
      const wanted = typeof target === "string" ? [target] : [target.types, target.default];
      expect(files).toEqual(expect.arrayContaining(wanted.map((file) => file.replace("./", ""))));
    }
    expect(files.filter((file) => !/^(dist\/.*\.(js|js\.map|d\.ts|lua)|[^/]+)$/.test(file))).toEqual([]);
  });
});

const VERSIONS = [installedVersion("typeorm"), installedVersion("typeorm-0.3")] as const;

/** What the peer range of package.json was last tried with. */
const NEWEST_NEST = "12.5.1";

/** Checks programs of an app, CommonJS and ES modules, under the strictest rules. Our own declarations are checked through what they use. */
function expectTypes(app: string, name: string, code: string): void {
  const files = [`${name}.cts`, `${name}.mts`];
  for (const file of files) writeFileSync(join(app, file), code);
  const flags = [
    "--ignoreConfig",
    "--noEmit",
    "--strict",
    "--skipLibCheck",
    "--target",
    "es2023",
    "--module",
    "node20",
  ];
  const decorators = ["--experimentalDecorators", "--emitDecoratorMetadata"];
  const types = ["--types", "node", "--typeRoots", join(root, "node_modules", "@types")];
  run(bin("tsc"), [...files, ...flags, ...decorators, ...types], app);
}

describe.each(VERSIONS)("installed next to TypeORM %s", (version) => {
  let app: string;
  beforeAll(() => {
    app = packed.install(version);
  });

  it("can be required and imported without anything that is optional", () => {
    expect(runInApp(app, "entries.mjs", [manifest.name])).toEqual({
      [manifest.name]: expect.arrayContaining([...publicNames()[manifest.name]!]),
    });
  });

  it("loads nothing of its command line", () => {
    const code = `require("typeorm-coherent"); console.log(Object.keys(require.cache).join("\\n"))`;
    const loaded = run("node", ["-e", code], app);
    expect(loaded).toContain("typeorm-coherent");
    expect(loaded).not.toMatch(/commander|dist.cli/);
  });

  it("has a command line, which loads modules of either kind", () => {
    const cli = join(app, "node_modules", ".bin", "typeorm-coherent");
    expect(run(cli, ["--version"], app)).toEqual(expect.stringMatching(/^\d+\.\d+\.\d+\n$/));
    expect(run(cli, ["doctor"], app)).toMatch(new RegExp(`^ok +typeorm +typeorm ${version}$`, "m"));
    writeFileSync(join(app, "data-source.mjs"), "export const nothing = await Promise.resolve(1);");
    expect(() => run(cli, ["doctor", "-d", "data-source.mjs"], app)).toThrow(/data-source\.mjs exports 0 data sources/);
    expect(() => run(cli, ["stats", "-r", "redis://localhost"], app)).toThrow(/npm install ioredis/);
  });

  it("has types that a strict program agrees with, in both module systems", () => {
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
    expectTypes(app, "usage", code);
  });

  if (version === VERSIONS[0]) {
    it("runs a Nest app on Nest 12, where the other tests have 11", () => {
      const nest = ["common", "core"].map((name) => `@nestjs/${name}@${NEWEST_NEST}`);
      const typeorm = `@nestjs/typeorm@${installedVersion("nestjs-typeorm-12")}`;
      packed.add(app, [...nest, typeorm, `rxjs@${installedVersion("rxjs")}`]);
      expect(runInApp(equip(app), "nest.mjs")).toEqual({ version: NEWEST_NEST, hits: 1, price: 2 });
    });
  }

  describe("and next to what is optional", () => {
    beforeAll(() => equip(app));

    it("has every entry, with all the names that it had, required and imported alike", () => {
      const names = runInApp(app, "entries.mjs", entries) as Record<string, string[]>;
      if (isRecording) recordNames(names);
      for (const entry of entries) {
        expect(names[entry]).not.toEqual([]);
        // A name that goes is a new major.
        expect(names[entry]).toEqual(expect.arrayContaining([...(publicNames()[entry] ?? [])]));
      }
    });

    it("has types for every entry, in both module systems", () => {
      const every = entries.map((entry, at) => `import * as entry${at} from "${entry}"; export { entry${at} };`);
      const code = `
        import "reflect-metadata";
        import { Module } from "@nestjs/common";
        import { MemoryStore, type CachedRepository, type CacheOptions } from "typeorm-coherent";
        import { cachedDataSource, CoherentCacheModule, InjectCachedRepository } from "typeorm-coherent/nest";

        class Product { id!: number; }
        @Module({ imports: [CoherentCacheModule.forRoot({ store: new MemoryStore() }), CoherentCacheModule.forFeature([Product])] })
        export class AppModule {
          constructor(@InjectCachedRepository(Product, "audit") readonly products: CachedRepository<Product>) {}
        }
        export const dataSourceFactory = cachedDataSource(() => ({ transparent: true }));
        CoherentCacheModule.forRootAsync({ dataSource: "audit", inject: [AppModule], useFactory: () => ({ consistency: "strict" }) });
        // @ts-expect-error -- not a consistency
        CoherentCacheModule.forRoot({ consistency: "eventual" });
        // @ts-expect-error -- belongs beside useFactory
        CoherentCacheModule.forRootAsync({ useFactory: (): CacheOptions => ({ dataSource: "audit", ttl: 1 }) });`;
      expectTypes(app, "entries", [...every, code].join("\n"));
    });

    describe("on other versions of Node.js", () => {
      let redis: RedisServer;
      beforeAll(async () => {
        redis = await startRedis();
      });
      afterAll(() => redis.stop());

      // The one that runs this has all the other tests.
      const others = LINES.filter((line) => line.split(".")[0] !== process.versions.node.split(".")[0]);
      for (const line of others) {
        const engine = engineOf(line);
        if ("missing" in engine && process.env["CI"] !== "true") {
          it.skip(engine.missing, () => undefined);
          continue;
        }
        it(`requires and imports every entry, and writes, misses and hits on the line of ${line}`, () => {
          if ("missing" in engine) throw new Error(engine.missing);
          const { names, memory, redis: inRedis } = tryEngine(engine.binary, app, redis.url);
          expect(Object.keys(names)).toEqual(entries);
          expect([memory.prices, inRedis.prices]).toEqual([
            [2, 2],
            [2, 2],
          ]);
        });
      }
    });
  });
});

describe("the size", () => {
  let app: string;
  let size: PackageSize;
  beforeAll(() => {
    app = equip(packed.install(VERSIONS[0]));
    size = new PackageSize(join(app, "node_modules", manifest.name), packed.tarball);
    if (isRecording) size.record();
  });

  it("of the tarball is within its budget", () => {
    expect(size.excess()).toEqual([]);
  });

  it.each(entries)("of what require(%j) loads is within its budget, and nothing of other entries is in it", (entry) => {
    const loaded = size.loadedBy(entry, app);
    expect(loaded.bytes).toBeGreaterThan(0);
    expect(size.excessOf(entry, loaded)).toEqual([]);
    const foreign = othersThan(entry).map(ownPlace);
    expect(loaded.files.filter((file) => foreign.some((place) => file.startsWith(place)))).toEqual([]);
  });

  it("of the library alone is all that a require of it loads: nothing that is optional", () => {
    const { packages } = size.loadedBy(manifest.name, app);
    expect(packages).toEqual(expect.arrayContaining(["typeorm", "lru-cache", "ms"]));
    const optional = Object.keys(manifest.peerDependenciesMeta);
    expect(optional.every((name) => existsSync(join(app, "node_modules", name)))).toBe(true);
    expect(packages.filter((name) => optional.includes(name))).toEqual([]);
  });
});
