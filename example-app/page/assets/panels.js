import { element, make, percent, say, time } from "./dom.js";

/** @typedef {import("../messages").EntityRow} EntityRow */
/** @typedef {import("../messages").Invalidation} Invalidation */
/** @typedef {import("../messages").State} State */
/** @typedef {import("../messages").Tick} Tick */

const MOST_SHOWN = 50;

/** @param {Tick} tick */
export function showNow({ hits, misses, bypasses, p50, p99 }) {
  const reads = hits + misses + bypasses;
  say("tile-ratio", reads === 0 ? "–" : percent(hits / reads));
  say("tile-reads", String(reads));
  say("tile-p50", p50 === null ? "–" : time(p50));
  say("tile-p99", p99 === null ? "–" : time(p99));
}

/** @param {readonly EntityRow[]} rows */
export function showEntities(rows) {
  const body = element("entities", HTMLTableSectionElement);
  body.replaceChildren(...rows.map(entityRow));
}

/** @param {EntityRow} row */
function entityRow({ name, strategy, ttl, entries, hits, misses, bypasses }) {
  const head = make("th", name);
  head.scope = "row";
  const reads = hits + misses + bypasses;
  const ratio = make("td", reads === 0 ? "–" : percent(hits / reads));
  if (reads > 0) {
    const meter = make("meter", []);
    meter.value = hits / reads;
    // The text beside it says the same.
    meter.setAttribute("aria-hidden", "true");
    ratio.append(meter);
  }
  const numbers = [entries, hits, misses, bypasses].map((number) => make("td", number.toLocaleString("en"), "number"));
  return make("tr", [head, make("td", strategy), make("td", duration(ttl), "number"), ...numbers, ratio]);
}

/** @param {readonly Invalidation[]} all the oldest first */
export function showInvalidations(all) {
  element("invalidations", HTMLOListElement).replaceChildren();
  for (const invalidation of all) addInvalidation(invalidation);
}

/** @param {Invalidation} invalidation */
export function addInvalidation({ at, cause, path, tags, more }) {
  const list = element("invalidations", HTMLOListElement);
  element("no-invalidations", HTMLElement).hidden = true;
  const clock = make("time", new Date(at).toLocaleTimeString("en-GB"));
  clock.dateTime = new Date(at).toISOString();
  const words = [clock, document.createTextNode(` ${cause} `), make("span", path, "path")];
  const what = more === 0 ? tags.join("  ") : `${tags.join("  ")}  and ${more} more`;
  list.prepend(make("li", [...words, make("code", what)]));
  while (list.children.length > MOST_SHOWN) list.lastElementChild?.remove();
}

/** @param {State} state */
export function showState({ store, pending, redis, traffic }) {
  const badge = element("store", HTMLElement);
  badge.hidden = false;
  badge.className = `badge ${store === "up" ? "good" : "bad"}`;
  say("store", store === "up" ? "Store answers" : "Store is away: reads go to the database");
  say("tile-pending", String(pending));
  const button = element("redis", HTMLButtonElement);
  button.disabled = redis === undefined;
  button.dataset["action"] = redis === "stopped" ? "start-redis" : "stop-redis";
  say("redis", redis === "stopped" ? "Start Redis" : "Stop Redis");
  say("redis-note", redis === undefined ? "Needs a Redis of its own: npm run example -- --serve --redis own" : "");
  element("traffic", HTMLButtonElement).dataset["action"] = traffic ? "stop-traffic" : "start-traffic";
  say("traffic", traffic ? "Stop traffic" : "Start traffic");
}

/** @param {number} ms */
function duration(ms) {
  if (ms % 3_600_000 === 0) return `${ms / 3_600_000} h`;
  return ms % 60_000 === 0 ? `${ms / 60_000} min` : `${ms / 1000} s`;
}
