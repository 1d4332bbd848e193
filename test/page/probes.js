// Run in the browser by page.test.ts: what it cannot see from outside.

/** Controls, regions and pictures that have no name for a screen reader. */
const nameless = () => {
  const named = "button, select, input, [tabindex='0'], svg[role], section, [role='group']";
  return [...document.querySelectorAll(named)].flatMap((node) => {
    const ids = (node.getAttribute("aria-labelledby") ?? "").split(" ").filter((id) => id !== "");
    const labels =
      node instanceof HTMLInputElement || node instanceof HTMLSelectElement ? [...(node.labels ?? [])] : [];
    const texts = [...ids.map((id) => document.getElementById(id)), ...labels].map((one) => one?.textContent ?? "");
    const own = node instanceof HTMLButtonElement ? node.textContent : "";
    const name = [...texts, node.getAttribute("aria-label") ?? "", own ?? ""].join("").trim();
    return name === "" ? [node.outerHTML.slice(0, 100)] : [];
  });
};

/** WCAG 2.2, 1.4.3: texts whose contrast with what is behind them is below 4.5. */
const poorContrasts = () => {
  /** @param {string} color */
  const luminance = (color) => {
    const parts = (color.match(/[\d.]+/g) ?? []).slice(0, 3).map(Number);
    const [red = 0, green = 0, blue = 0] = parts.map((part) =>
      part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4,
    );
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  /** @type {(node: Element | null) => string} */
  const behind = (node) => {
    if (node === null) return "rgb(255, 255, 255)";
    const { backgroundColor } = getComputedStyle(node);
    return backgroundColor === "rgba(0, 0, 0, 0)" ? behind(node.parentElement) : backgroundColor;
  };
  return [...document.querySelectorAll("body *:not(script, noscript, svg, svg *, option)")].flatMap((node) => {
    const hasText = [...node.childNodes].some(({ nodeType, textContent }) => nodeType === 3 && textContent?.trim());
    const isOff = node instanceof HTMLButtonElement && node.disabled;
    if (!hasText || isOff || node.getClientRects().length === 0) return [];
    const both = [luminance(getComputedStyle(node).color), luminance(behind(node))];
    const contrast = (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05);
    return contrast < 4.5 ? [`${node.tagName} "${node.textContent?.trim().slice(0, 30)}" ${contrast.toFixed(2)}`] : [];
  });
};

Object.assign(globalThis, { probes: { nameless, poorContrasts } });
