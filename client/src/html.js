/** @import { Console } from "./console.js" */

const FETCH_TIMEOUT_MS = 30_000;

/** @typedef {{ createHTML(html: string): string }} Policy */

/** @type {Policy | undefined} */
let policy;

/**
 * Fetch a page of this site as its visitor would see it. Throws if it is worth trying again.
 *
 * @param {string} url
 * @param {Record<string, string>} headers
 * @returns {Promise<{ html: string, refusal: string }>} `refusal`: why the answer is not for this page, if it is not
 */
export async function fetchHtml(url, headers) {
  const response = await fetch(url, {
    credentials: "same-origin",
    cache: "no-store",
    // Not followed: to a login page on another host, following would look like a broken network.
    redirect: "manual",
    headers: { Accept: "text/html", ...headers },
    signal: AbortSignal.timeout(FETCH_TIMEOUT_MS),
  });
  if (response.status >= 500 || response.status === 429) throw new Error(`status ${response.status}`);
  const refusal = refusalOf(response);
  return { html: refusal ? "" : await response.text(), refusal };
}

/** @param {Response} response */
function refusalOf(response) {
  if (response.redirected || response.type === "opaqueredirect") return "with a redirect";
  if (!response.ok) return `with status ${response.status}`;
  const type = response.headers.get("Content-Type") ?? "";
  return /^(text\/html|application\/xhtml\+xml)\b/i.test(type) ? "" : `with ${type || "no content type"}, not HTML`;
}

/**
 * @param {string} html
 * @param {Console} console
 */
export function parseHtml(html, console) {
  policy ??= createPolicy(console);
  return new DOMParser().parseFromString(policy.createHTML(html), "text/html");
}

/**
 * A Content Security Policy may want HTML to come through a policy with a name that it allows.
 *
 * @param {Console} console
 * @returns {Policy}
 */
function createPolicy(console) {
  const asIs = { createHTML: (/** @type {string} */ html) => html };
  try {
    return /** @type {any} */ (globalThis).trustedTypes?.createPolicy("juggernaut", asIs) ?? asIs;
  } catch (error) {
    console.error(`the Content Security Policy needs "trusted-types juggernaut" for refresh: ${error}`);
    return asIs;
  }
}
