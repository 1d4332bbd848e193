import { runInNewContext } from "node:vm";
import { In, MoreThan } from "typeorm";
import { isInRange } from "../../../src/cli/doctor/version-range";
import { withOperators } from "../../../src/cli/find-operators";
import { migrationText } from "../../../src/cli/migration";
import { ownManifest } from "../../../src/cli/needed";
import { Secrets } from "../../../src/cli/secrets";
import { bytes, columns } from "../../../src/cli/terminal";

describe("isInRange", () => {
  it.each([
    ["20.19.0", "^20.19 || >=22.13", true],
    ["20.18.9", "^20.19 || >=22.13", false],
    ["21.7.0", "^20.19 || >=22.13", false],
    ["22.13.0", "^20.19 || >=22.13", true],
    ["24.0.1", "^20.19 || >=22.13", true],
    ["0.3.20", "^0.3.20 || ^1.0.0", true],
    ["0.3.19", "^0.3.20 || ^1.0.0", false],
    ["0.4.0", "^0.3.20 || ^1.0.0", false],
    ["1.9.9", "^0.3.20 || ^1.0.0", true],
    ["2.0.0", "^0.3.20 || ^1.0.0", false],
    ["1.0.0-beta.2", "^1.0.0", true],
  ])("%s in %s: %s", (version, range, expected) => {
    expect(isInRange(version, range)).toBe(expected);
  });

  it("understands every range of the package", () => {
    const { engines, peerDependencies } = ownManifest();
    for (const range of [engines.node, ...Object.values(peerDependencies)])
      expect(isInRange("0.0.0", range)).toBe(false);
    expect(() => isInRange("1.0.0", "~1.0")).toThrow(RangeError);
  });
});

describe("withOperators", () => {
  it("makes TypeORM's operators of objects with a $", () => {
    expect(withOperators({ a: 1, b: { $In: [1, 2] }, c: [{ d: { $MoreThan: { $Date: "2026-01-05" } } }] })).toEqual({
      a: 1,
      b: In([1, 2]),
      c: [{ d: MoreThan(new Date("2026-01-05")) }],
    });
  });

  it("knows no others: Raw would be SQL out of a command line", () => {
    expect(() => withOperators({ a: { $Raw: "1" } })).toThrow(/no operator \$Raw/);
  });
});

describe("Secrets", () => {
  it("hides what it was told in each form that it is printed in", () => {
    const secrets = new Secrets();
    secrets.addUrl("redis://user:p%40ss%22w@host");
    secrets.add("ab");
    expect(secrets.hide('p@ss"w p%40ss%22w "p@ss\\"w" ab')).toBe('*** *** "***" ab');
  });
});

describe("migrationText", () => {
  it("keeps every character of the statements", async () => {
    const statement = "SELECT '`${a}\\n' AS \"x\"";
    const text = migrationText("commonjs", "Migration1700000000000", { up: [statement], down: [] });
    type Exports = Record<string, new () => { name: string; up(runner: object): Promise<void> }>;
    const { exports } = runInNewContext(`${text}; module`, { module: { exports: {} } }) as { exports: Exports };
    const migration = new exports["Migration1700000000000"]!();
    const sent: string[] = [];
    await migration.up({ query: (sql: string) => void sent.push(sql) });
    expect(sent).toEqual([statement]);
    expect(migration.name).toBe("Migration1700000000000");
  });
});

describe("what is printed", () => {
  it("has columns below each other, and bytes as one reads them", () => {
    expect(
      columns([
        ["a", "b"],
        ["long", "c"],
      ]),
    ).toEqual(["a     b", "long  c"]);
    expect([0, 1023, 1024, 1536 * 1024].map(bytes)).toEqual(["0 B", "1023 B", "1.0 KiB", "1.5 MiB"]);
  });
});
