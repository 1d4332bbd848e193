// Whether a version may be published: `node scripts/release-check.mjs v1.2.3`, in the folder of the package. Says everything that is
// wrong, and ends with 1; else prints the dist-tag to publish under. .github/workflows/release.yml asks it first.
import { readFileSync } from "node:fs";

/** https://semver.org/#is-there-a-suggested-regular-expression-regex-to-check-a-semver-string, without build metadata, which npm drops. */
const VERSION =
  /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?$/;

/** Sections of a changelog by their title: "[Unreleased]", "[1.2.3] - 2026-01-31". */
function sectionsOf(changelog) {
  const [, ...sections] = changelog.split(/^## /m);
  return new Map(
    sections.map((section) => {
      const [title, ...lines] = section.split("\n");
      return [title.trim(), lines.filter((line) => /^\s*[-*] /.test(line))];
    }),
  );
}

function changelogProblems(version, changelog) {
  const sections = sectionsOf(changelog);
  const problems = [];
  const title = [...sections.keys()].find((each) => each.startsWith(`[${version}]`));
  if (title === undefined) {
    problems.push(`CHANGELOG.md has no section "## [${version}] - YYYY-MM-DD". Move what is under [Unreleased] there.`);
  } else {
    const date = /^\[[^\]]+\] - (\d{4}-\d{2}-\d{2})$/.exec(title)?.[1];
    if (date === undefined || Number.isNaN(Date.parse(date))) {
      problems.push(`CHANGELOG.md: "## ${title}" needs a date: - YYYY-MM-DD.`);
    }
    if (sections.get(title).length === 0) problems.push(`CHANGELOG.md: "## ${title}" says nothing.`);
  }
  if ((sections.get("[Unreleased]") ?? []).length > 0) {
    problems.push("CHANGELOG.md still has entries under [Unreleased]. Move them to the section of this version.");
  }
  return problems;
}

/** npm refuses provenance for a package that names another repository than the one that builds it. */
function repositoryProblems({ repository }, { GITHUB_SERVER_URL = "https://github.com", GITHUB_REPOSITORY }) {
  const url = typeof repository === "object" && repository !== null ? repository.url : repository;
  if (typeof url !== "string" || !/^git\+https:\/\/[^/]+\/.+\.git$/.test(url)) {
    const example = "git+https://github.com/OWNER/NAME.git";
    return [`package.json has no "repository": { "type": "git", "url": "${example}" }. Provenance needs it.`];
  }
  const built = GITHUB_REPOSITORY && `git+${GITHUB_SERVER_URL}/${GITHUB_REPOSITORY}.git`;
  if (!built || built === url) return [];
  return [`package.json names the repository ${url}, but this is ${built}. npm would refuse the provenance.`];
}

function problemsOf(tag, manifest, changelog, environment) {
  const { version } = manifest;
  const problems = [];
  if (!VERSION.test(version)) problems.push(`package.json: version ${version} is not semantic (https://semver.org).`);
  if (tag !== `v${version}`)
    problems.push(`The tag is ${tag}, but package.json says ${version}: the tag must be v${version}.`);
  if (manifest.private === true) problems.push("package.json says private: npm would not publish it.");
  return [...problems, ...repositoryProblems(manifest, environment), ...changelogProblems(version, changelog)];
}

const [tag] = process.argv.slice(2);
if (tag === undefined) {
  console.error("Say which tag: node scripts/release-check.mjs v1.2.3");
  process.exit(2);
}
const manifest = JSON.parse(readFileSync("package.json", "utf8"));
const problems = problemsOf(tag, manifest, readFileSync("CHANGELOG.md", "utf8"), process.env);
for (const problem of problems) console.error(problem);
if (problems.length > 0) process.exit(1);
// What is installed without a version must not be a preview.
console.log(manifest.version.includes("-") ? "next" : "latest");
