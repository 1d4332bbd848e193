import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ownManifest } from "../../../src/cli/needed";
import * as program from "../../../src/cli/program";
import { DATA_SOURCE, runCli } from "../../support/cli/run-cli";
import { redisForBlock } from "../../support/redis-for-block";
import type { RedisServer } from "../../support/redis-server";

const PASSWORD = "s3cret-p%ss";
const IN_URL = encodeURIComponent(PASSWORD);

/** In memory, and with a Redis that nobody is at. */
const NOWHERE = {
  database: { type: "better-sqlite3", database: ":memory:" },
  redis: `redis://user:${IN_URL}@127.0.0.1:1`,
} as const;

/** In this process, which is quicker: for what comes before anything is connected. */
async function execute(...args: string[]) {
  let [output, errors] = ["", ""];
  const out = jest.spyOn(process.stdout, "write").mockImplementation((text) => ((output += String(text)), true));
  const err = jest.spyOn(process.stderr, "write").mockImplementation((text) => ((errors += String(text)), true));
  try {
    return { code: await program.execute(args), output, errors };
  } finally {
    out.mockRestore();
    err.mockRestore();
  }
}

describe("the command line", () => {
  it.each(["doctor", "explain", "stats", "watch", "invalidate", "triggers"])("has help for %s", async (command) => {
    const { code, output, errors } = await execute(command, "--help");
    expect({ code, errors }).toEqual({ code: 0, errors: "" });
    expect(output).toContain(`Usage: typeorm-coherent ${command}`);
    for (const option of ["--dataSource", "--redis", "--namespace", "--json", "--debug"])
      expect(output).toContain(option);
    expect(output).toMatch(new RegExp(`Examples:\n  \\$ typeorm-coherent ${command} `));
    expect(output).not.toContain("\u001b[");
  });

  it("says its version, and all of its commands", async () => {
    expect(await execute("--version")).toMatchObject({ code: 0, output: `${ownManifest().version}\n` });
    const [help, nothing] = await Promise.all([runCli(["--help"]), runCli([])]);
    expect(help).toMatchObject({ code: 0, output: expect.stringContaining("triggers [options]") as string });
    // Help that nobody asked for is no data.
    expect(nothing).toMatchObject({ code: 2, output: "", errors: expect.stringContaining("Usage:") as string });
  });

  it.each<[string, string[], string]>([
    ["an unknown command", ["cure"], "unknown command 'cure'"],
    ["an unknown option", ["stats", "--colour"], "unknown option '--colour'"],
    ["a number that is none", ["stats", "--limit", "-1"], "--limit"],
    ["no Redis", ["stats"], "REDIS_URL"],
    ["no data source", ["triggers"], "--dataSource"],
    ["no namespace", ["watch"], "--namespace"],
    ["a file that is not there", ["doctor", "-d", "nowhere.ts"], "there is no file nowhere.ts"],
    ["nothing to invalidate", ["invalidate"], "Say one of"],
    ["too much to invalidate", ["invalidate", "Product", "--all"], "Say one of"],
    ["JSON that is none", ["explain", "Product", "--where", "{id:1}"], "--where is no JSON"],
    ["an operator that is none", ["explain", "P", "--where", '{"a":{"$Drop":1}}'], "no operator $Drop"],
    ["a method that is none", ["explain", "P", "findSome"], "findSome"],
  ])("ends with 2 and one line for %s", async (_, args, message) => {
    const { code, output, errors } = await execute(...args);
    expect(errors).toContain(message);
    expect({ code, output }).toEqual({ code: 2, output: "" });
    expect(errors).not.toMatch(/\n\s+at /);
  });

  it("prints stack traces with --debug only", async () => {
    expect((await execute("stats", "--debug")).errors).toMatch(/CacheConfigError: .*\n\s+at /);
  });

  it("names the entities if one is asked for that is none", async () => {
    const { database } = NOWHERE;
    expect(await runCli(["explain", "Produkt", "-d", DATA_SOURCE], { database })).toMatchObject({
      code: 2,
      output: "",
      errors: expect.stringContaining("There is no entity Produkt; there are Product, AuditLog.") as string,
    });
  });

  it("says what is wrong with a module", async () => {
    const folder = mkdtempSync(join(tmpdir(), "coherent-cli-"));
    const file = (name: string, text: string) => {
      writeFileSync(join(folder, name), text);
      return runCli(["doctor", "-d", join(folder, name)]);
    };
    try {
      const [none, broken] = await Promise.all([
        file("none.js", "exports.cacheOptions = {};"),
        file("broken.js", "throw new Error('cannot begin');"),
      ]);
      expect(none).toMatchObject({ code: 2, errors: expect.stringContaining("exports 0 data sources") as string });
      expect(broken).toMatchObject({ code: 2, errors: expect.stringContaining("cannot begin") as string });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe("a password", () => {
  let server: RedisServer;
  redisForBlock((client, itself) => {
    server = itself;
    void client.config("SET", "requirepass", "another one");
  });

  it("is never printed, whatever goes wrong", async () => {
    const wrong = `redis://:${IN_URL}@127.0.0.1:${server.port}`;
    const runs = await Promise.all([
      runCli(["stats", "--debug", "-r", wrong]),
      execute("stats", "--debug", "-r", `redi://:${IN_URL}@127.0.0.1`),
      runCli(["stats", "--debug", "-r", `not a url ${PASSWORD}`], undefined, { REDIS_URL: NOWHERE.redis }),
      runCli(["doctor", "--json", "--debug", "-d", DATA_SOURCE], NOWHERE),
      runCli(["invalidate", "--all", "--debug", "-d", DATA_SOURCE], NOWHERE),
    ]);
    for (const { code, output, errors } of runs) {
      expect(code).toBe(2);
      for (const secret of [PASSWORD, IN_URL]) expect(output + errors).not.toContain(secret);
    }
    expect(runs[0].errors).toContain("WRONGPASS");
    expect(runs[3].output).toContain("redis-connection");
  });
});
