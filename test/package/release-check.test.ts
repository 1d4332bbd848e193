import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { root } from "./packed";

const URL = "git+https://github.com/someone/typeorm-coherent.git";

let folder: string;
beforeAll(() => (folder = mkdtempSync(join(tmpdir(), "coherent-release-"))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Release {
  tag?: string;
  manifest?: object;
  changelog?: string;
  environment?: object;
}

/** Asks about a release that is good but for what is given. */
function check({ tag = "v1.2.3", manifest = {}, changelog, environment = {} }: Release) {
  const good = { name: "typeorm-coherent", version: "1.2.3", repository: { type: "git", url: URL } };
  const text = changelog ?? "# Changelog\n\n## [Unreleased]\n\n## [1.2.3] - 2026-01-31\n\n### Fixed\n\n- A bug.\n";
  writeFileSync(join(folder, "package.json"), JSON.stringify({ ...good, ...manifest }));
  writeFileSync(join(folder, "CHANGELOG.md"), text);
  const { GITHUB_REPOSITORY: _, ...outside } = process.env;
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, "scripts", "release-check.mjs"), tag], {
    cwd: folder,
    encoding: "utf8",
    env: { ...outside, ...environment },
  });
  return { status, stdout: stdout.trim(), problems: stderr.trim().split("\n").filter(Boolean) };
}

describe("scripts/release-check.mjs", () => {
  it("lets a release pass whose tag, manifest and changelog agree", () => {
    expect(check({})).toEqual({ status: 0, stdout: "latest", problems: [] });
    expect(check({ environment: { GITHUB_REPOSITORY: "someone/typeorm-coherent" } }).status).toBe(0);
  });

  it("has a preview published under next", () => {
    const changelog = "## [2.0.0-rc.1] - 2026-02-01\n\n- First look.\n";
    const preview = check({ tag: "v2.0.0-rc.1", manifest: { version: "2.0.0-rc.1" }, changelog });
    expect(preview).toEqual({ status: 0, stdout: "next", problems: [] });
  });

  it.each<[string, Release, RegExp]>([
    ["another tag", { tag: "v1.2.4" }, /The tag is v1\.2\.4, but package\.json says 1\.2\.3/],
    ["a tag without v", { tag: "1.2.3" }, /the tag must be v1\.2\.3/],
    ["a private package", { manifest: { private: true } }, /says private/],
    ["no repository", { manifest: { repository: undefined } }, /no "repository"/],
    ["a repository that is no https URL", { manifest: { repository: "someone/typeorm-coherent" } }, /no "repository"/],
    [
      "a build in another repository",
      { environment: { GITHUB_REPOSITORY: "fork/typeorm-coherent" } },
      /but this is git\+https:\/\/github\.com\/fork\/typeorm-coherent\.git/,
    ],
    [
      "no section in the changelog",
      { changelog: "## [1.2.2] - 2026-01-01\n\n- Older.\n" },
      /no section "## \[1\.2\.3\]/,
    ],
    ["a section without a date", { changelog: "## [1.2.3]\n\n- A bug.\n" }, /needs a date/],
    ["a section with an odd date", { changelog: "## [1.2.3] - 2026-13-31\n\n- A bug.\n" }, /needs a date/],
    ["an empty section", { changelog: "## [1.2.3] - 2026-01-31\n\n### Fixed\n" }, /says nothing/],
    [
      "entries that are not released",
      { changelog: "## [Unreleased]\n\n- Forgotten.\n\n## [1.2.3] - 2026-01-31\n\n- A bug.\n" },
      /still has entries under \[Unreleased\]/,
    ],
  ])("refuses %s, and nothing else of it", (_what, release, message) => {
    const { status, stdout, problems } = check(release);
    expect(status).toBe(1);
    expect(stdout).toBe("");
    expect(problems).toEqual([expect.stringMatching(message)]);
  });

  it("refuses a version that is not semantic", () => {
    const odd = check({ tag: "v1.2", manifest: { version: "1.2" }, changelog: "## [1.2] - 2026-01-31\n\n- A bug.\n" });
    expect(odd.problems).toEqual([expect.stringContaining("version 1.2 is not semantic")]);
  });
});
