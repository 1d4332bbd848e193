import { element, make, say, time } from "./dom.js";

/** @typedef {import("../messages").ReadReport} ReadReport */

/** What each entity can be asked for. @type {Readonly<Record<string, readonly string[]>>} */
const FIELDS = {
  Product: ["id", "sku", "categoryId", "slug", "name"],
  Category: ["id", "slug", "name"],
  Customer: ["id", "email", "name"],
  Order: ["id", "customer"],
  OrderLine: ["orderId", "position", "productId"],
};

/** The buttons. */
export function listenToButtons() {
  for (const button of document.querySelectorAll("button[data-action]")) {
    if (button instanceof HTMLButtonElement) button.addEventListener("click", () => void press(button));
  }
}

/** @param {HTMLButtonElement} button */
async function press(button) {
  const { action = "" } = button.dataset;
  button.setAttribute("aria-busy", "true");
  try {
    const { text } = /** @type {{ text: string }} */ (await ask(`/page/actions/${action}`, { method: "POST" }));
    say("done", text);
  } catch (error) {
    say("done", `It did not work: ${messageOf(error)}`);
  } finally {
    button.removeAttribute("aria-busy");
  }
}

/** The box to read something. */
export function listenToReads() {
  const form = element("read", HTMLFormElement);
  const entity = element("read-entity", HTMLSelectElement);
  const field = element("read-field", HTMLSelectElement);
  const offer = () => field.replaceChildren(...(FIELDS[entity.value] ?? []).map((name) => make("option", name)));
  entity.replaceChildren(...Object.keys(FIELDS).map((name) => make("option", name)));
  entity.addEventListener("change", offer);
  offer();
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void read(new FormData(form));
  });
}

/** @param {FormData} data */
async function read(data) {
  const value = (/** @type {string} */ name) => String(data.get(name) ?? "");
  const query = new URLSearchParams({
    entity: value("entity"),
    method: value("method"),
    [value("field")]: value("value"),
  });
  try {
    const report = /** @type {ReadReport} */ (await ask(`/page/read?${query}`));
    const { outcome, reason, micros, statements, explanation, result } = report;
    const count = statements.length === 1 ? "one statement" : `${statements.length || "no"} statements`;
    say("read-outcome", `${outcome}${reason === "" ? "" : ` (${reason})`}, ${time(micros)}, ${count}.`);
    say("read-explanation", explanation);
    say("read-statements", statements.join("\n") || "Nothing.");
    say("read-result", result);
    element("read-report", HTMLElement).hidden = false;
  } catch (error) {
    say("read-outcome", `It did not work: ${messageOf(error)}`);
    element("read-report", HTMLElement).hidden = true;
  }
}

/**
 * @param {string} url
 * @param {RequestInit} [init]
 * @returns {Promise<unknown>}
 */
async function ask(url, init) {
  const response = await fetch(url, init);
  /** @type {unknown} */
  const body = await response.json();
  if (response.ok) return body;
  throw new Error(/** @type {{ message?: string }} */ (body).message ?? response.statusText);
}

/** @param {unknown} error */
const messageOf = (error) => (error instanceof Error ? error.message : String(error));
