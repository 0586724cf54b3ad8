// A browser's page in Node: import this before the modules under test.
import { mock } from "node:test";
import { JSDOM } from "jsdom";
import { FakeSocket } from "./socket.js";

const dom = new JSDOM("<!doctype html><body></body>", { url: "https://site.example/list/?page=2", pretendToBeVisual: true });
const { window } = dom;

const NAMES = `document location history customElements sessionStorage addEventListener dispatchEvent HTMLElement Element
  Node Document DOMParser CustomEvent Event HTMLInputElement DocumentFragment`.split(/\s+/);
for (const name of NAMES) {
  const value = typeof window[name] === "function" && !/^[A-Z]/.test(name) ? window[name].bind(window) : window[name];
  Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
}
globalThis.window = globalThis;
globalThis.WebSocket = FakeSocket;
// Missing in jsdom; good enough for the ids of these tests.
globalThis.CSS = { escape: (text) => text };

/** How often the page was loaded again: jsdom cannot. */
export let reloads = 0;
const { location } = window;
globalThis.location = {
  get href() {
    return location.href;
  },
  get origin() {
    return location.origin;
  },
  reload() {
    reloads++;
  },
};

let isHidden = false;
Object.defineProperty(document, "hidden", { get: () => isHidden });
Object.defineProperty(document, "currentScript", {
  value: {
    dataset: { url: "/juggernaut/", live: new URL("../../src/live.js", import.meta.url).href, debug: "" },
  },
});

/** @param {boolean} hidden */
export function setHidden(hidden) {
  isHidden = hidden;
  document.dispatchEvent(new Event("visibilitychange"));
}

/** What the client said on the console. */
export const warnings = [];
export const errors = [];
console.warn = (text) => warnings.push(String(text));
console.error = (text) => errors.push(String(text));

export const tick = (ms) => mock.timers.tick(ms);

/** Later in each test than in those before. */
let clock = 0;

/** Forget what other tests have left behind. */
export function reset() {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout", "Date"], now: (clock += 1e9) });
  FakeSocket.all = [];
  reloads = 0;
  warnings.length = errors.length = 0;
  setRandom(0.5);
}

/** Let everything happen that waits for no timer. */
export async function settle() {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
}

/**
 * Let time pass in small steps, with what follows from it.
 *
 * @param {number} ms
 */
export async function pass(ms) {
  for (let passed = 0; passed < ms; passed += 50) {
    tick(50);
    await settle();
  }
}

/** @param {number} value what Math.random gives from here on */
export function setRandom(value) {
  Math.random = () => value;
}
