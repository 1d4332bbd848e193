// What is checked beyond types: promises that nobody awaits (the classic cache bug), and who may import whom.
import { readdirSync } from "node:fs";
import { parse } from "node:path";
import eslint from "@eslint/js";
import tseslint from "typescript-eslint";

const LEAVES = ["errors", "events", "options"];
const LOWER = ["near-cache", "feed", "store", "codec", "metadata", "sql"];
const EVERYTHING = ["core", ...LOWER, "telemetry", "read", "write"];

const COMMAND_LINE = {
  imports: [...EVERYTHING, "coherent-cache", "attach-cache"],
  packages: ["typeorm", "ioredis", "commander"],
};

/**
 * Folders and root files of src, lowest first: what each may import from src, and which of the guarded packages. An import
 * that no row allows is an error. docs/architecture.md explains the order.
 */
const LAYERS = {
  core: { imports: [], only: ["node:crypto"] },
  sql: { imports: ["core"] },
  // What a view is made of stands in its SQL.
  metadata: { imports: ["core", "sql"], packages: ["typeorm"] },
  // A codec is compiled from what metadata says about the entity.
  codec: { imports: ["core", "metadata"], packages: ["typeorm"] },
  store: { imports: ["core"] },
  "store/redis": { imports: ["core", "store"], packages: ["ioredis"] },
  // One connection per node, where one server has one.
  "store/redis/cluster": { imports: ["core", "store"], packages: ["ioredis"] },
  feed: { imports: ["core"], packages: ["ioredis"] },
  "near-cache": { imports: ["core", "store"] },
  telemetry: { imports: ["core", "store"] },
  // These two meet only in coherent-cache.
  read: { imports: ["core", ...LOWER, "telemetry"], packages: ["typeorm"] },
  write: { imports: ["core", ...LOWER, "telemetry"], packages: ["typeorm"] },
  "coherent-cache": { file: true, imports: EVERYTHING, packages: ["typeorm"] },
  "attach-cache": { file: true, imports: [...EVERYTHING, "coherent-cache"], packages: ["typeorm"] },
  nest: { imports: [...EVERYTHING, "coherent-cache", "attach-cache"], packages: ["typeorm", "@nestjs"] },
  // Bridges: each is a path of the package of its own, and the only part that knows its package.
  prometheus: { imports: ["core", "telemetry"], packages: ["prom-client"] },
  opentelemetry: { imports: ["core", "telemetry"], packages: ["@opentelemetry/api"] },
  // The program of package.json's "bin"; nothing imports it.
  cli: COMMAND_LINE,
  "cli/commands": COMMAND_LINE,
  "cli/doctor": COMMAND_LINE,
  "cli/redis": COMMAND_LINE,
  index: { file: true, imports: [...EVERYTHING, "coherent-cache", "attach-cache"] },
};

/** Packages that only some layers know: ioredis by its types alone, since the client is the user's. */
const GUARDED = {
  typeorm: { allowTypeImports: false },
  ioredis: { allowTypeImports: true },
  "@nestjs": { allowTypeImports: false },
  "prom-client": { allowTypeImports: false },
  "@opentelemetry/api": { allowTypeImports: false },
  commander: { allowTypeImports: false },
};

const BROWSER_SCRIPTS = ["example-app/page/assets/*.js", "test/page/*.js"];

/** What the scripts of the example's page use of a browser; who misspells another name hears of it. */
const BROWSER = [
  ...["document", "fetch", "EventSource", "FormData", "URLSearchParams", "SVGSVGElement", "HTMLElement"],
  ...["HTMLButtonElement", "HTMLFormElement", "HTMLOListElement", "HTMLSelectElement", "HTMLTableSectionElement"],
  ...["getComputedStyle", "HTMLInputElement"],
];

const unlisted = readdirSync("src")
  .map((entry) => parse(entry).name)
  .filter((name) => !(name in LAYERS) && !LEAVES.includes(name));
if (unlisted.length > 0) throw new Error(`eslint.config.mjs: LAYERS does not list src/${unlisted.join(", src/")}`);

/** Everything that begins with this, but for the names in `except`. */
const beginning = (start, except) => `^${start}(?!(?:${except.join("|")})(?:/|$))`;

