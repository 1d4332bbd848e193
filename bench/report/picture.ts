import type { BenchResult, SeriesMedians } from "./result";
import { LISTS, ROW } from "../cases/reading";
import { NAMES } from "../cases/names";
import { grouped, micros } from "./text";

const WIDTH = 860;
const LABELS = 330;
const BARS = WIDTH - LABELS - 110;
const LINE = 24;
const HEADING = 46;

/** Dark or light as the reader's system is: an image in a page does not inherit its colours. */
const STYLE = `
  text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #24292f; }
  .title { font-weight: 600; font-size: 14px; }
  .note { font-size: 11px; fill: #57606a; }
  .peer { fill: #8c959f; }
  .ours { fill: #1a7f37; }
  .strong { font-weight: 600; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .note { fill: #9198a1; }
    .peer { fill: #656c76; }
    .ours { fill: #3fb950; }
  }`;

interface Panel {
  readonly title: string;
  readonly group: string;
  readonly inFlight: number;
  readonly measure: "p50" | "throughput";
}

const PANELS: readonly Panel[] = [
  { title: `p50 of reading ${ROW.group}, one at a time`, group: ROW.group, inFlight: 1, measure: "p50" },
  { title: `p50 of reading ${LISTS[1]!.group}, one at a time`, group: LISTS[1]!.group, inFlight: 1, measure: "p50" },
  { title: `reads per second of ${ROW.group}, 64 in flight`, group: ROW.group, inFlight: 64, measure: "throughput" },
];

const OURS = new Set<string>([NAMES.redisHit, NAMES.verifyHit, NAMES.trustHit, NAMES.memoryHit]);
/** Told apart in the table alone: the picture has the limit once. */
const LEFT_OUT = new Set<string>([
  ...[NAMES.nothing, NAMES.ping, NAMES.mgetOfTags, NAMES.mget, NAMES.pipelinedMget, NAMES.pipelinedGet],
]);

/** A run as an SVG: bars whose length is the logarithm of what was measured, best first. */
export function pictureOf({ series, environment }: BenchResult): string {
  let top = 0;
  const parts: string[] = [];
  for (const panel of PANELS) {
    const bars = series
      .filter(({ group, inFlight }) => group === panel.group && inFlight === panel.inFlight)
      .filter(({ name }) => !LEFT_OUT.has(name))
      .sort((one, other) => (one[panel.measure] - other[panel.measure]) * (panel.measure === "p50" ? 1 : -1));
    if (bars.length === 0) continue;
    parts.push(panelOf(panel, bars, top));
    top += HEADING + bars.length * LINE;
  }
  const height = top + 48;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img">`,
    `<title>typeorm-coherent beside other ways to read</title>`,
    `<style>${STYLE}\n</style>`,
    ...parts,
    text(10, height - 26, "npm run bench; the scales are logarithmic.", "note"),
    text(10, height - 10, `${environment}.`, "note"),
    "</svg>\n",
  ].join("\n");
}

function panelOf({ title, measure }: Panel, bars: readonly SeriesMedians[], top: number): string {
  const values = bars.map((bar) => bar[measure]);
  // The shortest bar is still one that can be seen.
  const least = Math.min(...values) / 2;
  const scale = Math.log(Math.max(...values) / least);
  const lines = bars.map((bar, at) => {
    const value = bar[measure];
    const length = (BARS * Math.log(value / least)) / scale;
    const y = top + HEADING - 14 + at * LINE;
    const isOurs = OURS.has(bar.name);
    const shown = measure === "p50" ? micros(value) : grouped(value);
    return [
      text(LABELS - 8, y + 13, bar.name, isOurs ? "strong" : "", "end"),
      `<rect x="${LABELS}" y="${y}" width="${length.toFixed(1)}" height="${LINE - 7}" rx="2" class="${isOurs ? "ours" : "peer"}"/>`,
      text(LABELS + length + 6, y + 13, shown, isOurs ? "strong" : ""),
    ].join("\n");
  });
  return [text(10, top + 20, title, "title"), ...lines].join("\n");
}

function text(x: number, y: number, content: string, className: string, anchor = "start"): string {
  const escaped = content.replace(/&/g, "&amp;").replace(/</g, "&lt;");
  return `<text x="${x.toFixed(1)}" y="${y}" class="${className}" text-anchor="${anchor}">${escaped}</text>`;
}
