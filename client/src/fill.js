/** @import { Console } from "./console.js" */

/** What has a `value` property that is not what it shows. */
const SHOWS_TEXT = "button, data, li, option, param";
/** Fields whose value is set by a move, not by typing. */
const NOT_TYPED = "[type=checkbox], [type=color], [type=radio], [type=range]";

/**
 * Put each value into the elements with its name in `data-field`, under the selector.
 *
 * @param {string} selector
 * @param {any} data a plain object, or the message of a model
 * @param {Console} console
 */
export function fill(selector, data, console) {
  const values = valuesOf(data);
  if (!values) return console.explain(`fill="${selector}" needs data with names, and got a ${typeof data}.`);
  for (const spot of spotsUnder(selector)) {
    const name = /** @type {string} */ (spot.getAttribute("data-field"));
    if (!values.has(name) || isBeingTyped(spot)) continue;
    try {
      show(spot, values.get(name));
    } catch (error) {
      console.error(`${JSON.stringify(values.get(name))} does not fit data-field="${name}": ${error}`);
    }
  }
}

/** @param {any} data */
function valuesOf(data) {
  const values = data?.model !== undefined && data.fields ? data.fields : data;
  // A Map, since names come from the data: an object would have a "constructor" of its own.
  return values && typeof values === "object" && !Array.isArray(values) ? new Map(Object.entries(values)) : null;
}

/** @param {string} selector */
function* spotsUnder(selector) {
  for (const root of document.querySelectorAll(selector)) {
    if (root.hasAttribute("data-field")) yield root;
    yield* root.querySelectorAll("[data-field]");
  }
}

/** @param {Element} spot */
function isBeingTyped(spot) {
  if (spot !== document.activeElement || spot.matches(NOT_TYPED)) return false;
  const { value, defaultValue } = /** @type {HTMLInputElement} */ (spot);
  return defaultValue !== undefined && value !== defaultValue;
}

/**
 * @param {any} spot
 * @param {unknown} value
 */
function show(spot, value) {
  const text = textOf(value);
  if (!("value" in spot) || spot.matches(SHOWS_TEXT)) {
    if (spot.textContent !== text) spot.textContent = text;
  } else if (spot.matches("[type=checkbox]")) {
    spot.checked = spot.defaultChecked = Boolean(value);
  } else if (spot.matches("[type=radio]")) {
    spot.checked = spot.defaultChecked = spot.value === text;
  } else {
    showValue(spot, text);
  }
}

/**
 * @param {any} spot
 * @param {string} text
 */
function showValue(spot, text) {
  if (spot.value !== text) spot.value = text;
  // The default too: the field is then not one that the visitor has edited.
  if ("defaultValue" in spot) spot.defaultValue = text;
  for (const option of spot.options ?? []) option.defaultSelected = option.selected;
}

/** @param {unknown} value */
function textOf(value) {
  if (value === null || value === undefined) return "";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
