/**
 * What the client tells a developer on the console.
 */
export class Console {
  /** @type {Set<string>} */
  #said = new Set();

  /** @param {boolean} debug */
  constructor(debug) {
    this.debug = debug;
  }

  /**
   * Explain what is wrong, once, on a page rendered under DEBUG.
   *
   * @param {string} text
   */
  explain(text) {
    if (!this.debug || this.#said.has(text)) return;
    this.#said.add(text);
    console.warn("Juggernaut: " + text);
  }

  /** @param {string} text */
  error(text) {
    console.error("Juggernaut: " + text);
  }
}

/**
 * Call each of them; what one throws is reported and does not keep the next from being called.
 *
 * @template {(...args: any[]) => void} F
 * @param {Iterable<F>} callbacks
 * @param {Parameters<F>} args
 */
export function callEach(callbacks, ...args) {
  for (const callback of [...callbacks]) {
    try {
      callback(...args);
    } catch (error) {
      // reportError reaches window.onerror, and so a site's error tracker.
      (globalThis.reportError ?? console.error)(error);
    }
  }
}
