import { element, percent, say, time } from "./dom.js";

/** @typedef {import("../messages").Tick} Tick */
/** @typedef {{ readonly className: string, readonly of: (tick: Tick) => number | null }} Curve */

/** Seconds across, at least and at most. */
const LEAST_SECONDS = 30;
const MOST_SECONDS = 120;
const WIDTH = 560;
const HEIGHT = 176;
const MARGIN = { left: 52, right: 8, top: 10, bottom: 22 };

/** @param {Tick} tick */
const ratioOf = ({ hits, misses, bypasses }) => {
  const all = hits + misses + bypasses;
  return all === 0 ? null : hits / all;
};

/** @param {readonly Tick[]} moments */
export function drawCharts(moments) {
  draw("ratio-chart", moments, [{ className: "ratio", of: ratioOf }], 1, (share) => `${100 * share} %`);
  const slowest = Math.max(1, ...moments.map(({ p99 }) => p99 ?? 0));
  /** @type {Curve[]} */
  const latencies = [
    { className: "p50", of: ({ p50 }) => p50 },
    { className: "p99", of: ({ p99 }) => p99 },
  ];
  draw("latency-chart", moments, latencies, roundUp(slowest), time);
  describe(moments);
}

/**
 * The charts in words.
 *
 * @param {readonly Tick[]} moments
 */
function describe(moments) {
  const ratios = moments.flatMap((tick) => ratioOf(tick) ?? []);
  const medians = moments.flatMap(({ p50 }) => p50 ?? []);
  const away = moments.filter((moment) => moment.away).length;
  const outage = away === 0 ? "" : ` The store was away for ${away} s of them; they are shaded.`;
  const [ratio, median] = [ratios.at(-1), medians.at(-1)];
  if (ratio === undefined || median === undefined) return;
  say(
    "ratio-text",
    `Now ${percent(ratio)}, between ${percent(Math.min(...ratios))} and ${percent(Math.max(...ratios))}.${outage}`,
  );
  const p99 = moments.flatMap((tick) => tick.p99 ?? []);
  say(
    "latency-text",
    `Median now ${time(median)}, at most ${time(Math.max(...medians))}; slowest 1 % at most ${time(Math.max(...p99))}.`,
  );
}

/**
 * @param {string} id
 * @param {readonly Tick[]} moments
 * @param {readonly Curve[]} curves
 * @param {number} top the largest value
 * @param {(value: number) => string} label
 */
function draw(id, moments, curves, top, label) {
  const svg = element(id, SVGSVGElement);
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  const inner = { width: WIDTH - MARGIN.left - MARGIN.right, height: HEIGHT - MARGIN.top - MARGIN.bottom };
  const seconds = Math.min(MOST_SECONDS, Math.max(LEAST_SECONDS, moments.length));
  const step = inner.width / (seconds - 1);
  const first = seconds - moments.length;
  /** @param {number} index */
  const x = (index) => MARGIN.left + (first + index) * step;
  /** @param {number} value */
  const y = (value) => MARGIN.top + inner.height * (1 - value / top);
  const parts = [];
  for (const share of [0, 0.5, 1]) {
    const at = y(share * top);
    parts.push(shape("line", { class: "grid", x1: MARGIN.left, x2: WIDTH - MARGIN.right, y1: at, y2: at }));
    parts.push(text(label(share * top), MARGIN.left - 6, at + 4, "end"));
  }
  parts.push(
    text(`${seconds} s ago`, MARGIN.left, HEIGHT - 5, "start"),
    text("now", WIDTH - MARGIN.right, HEIGHT - 5, "end"),
  );
  for (const [index, { away }] of moments.entries()) {
    if (away)
      parts.push(
        shape("rect", {
          class: "away",
          x: x(index) - step,
          y: MARGIN.top,
          width: step + 0.2,
          height: inner.height,
        }),
      );
  }
  for (const { className, of } of curves) {
    let path = "";
    let isDrawing = false;
    for (const [index, moment] of moments.entries()) {
      const value = of(moment);
      if (value !== null)
        path += `${isDrawing ? "L" : "M"}${x(index).toFixed(1)} ${y(Math.min(top, value)).toFixed(1)}`;
      isDrawing = value !== null;
    }
    parts.push(shape("path", { class: `curve ${className}`, d: path }));
  }
  svg.replaceChildren(...parts);
}

/**
 * @param {string} name
 * @param {Readonly<Record<string, string | number>>} attributes
 */
function shape(name, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, String(value));
  return made;
}

/**
 * @param {string} content
 * @param {number} x
 * @param {number} y
 * @param {"start" | "end"} anchor
 */
function text(content, x, y, anchor) {
  const made = shape("text", { x, y, "text-anchor": anchor });
  made.textContent = content;
  return made;
}

/** @param {number} value to 1, 2 or 5 times a power of ten */
function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return power * ([1, 2, 5].find((factor) => factor * power >= value) ?? 10);
}
