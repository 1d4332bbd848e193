import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DataSource, DataSourceOptions } from "typeorm";
import { attachCache, MemoryStore } from "typeorm-coherent";
import { AuditLog, Product } from "../support/cli/entities";
import { DATA_SOURCE, runCli } from "../support/cli/run-cli";
import { describeEachDatabase } from "../support/databases";

describeEachDatabase("the command line", (database) => {
  const folder = mkdtempSync(join(tmpdir(), "coherent-cli-"));
  let dataSource: DataSource;
  beforeAll(async () => {
    dataSource = await database.open([Product, AuditLog], { file: true });
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const run = (...args: string[]) => {
    const { entities: _, ...options } = dataSource.options;
    return runCli([...args, "-d", DATA_SOURCE], {
      database: options as DataSourceOptions,
      namespace: "shop",
      lockTtl: 600_000,
    });
  };
  /** What the feed itself would find missing. */
  const missing = async () => {
    const cache = await attachCache(dataSource, { store: new MemoryStore(), namespace: "shop" });
    const found = await cache.feeds.missingTriggers();
    if (found.length === 0) expect(await cache.feeds.installTriggers()).toEqual([]);
    await cache.close();
    return found.join();
  };

  it("installs and removes triggers, and knows whether they are there", async () => {
    const before = await run("triggers", "--check", "--json");
    expect(before.code).toBe(1);
    expect(JSON.parse(before.output)).toMatchObject({ installed: false });
    const installed = await run("triggers", "--install");
    expect(installed).toMatchObject({ code: 0, output: expect.stringMatching(/^Installed: .*product/) as string });
    expect(installed.errors).toContain("No Redis is known");
    const [found, after] = [await missing(), await run("triggers", "--check")];
    expect({ found, code: after.code }).toEqual({ found: "", code: 0 });
    expect(await run("triggers", "--uninstall")).toMatchObject({ code: 0, errors: "" });
    expect(await missing()).toContain("product");
  });

  it("writes a migration, which TypeORM runs and reverts", async () => {
    const { code, output } = await run("triggers", "--migration", join(folder, "1700000000000-Triggers.cjs"), "--json");
    expect({ code, files: readdirSync(folder) }).toEqual({ code: 0, files: ["1700000000000-Triggers.cjs"] });
    const { file } = JSON.parse(output) as { file: string };
    const exported = createRequire(__filename)(file) as Record<string, never>;
    expect(Object.keys(exported)).toEqual(["CoherentTriggers1700000000000"]);
    const migrating = await database.open([Product, AuditLog], {
      ...dataSource.options,
      synchronize: false,
      migrations: Object.values(exported),
    });
    try {
      await migrating.runMigrations();
      expect(await missing()).toBe("");
      await migrating.undoLastMigration();
      expect(await missing()).toContain("product");
    } finally {
      await migrating.query(`DROP TABLE ${migrating.driver.escape("migrations")}`);
      await migrating.destroy();
    }
    // In TypeScript, into a folder, and not over what is there.
    expect((await run("triggers", "--migration", file)).code).toBe(2);
    await run("triggers", "--migration", folder);
    const typescript = readdirSync(folder).find((name) => name.endsWith("-CoherentTriggers.ts"))!;
    expect(readFileSync(join(folder, typescript), "utf8")).toMatch(
      /^import type \{ MigrationInterface, QueryRunner \} from "typeorm";\n[^]*export class CoherentTriggers\d{13} implements MigrationInterface/,
    );
  });

  it("measures COMMIT, and leaves the data alone", async () => {
    const rows = () => dataSource.getRepository(Product).find();
    const before = await rows();
    const { code, output } = await run("doctor", "--json", "--commits", "5");
    const checks = JSON.parse(output).checks as { id: string; status: string; seen: string }[];
    const seen = (id: string) => checks.find((one) => one.id === id);
    expect(seen("lock-ttl")).toMatchObject({
      status: "ok",
      seen: expect.stringMatching(
        /COMMIT takes [\d.]+ ms, the slowest of \d+ [\d.]+ ms, of .*lockTtl is 600000 ms/,
      ) as string,
    });
    expect(seen("replica-reads")).toMatchObject({ status: "ok" });
    expect(seen("paused-process")?.status).toBe(database.name === "postgres" ? "ok" : undefined);
    expect(code).toBe(0);
    expect(await rows()).toEqual(before);
  });
});
