// `npm run fuzz -- [cases]`: the tests with hostile input, with a million cases unless told otherwise.
import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";

const cases = process.argv[2] ?? "1000000";
const jest = createRequire(import.meta.url).resolve("jest/bin/jest");
const args = [jest, "--selectProjects", "unit", "--testPathPatterns", "unit/hostile/fuzz"];
const env = { ...process.env, FUZZ_CASES: cases };
process.exitCode = spawnSync(process.execPath, args, { stdio: "inherit", env }).status ?? 1;
