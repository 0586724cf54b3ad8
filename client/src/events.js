/** The names of the DOM events, by what happened. */
const NAMES = new Map([
  // On the document
  ["connect", "juggernaut:connect"],
  ["disconnect", "juggernaut:disconnect"],
  ["identity", "juggernaut:identity"],
  // On <juggernaut-subscribe>
  ["subscribed", "juggernaut:subscribed"],
  ["message", "juggernaut:message"],
  ["stale", "juggernaut:stale"],
  ["error", "juggernaut:error"],
  ["refresh", "juggernaut:refresh"],
  ["refreshed", "juggernaut:refreshed"],
]);

/**
 * Fire the event of what happened, if there is one.
 *
 * @param {EventTarget} target
 * @param {string} kind
 * @param {any} detail
 * @returns {boolean} false if a listener cancelled it
 */
export function fire(target, kind, detail) {
  const name = NAMES.get(kind);
  const options = { bubbles: true, cancelable: kind === "refresh" || kind === "identity", detail };
  return !name || target.dispatchEvent(new CustomEvent(name, options));
}