function layerRules([layer, { file = false, imports, only, packages = [] }]) {
  const depth = file ? 0 : layer.split("/").length;
  const up = depth === 0 ? "\\./" : `(?:\\.\\./){${depth}}`;
  const allowed = [...imports, ...(layer === "core" ? [] : LEAVES)];
  const patterns = [
    {
      regex: beginning(up, allowed.length > 0 ? allowed : ["nothing"]),
      message: `src/${layer} may import from src only: ${allowed.join(", ") || "itself"}.`,
    },
    { regex: `^(?:\\.\\./){${depth + 1}}`, message: "src imports nothing from outside of src." },
  ];
  if (only) patterns.push({ regex: `^(?!\\.|(?:${only.join("|")})$)`, message: `src/${layer} imports only ${only}.` });
  for (const [name, { allowTypeImports }] of Object.entries(GUARDED)) {
    if (!packages.includes(name)) {
      patterns.push({ regex: `^${name}(?:/|$)`, message: `src/${layer} does not know ${name}.` });
    } else if (allowTypeImports) {
      patterns.push({ regex: `^${name}(?:/|$)`, allowTypeImports, message: `Only types of ${name}.` });
    }
  }
  return {
    files: [file ? `src/${layer}.ts` : `src/${layer}/**/*.ts`],
    // A nested folder has rules of its own.
    ignores: Object.keys(LAYERS)
      .filter((other) => other.startsWith(`${layer}/`))
      .map((other) => `src/${other}/**`),
    rules: { "no-restricted-imports": ["error", { patterns }] },
  };
}

export default tseslint.config(
  { ignores: ["dist/", "coverage/", "docs/", ".tmp/"] },
  eslint.configs.recommended,
  {
    files: ["**/*.ts"],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      "@typescript-eslint/no-floating-promises": "error",
      "@typescript-eslint/no-misused-promises": "error",
      "@typescript-eslint/no-explicit-any": "error",
      "@typescript-eslint/consistent-type-imports": ["error", { fixStyle: "inline-type-imports" }],
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_" }],
      // An async method without await is how a synchronous store keeps the contract: what it throws becomes a rejection.
      "@typescript-eslint/require-await": "off",
      eqeqeq: ["error", "always", { null: "ignore" }],
      // Nothing that comes out of a store or a channel may ever be run.
      "no-eval": "error",
      "no-implied-eval": "off",
      "@typescript-eslint/no-implied-eval": "error",
      "no-new-func": "error",
      // House style: past 300 lines a file has more than one idea.
      "max-lines": ["error", 300],
    },
  },
  ...Object.entries(LAYERS).map(layerRules),
  {
    files: LEAVES.map((leaf) => `src/${leaf}.ts`),
    rules: {
      "no-restricted-imports": [
        "error",
        { patterns: [{ regex: ".", allowTypeImports: true, message: "A leaf imports nothing but types." }] },
      ],
    },
  },
  {
    files: ["example-app/**/*.ts"],
    rules: {
      "no-restricted-imports": [
        "error",
        {
          patterns: [
            {
              regex: "^(?:\\.\\./)+(?:src|dist|test|bench|scripts)(?:/|$)",
              message: "Only public names, as users do.",
            },
            { regex: "^typeorm-coherent/(?!(?:nest|prometheus|opentelemetry)$)", message: "Not a public path." },
          ],
        },
      ],
    },
  },
  {
    // Tests build odd values on purpose, and entities are classes of every shape.
    files: ["test/**/*.ts"],
    rules: {
      "@typescript-eslint/no-explicit-any": "off",
      "@typescript-eslint/no-unsafe-argument": "off",
      "@typescript-eslint/no-unsafe-assignment": "off",
      "@typescript-eslint/no-unsafe-call": "off",
      "@typescript-eslint/no-unsafe-member-access": "off",
      "@typescript-eslint/no-unsafe-return": "off",
      "@typescript-eslint/unbound-method": "off",
      "max-lines": "off",
    },
  },
  {
    files: ["**/*.{js,cjs,mjs}"],
    languageOptions: {
      globals: {
        process: "readonly",
        Buffer: "readonly",
        console: "readonly",
        URL: "readonly",
        setTimeout: "readonly",
        clearTimeout: "readonly",
      },
    },
  },
  {
    // Runs in browsers.
    files: BROWSER_SCRIPTS,
    languageOptions: {
      globals: Object.fromEntries(BROWSER.map((name) => [name, "readonly"])),
    },
  },
  {
    files: ["**/*.{js,cjs}"],
    ignores: BROWSER_SCRIPTS,
    languageOptions: {
      sourceType: "commonjs",
      globals: { require: "readonly", module: "writable", __dirname: "readonly" },
    },
  },
);
