const KEY = "juggernaut.reloads";
/** A page that is stale again right after it was loaded is not healed by loading it once more. */
const PAUSE_MS = 60_000;

/** Once a page view. */
let isPlanned = false;

/**
 * Load the page again after a wait, and not before it is shown.
 *
 * @param {number} wait in milliseconds
 * @returns {boolean} whether that is going to happen
 */
export function reloadAfter(wait) {
  if (isPlanned || !mayReload()) return isPlanned;
  isPlanned = true;
  setTimeout(whenShown, wait, reload);
  return true;
}

/** @param {() => void} action */
function whenShown(action) {
  if (!document.hidden) return action();
  document.addEventListener("visibilitychange", () => whenShown(action), { once: true });
}

function reload() {
  const url = pageUrl();
  try {
    sessionStorage.setItem(KEY, JSON.stringify({ ...recentReloads(), [url]: Date.now() }));
  } catch {
    return;
  }
  location.reload();
}

/** Whether it is known that the page was not loaded again a short time ago: without a storage, never. */
function mayReload() {
  try {
    sessionStorage.setItem(KEY, JSON.stringify(recentReloads()));
    return !Object.hasOwn(recentReloads(), pageUrl());
  } catch {
    return false;
  }
}

/** @returns {Record<string, number>} the time by URL */
function recentReloads() {
  const all = Object.entries(JSON.parse(sessionStorage.getItem(KEY) ?? "{}"));
  return Object.fromEntries(all.filter(([, time]) => Date.now() - time < PAUSE_MS));
}

/** The page's address without the hash: what is asked of the site. */
export function pageUrl() {
  return location.href.replace(/#.*/, "");
}
