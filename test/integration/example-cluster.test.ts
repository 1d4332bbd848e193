import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { typeormLine } from "../support/databases";
import { startRedis } from "../support/redis-server";

jest.setTimeout(120_000);

const root = join(__dirname, "..", "..");

/** The example as a user starts it, but on the library's sources: these tests need no build. */
async function run(...args: string[]) {
  const resolveLibrary = `
    import Module from "node:module";
    const resolve = Module._resolveFilename;
    Module._resolveFilename = (request, ...rest) =>
      request === "typeorm-coherent" ? ${JSON.stringify(join(root, "src", "index.ts"))} : resolve.call(Module, request, ...rest);`;
  const hook = `data:text/javascript,${encodeURIComponent(resolveLibrary)}`;
  const script = ["scripts/run-ts.cjs", "example-app/cluster/main.ts", "--typeorm", typeormLine, ...args];
  const child = spawn(process.execPath, ["--import", hook, ...script], {
    cwd: root,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  let errors = "";
  child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (errors += chunk.toString()));
  const [code] = (await once(child, "close")) as [number];
  return { code, output, errors };
}

describe("the example of two processes", () => {
  it("shows that both serve what either writes, and what a third program writes past both", async () => {
    const server = await startRedis();
    try {
      const { code, output, errors } = await run("--redis", server.url);
      expect(errors).toBe("");
      expect(output).not.toContain("✗");
      expect(output).toContain("Every value was right.");
      for (const name of ["A", "B"]) {
        expect(output).toMatch(new RegExp(`✓ ${name} reads [\\d.]+ \\(hit\\)`));
        expect(output).toMatch(new RegExp(`→ ${name} hears: update product 17`));
      }
      expect(code).toBe(0);
    } finally {
      await server.stop();
    }
  });

  it("says what its flags are, and refuses others", async () => {
    expect(await run("--help")).toMatchObject({ code: 0, output: expect.stringContaining("--redis URL") as string });
    expect(await run("--serve")).toMatchObject({ code: 2, errors: expect.stringContaining("--serve") as string });
  });
});
