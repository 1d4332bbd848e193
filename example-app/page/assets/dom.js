// Everything that comes from the server goes into the page as text, never as markup.

/**
 * An element that the page has.
 *
 * @template {Element} Kind
 * @param {string} id
 * @param {new (...args: never[]) => Kind} kind
 * @returns {Kind}
 */
export function element(id, kind) {
  const found = document.getElementById(id);
  if (found instanceof kind) return found;
  throw new Error(`The page has no ${kind.name} #${id}.`);
}

/**
 * @param {string} id
 * @param {string} text
 */
export function say(id, text) {
  const target = element(id, HTMLElement);
  // A screen reader says again what is set again.
  if (target.textContent !== text) target.textContent = text;
}

/**
 * A new element with a text, or with children.
 *
 * @template {keyof HTMLElementTagNameMap} Name
 * @param {Name} name
 * @param {string | Node[]} content
 * @param {string} [className]
 * @returns {HTMLElementTagNameMap[Name]}
 */
export function make(name, content, className) {
  const made = document.createElement(name);
  if (typeof content === "string") made.textContent = content;
  else made.append(...content);
  if (className !== undefined) made.className = className;
  return made;
}

/** @param {number} share */
export const percent = (share) => `${(100 * share).toFixed(share === 1 || share < 0.1 ? 0 : 1)} %`;

/** @param {number} micros */
export function time(micros) {
  if (micros < 1000) return `${Math.round(micros)} µs`;
  return `${(micros / 1000).toFixed(micros < 10_000 ? 1 : 0)} ms`;
}
