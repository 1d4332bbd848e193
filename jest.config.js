// `npx jest --selectProjects unit` needs a redis-server only; the two typeorm projects run the same files on every
// database, once per TypeORM line. What a run needs is found or started by scripts/services.

/** Types are checked by `npm run typecheck`; here they are only stripped, which takes a tenth of the time. */
const typescript = ["ts-jest", { tsconfig: "<rootDir>/test/tsconfig.json", diagnostics: { ignoreCodes: [151001] } }];

const project = (displayName, folders, more) => ({
  displayName,
  rootDir: __dirname,
  testEnvironment: "node",
  roots: ["<rootDir>/src", "<rootDir>/test"],
  testMatch: folders.map((folder) => `<rootDir>/test/${folder}/**/*.test.ts`),
  transform: { "\\.ts$": typescript },
  setupFiles: ["reflect-metadata"],
  ...more,
});

const publicName = {
  "^typeorm-coherent$": "<rootDir>/src/index.ts",
  "^typeorm-coherent/(\\w+)$": "<rootDir>/src/$1/index.ts",
};

const onEveryDatabase = (displayName, moduleNameMapper) =>
  project(displayName, ["integration", "faults", "types", "nest"], {
    moduleNameMapper: { ...publicName, ...moduleNameMapper },
    globalSetup: "<rootDir>/test/support/setup-databases.mjs",
    globalTeardown: "<rootDir>/test/support/teardown-databases.mjs",
  });

module.exports = {
  // Half of the time of most files is waiting: one more than two cores can run at once keeps them busy.
  maxWorkers: 3,
  // What earlier files have left behind makes later ones slow: a worker that has grown is replaced.
  workerIdleMemoryLimit: "500MB",
  testTimeout: 30_000,
  reporters: ["default", "<rootDir>/test/support/report.js"],
  projects: [
    project("unit", ["unit", "contract", "model", "outages", "page", "docs"], {
      moduleNameMapper: publicName,
      globalSetup: "<rootDir>/test/support/setup-redis.mjs",
    }),
    onEveryDatabase("typeorm-1", {}),
    {
      ...onEveryDatabase("typeorm-0.3", { "^typeorm$": "typeorm-0.3", "^typeorm/(.*)$": "typeorm-0.3/$1" }),
      // Minutes of waiting, in which TypeORM has no part; and processes whose use of it test/unit/cli tries with 0.3.
      testPathIgnorePatterns: ["/node_modules/", "/faults/near-torture", "/integration/command-line"],
    },
    project("package", ["package"], { globalSetup: "<rootDir>/test/support/setup-redis.mjs" }),
  ],
};
