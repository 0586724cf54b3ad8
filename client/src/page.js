/** @import { JuggernautOptions } from "./types.js" */
import { Console } from "./console.js";
import { PushServer } from "./server.js";

// Addresses come from this script's own element only: an element that user content brought in must not name a server.
const script = /** @type {HTMLScriptElement | null} */ (document.currentScript);
const { url, live, debug, token, identity } = /** @type {DOMStringMap} */ (script?.dataset ?? {});
// It leaves the DOM, as those of the elements do.
if (script) delete script.dataset.token;

/** The push server's address. */
export const serverUrl = url || "/juggernaut/";

/** The address of the module behind `refresh` and `fill`, which fetches pages. */
const liveUrl = new URL(live || "live.js", live ? document.baseURI : script?.src || document.baseURI).href;

/** The page's console: explains itself where `data-debug` is set. */
export const pageConsole = new Console(debug !== undefined);

/** @type {Promise<typeof import("./live.js")> | undefined} */
let liveModule;

export function loadLive() {
  liveModule ??= import(liveUrl).catch((error) => {
    liveModule = undefined;
    throw error;
  });
  return liveModule;
}

/** @type {Map<string, PushServer>} */
const servers = new Map();

/**
 * The push server that the options name; the same object for the same address.
 *
 * @param {JuggernautOptions} options
 */
export function serverFor(options) {
  const url = addressFrom(options);
  let server = servers.get(url);
  if (!server) {
    // The page's tokens are for the page's server.
    const page = url === addressFrom({}) ? { token, identity, loadLive } : undefined;
    servers.set(url, (server = new PushServer(url, pageConsole, page)));
  }
  if (options.token) server.tokens.connection = options.token;
  return server;
}

/** @param {JuggernautOptions} options */
function addressFrom({ url = serverUrl, host, port, secure }) {
  const address = new URL(url, document.baseURI);
  if (secure !== undefined) address.protocol = secure ? "https:" : "http:";
  if (host !== undefined) address.hostname = host;
  if (port !== undefined) address.port = String(port);
  return address.href;
}
