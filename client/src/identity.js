const KEY = "juggernaut.client";
const VALID = /^[0-9A-Za-z_-]{16,64}$/;

/** This tab's id: made once, kept over reloads and reconnects. */
export const clientId = take() ?? randomId();

// It is in the storage only while no page has it: a tab that is duplicated, or opened by this one, copies the storage.
addEventListener("pagehide", () => use((storage) => storage.setItem(KEY, clientId)));
addEventListener("pageshow", take);

/** @returns {string | undefined} */
function take() {
  const kept = use((storage) => storage.getItem(KEY));
  use((storage) => storage.removeItem(KEY));
  return kept && VALID.test(kept) ? kept : undefined;
}

/**
 * Storage can be forbidden: the id then lasts as long as the page.
 *
 * @template T
 * @param {(storage: Storage) => T} action
 */
function use(action) {
  try {
    return action(sessionStorage);
  } catch {
    return undefined;
  }
}

function randomId() {
  // crypto.randomUUID is missing on plain http pages.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
