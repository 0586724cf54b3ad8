import { Idiomorph } from "idiomorph";

/**
 * Change an element into another, keeping what is the same and what the visitor is at.
 *
 * @param {Element} old
 * @param {Element} fresh
 */
export function morph(old, fresh) {
  Idiomorph.morph(old, fresh, { callbacks: { beforeNodeMorphed, beforeAttributeUpdated } });
}

/**
 * @param {Node} old
 * @param {Node} fresh
 */
function beforeNodeMorphed(old, fresh) {
  if (!(old instanceof HTMLElement)) return true;
  if (isField(old)) return !(isSameField(old, /** @type {Field} */ (fresh)) && (isActive(old) || isEdited(old)));
  return !(old.isContentEditable && isActive(old));
}

/**
 * What the visitor opened stays open.
 *
 * @param {string} name
 * @param {Element} element
 */
function beforeAttributeUpdated(name, element) {
  return !(name === "open" && element.matches("details, dialog"));
}

/** @typedef {HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement} Field */

/**
 * @param {Element} element
 * @returns {element is Field}
 */
function isField(element) {
  return element.matches("input, select, textarea");
}

/** @param {Element} element */
function isActive(element) {
  return element === document.activeElement;
}

/**
 * Whether the new field stands for the old one: without ids, a morph may pair a field with its neighbour.
 *
 * @param {Field} old
 * @param {Field} fresh
 */
function isSameField(old, fresh) {
  return old.name === fresh.name && old.type === fresh.type;
}

/**
 * Whether the visitor has changed the field.
 *
 * @param {any} field
 */
export function isEdited(field) {
  if (field.matches("select")) return isSelectEdited(field);
  if (field.matches("[type=checkbox], [type=radio]")) return field.checked !== field.defaultChecked;
  if (field.matches("[type=file]")) return field.files.length > 0;
  return field.value !== field.defaultValue;
}

/** @param {HTMLSelectElement} select */
function isSelectEdited({ multiple, options, selectedIndex }) {
  const all = [...options];
  if (multiple || all.some((option) => option.defaultSelected)) {
    return all.some((option) => option.selected !== option.defaultSelected);
  }
  // Without a default the browser shows the first option that can be chosen.
  return selectedIndex > Math.max(0, all.findIndex((option) => !option.disabled));
}
