/** Pages of the site that lie elsewhere in the repository, by how docs/*.md link to them; build.mjs copies them. */
export const OUTSIDE = {
  "../bench/README.md": "benchmarks.md",
  "../CHANGELOG.md": "changelog.md",
  "../CONTRIBUTING.md": "contributing.md",
  "../README.md": "readme.md",
  "../SECURITY.md": "reporting.md",
};
