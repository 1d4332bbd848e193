import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { startRedis, type RedisServer } from "../support/redis-server";
import { blocks, blocksOf, root } from "./blocks";
import { disconnectAll } from "./tracked-redis";
import { compile, FOLDER, type Compiled } from "./program";
import type { setUp as setUpShop } from "./preludes/shop";

jest.setTimeout(120_000);

/** Blocks that cannot run by nature, at most; each says why, beside it. */
const MOST_COMPILED_ONLY = 6;

const all = blocks();
const typescript = all.filter(({ language }) => language === "ts");

/** For the test of this test. */
const wrong = blocksOf(
  "docs/none.md",
  [
    "```ts\nconst one = 1;\nconst two: string = await products.findOneBy({ id: one });\n```",
    '```ts\nawait products.findOneByOrFail({ sku: "no such" });\n```',
  ].join("\n"),
);

// One program for all: that takes most of the time.
const everything = compile([...typescript, ...wrong]);
const compiled = everything.slice(0, -wrong.length);
const [doesNotCompile, doesNotRun] = everything.slice(-wrong.length);

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(async () => {
  await server.stop();
  rmSync(FOLDER, { recursive: true, force: true });
});

async function run({ file, javascript, prelude, attaches }: Compiled): Promise<void> {
  // A file, since what runs must have the globals of the test: TypeORM compares classes such as String.
  mkdirSync(FOLDER, { recursive: true });
  writeFileSync(file, javascript);
  const { run: runBlock } = jest.requireActual<{ run: (context: object) => Promise<void> }>(file);
  const { setUp } = jest.requireActual<{ setUp: typeof setUpShop }>(prelude);
  const context = await setUp({ url: server.url, attach: !attaches });
  const print = jest.spyOn(console, "log").mockImplementation(() => undefined);
  try {
    await runBlock(context);
  } finally {
    print.mockRestore();
    await context.tearDown();
    disconnectAll();
  }
}

describe("code in the docs", () => {
  it.each(compiled.map((one) => [one.block.place, one] as const))("compiles: %s", (_, { problems }) => {
    expect(problems).toEqual([]);
  });

  const runnable = compiled.filter(({ block, problems }) => !block.compileOnly && problems.length === 0);
  it.each(runnable.map((one) => [one.block.place, one] as const))("runs: %s", (_, one) => run(one));

  it("is run, but for a few blocks that say why not", () => {
    const left = typescript.filter(({ compileOnly }) => compileOnly);
    expect(left.length).toBeLessThanOrEqual(MOST_COMPILED_ONLY);
    expect(typescript.length).toBeGreaterThan(30);
  });

  it("is of languages that are checked, or that need no check", () => {
    expect([...new Set(all.map(({ language }) => language))].sort()).toEqual(["", "json", "python", "sh", "ts"]);
    for (const { language, code } of all) if (language === "json") expect(() => void JSON.parse(code)).not.toThrow();
  });

  it("names npm scripts that there are", () => {
    const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { scripts: object };
    const known = new Set([...Object.keys(scripts), "ci", "install"]);
    const pages = new Set(all.map(({ page }) => `${page}.md`));
    for (const page of pages) {
      const text = readFileSync(join(root, page), "utf8");
      for (const [, name] of text.matchAll(/\bnpm (?:run |(?=test\b))([\w:-]+)/g)) {
        expect({ page, name, isKnown: known.has(name!) }).toEqual({ page, name, isKnown: true });
      }
    }
  });
});

describe("links", () => {
  const anchorsOf = (text: string) => {
    const titles = Array.from(text.replace(/^```[^]*?^```$/gm, "").matchAll(/^#+ (.+)$/gm), ([, title]) => title!);
    return titles.map((title) =>
      title
        .trim()
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\s_-]/gu, "")
        .replace(/\s/g, "-"),
    );
  };

  // The build of the site looks at those between its pages.
  it.each(["README.md", "CHANGELOG.md", "bench/README.md"])("of %s lead somewhere", (page) => {
    const text = readFileSync(join(root, page), "utf8");
    for (const [, link] of text.matchAll(/\]\((?![a-z]+:)([^)\s]+)\)/g)) {
      const [path = "", hash] = link!.split("#");
      const file = path === "" ? join(root, page) : join(root, dirname(page), path);
      expect({ link, isThere: existsSync(file) }).toEqual({ link, isThere: true });
      if (hash !== undefined)
        expect({ link, anchors: anchorsOf(readFileSync(file, "utf8")) }).toEqual({
          link,
          anchors: expect.arrayContaining([hash]) as string[],
        });
    }
  });
});

describe("the test of the docs", () => {
  it("finds what does not compile, and says where", () => {
    expect(doesNotCompile!.problems).toEqual([
      expect.stringMatching(/^docs\/none\.md:3: Type '.*Product.*' is not assignable to type 'string'/),
    ]);
  });

  it("finds what does not run", async () => {
    expect(doesNotRun!.problems).toEqual([]);
    await expect(run(doesNotRun!)).rejects.toThrow(/Could not find/);
  });

  it("takes no comment for a directive that is none", () => {
    expect(() => blocksOf("x.md", "<!-- skip -->\n```ts\n```")).toThrow(/no such directive/);
  });
});
