import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { defineConfig, type DefaultTheme } from "vitepress";
import { OUTSIDE } from "../../scripts/docs/outside.mjs";

const docs = dirname(dirname(fileURLToPath(import.meta.url)));

/** The order of the pages. One that is not written yet is left out; one that is not named here fails the build. */
const PAGES: readonly (readonly [section: string, pages: readonly string[]])[] = [
  ["Begin", ["getting-started", "strategies", "migrating", "nestjs", "faq"]],
  ["What is cached", ["reads", "writes", "keys", "near-cache"]],
  ["Other writers", ["events", "change-feeds"]],
  ["What holds", ["consistency", "outages", "security", "versioning"]],
  ["In production", ["cli", "runbook", "telemetry", "performance", "benchmarks", "scaling"]],
  ["The library", ["readme", "architecture", "dependencies", "changelog", "contributing", "reporting"]],
];

function titleOf(page: string): string {
  const [, title = page] = /^# (.+)$/m.exec(readFileSync(join(docs, `${page}.md`), "utf8")) ?? [];
  return title;
}

const isThere = (page: string) => existsSync(join(docs, `${page}.md`));

const sidebar: DefaultTheme.SidebarItem[] = PAGES.map(([text, pages]) => ({
  text,
  items: pages.filter(isThere).map((page) => ({ text: titleOf(page), link: `/${page}` })),
}));

const apiSidebar = join(docs, "api", "typedoc-sidebar.json");
if (existsSync(apiSidebar)) {
  sidebar.push({
    text: "API",
    link: "/api/",
    collapsed: true,
    items: JSON.parse(readFileSync(apiSidebar, "utf8")) as DefaultTheme.SidebarItem[],
  });
}

export default defineConfig({
  title: "typeorm-coherent",
  description: "A cache for TypeORM that is never stale",
  lang: "en",
  cleanUrls: true,
  lastUpdated: false,
  vite: { build: { chunkSizeWarningLimit: 2000 } },
  themeConfig: {
    nav: [
      { text: "Begin", link: "/getting-started" },
      { text: "Guarantees", link: "/consistency" },
      { text: "Performance", link: "/performance" },
      { text: "API", link: "/api/" },
    ],
    sidebar,
    outline: [2, 3],
    search: {
      provider: "local",
      options: {
        // The API is looked up by its names, in the sidebar; its pages would be most of what every reader loads.
        _render: (source, env, md) => (env.relativePath.startsWith("api/") ? "" : md.render(source, env)),
      },
    },
  },
  markdown: {
    // Anchors as where the repository is read, so that a link to one leads there in both.
    anchor: {
      slugify: (title) =>
        title
          .trim()
          .toLowerCase()
          .replace(/[^\p{L}\p{N}\s_-]/gu, "")
          .replace(/\s/g, "-"),
    },
    config: (md) => {
      // Pages are read in the repository too, where files outside of docs/ are where they are.
      md.core.ruler.push("outside", (state) => {
        for (const { children } of state.tokens) {
          for (const token of children ?? []) {
            const href = token.type === "link_open" ? token.attrGet("href") : null;
            const [path = "", hash] = href?.split("#") ?? [];
            const page = OUTSIDE[path];
            if (page !== undefined) token.attrSet("href", `./${page}${hash === undefined ? "" : `#${hash}`}`);
          }
        }
      });
    },
  },
  transformPageData: ({ relativePath }) => {
    const page = relativePath.replace(/\.md$/, "");
    const isListed = page === "index" || page.startsWith("api/") || PAGES.some(([, pages]) => pages.includes(page));
    if (!isListed) throw new Error(`docs/.vitepress/config.mts: PAGES does not name ${page}.`);
  },
});
