import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";

export const root = join(__dirname, "..", "..");

/** A code block of a page. */
export interface Block {
  /** `docs/reads.md:12`: where it begins. */
  readonly place: string;
  /** `docs/reads`, or `README`. */
  readonly page: string;
  readonly language: string;
  readonly code: string;
  /** It cannot run by nature: the comment before it is `<!-- compile: why -->`. */
  readonly compileOnly: boolean;
}

/** Pages that people read, without those that are made of others. */
function pages(): string[] {
  const made = new Set(["benchmarks.md", "changelog.md", "contributing.md", "readme.md", "reporting.md"]);
  const inDocs = readdirSync(join(root, "docs")).filter((name) => name.endsWith(".md") && !made.has(name));
  const elsewhere = ["README.md", "CONTRIBUTING.md", "bench/README.md"];
  const atRoot = new Set(readdirSync(root));
  return [
    ...elsewhere.filter((page) => page.includes("/") || atRoot.has(page)),
    ...inDocs.map((name) => `docs/${name}`),
  ];
}

/** Every code block of every page. */
export function blocks(): Block[] {
  return pages().flatMap((page) => blocksOf(page, readFileSync(join(root, page), "utf8")));
}

/**
 * @throws Error for a comment that looks like a directive and is none: nobody would notice that it says nothing
 */
export function blocksOf(page: string, text: string): Block[] {
  const lines = text.split("\n");
  const found: Block[] = [];
  for (let at = 0; at < lines.length; at += 1) {
    const [, indent = "", language = ""] = /^(\s*)```(\w*)/.exec(lines[at]!) ?? [];
    if (!/^\s*```/.test(lines[at]!)) continue;
    const end = lines.findIndex((line, index) => index > at && line.trimStart() === "```");
    if (end < 0) throw new Error(`${page}:${at + 1}: this block has no end.`);
    const code = lines.slice(at + 1, end).map((line) => line.slice(indent.length));
    found.push({
      place: `${relative(".", page)}:${at + 1}`,
      page: page.replace(/\.md$/, ""),
      language,
      code: code.join("\n"),
      compileOnly: saysCompile(lines.slice(0, at).findLast((line) => line.trim() !== "") ?? "", `${page}:${at + 1}`),
    });
    at = end;
  }
  return found;
}

function saysCompile(line: string, place: string): boolean {
  if (!line.trim().startsWith("<!--")) return false;
  if (!/^\s*<!-- compile: .+ -->$/.test(line)) throw new Error(`${place}: no such directive: ${line.trim()}`);
  return true;
}
