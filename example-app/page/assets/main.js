// Listens to the server, and shows what it tells.
import { drawCharts } from "./charts.js";
import { element, say } from "./dom.js";
import { listenToButtons, listenToReads } from "./forms.js";
import { addInvalidation, showEntities, showInvalidations, showNow, showState } from "./panels.js";

/** @typedef {import("../messages").Second} Second */
/** @typedef {import("../messages").Snapshot} Snapshot */

const SECONDS = 120;
/** @type {readonly import("../messages").Tick[]} */
let moments = [];

const events = new EventSource("/page/events");

/**
 * @template Message
 * @param {string} name
 * @param {(message: Message) => void} show
 */
function on(name, show) {
  events.addEventListener(name, (event) => show(/** @type {Message} */ (JSON.parse(event.data))));
}

on("snapshot", (/** @type {Snapshot} */ { place, ticks, invalidations, entities, state }) => {
  connected(true);
  say("place", place);
  moments = ticks;
  drawCharts(moments);
  showInvalidations(invalidations);
  showEntities(entities);
  showState(state);
});

on("second", (/** @type {Second} */ { tick, entities, state }) => {
  moments = [...moments, tick].slice(-SECONDS);
  drawCharts(moments);
  showNow(tick);
  showEntities(entities);
  showState(state);
});

on("invalidation", addInvalidation);
on("state", showState);
events.addEventListener("error", () => connected(false));

/** @param {boolean} isUp the browser tries again by itself */
function connected(isUp) {
  element("connection", HTMLElement).className = `badge ${isUp ? "good" : "bad"}`;
  say("connection", isUp ? "Live" : "The example does not answer; trying again");
}

listenToButtons();
listenToReads();
