/** @import { Console } from "./console.js" */
import { fetchHtml, parseHtml } from "./html.js";

/**
 * What a fetched page has to open channels with.
 *
 * @typedef {object} Grants
 * @property {string} refusal why the site does not show this page to its visitor any more, if so
 * @property {Map<string, string>} tokens by channel; empty for a public one
 * @property {string} [connection]
 * @property {string | null} identity whose page it is, empty for a visitor; null if it does not say
 */

/**
 * Fetch a page for the tokens in it. Throws if it is worth trying again.
 *
 * @param {string} url
 * @param {Record<string, string>} headers
 * @param {Console} console
 * @returns {Promise<Grants>}
 */
export async function fetchGrants(url, headers, console) {
  const { html, refusal } = await fetchHtml(url, headers);
  try {
    if (!refusal) return grantsIn(parseHtml(html, console));
    return { refusal, tokens: new Map(), identity: null };
  } catch (error) {
    // Not a matter of the network: the same answer would fail again.
    return { refusal: `what could not be used (${error})`, tokens: new Map(), identity: null };
  }
}

/**
 * @param {Document} page
 * @returns {Grants}
 */
function grantsIn(page) {
  const script = /** @type {HTMLElement | null} */ (page.querySelector("script[data-url][data-live]"));
  const tokens = new Map();
  for (const element of page.querySelectorAll("juggernaut-subscribe[channel]:not([denied])")) {
    const channel = element.getAttribute("channel");
    tokens.set(channel, element.getAttribute("token") || (tokens.get(channel) ?? ""));
  }
  return { refusal: "", tokens, connection: script?.dataset.token, identity: script?.dataset.identity ?? null };
}
