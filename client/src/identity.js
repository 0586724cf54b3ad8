const KEY = "juggernaut.client";
const VALID = /^[0-9A-Za-z_-]{16,64}$/;

/**
 * This tab's id: made once, kept over reloads and reconnects.
 *
 * @returns {string}
 */
export function clientId() {
  try {
    const kept = sessionStorage.getItem(KEY);
    if (kept && VALID.test(kept)) return kept;
    const made = randomId();
    sessionStorage.setItem(KEY, made);
    return made;
  } catch {
    // Storage can be forbidden: the id then lasts as long as the page.
    return randomId();
  }
}

function randomId() {
  // crypto.randomUUID is missing on plain http pages.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
