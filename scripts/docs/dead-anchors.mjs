// VitePress sees to it that each link leads to a page, and not that the page has the place.
import { readdirSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";

/**
 * Links of a site that was built whose anchor is not there, one line each.
 *
 * @param {string} site its folder
 */
export function deadAnchors(site) {
  const pages = new Map(
    readdirSync(site, { recursive: true })
      .filter((file) => file.endsWith(".html"))
      .map((file) => [
        `/${file.replaceAll("\\", "/").replace(/(?:^|(?<=\/))index\.html$|\.html$/, "")}`,
        readFileSync(join(site, file), "utf8"),
      ]),
  );
  const places = new Map(
    [...pages].map(([page, html]) => [page, new Set(Array.from(html.matchAll(/\sid="([^"]+)"/g), ([, id]) => id))]),
  );
  const dead = new Set();
  for (const [page, html] of pages) {
    for (const [, href] of html.matchAll(/<a[^>]*\shref="([^"]*#[^"]+)"/g)) {
      if (/^[a-z]+:/.test(href)) continue;
      const [path, hash] = href.replaceAll("&amp;", "&").split("#");
      const target =
        path === "" ? page : posix.resolve(posix.dirname(page), path) + (path.endsWith("/") && path !== "/" ? "/" : "");
      if (places.get(target)?.has(decodeURIComponent(hash)) !== true)
        dead.add(`dead anchor: ${page} -> ${target}#${hash}`);
    }
  }
  return [...dead].sort();
}
