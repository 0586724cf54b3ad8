// A page with parts that are kept live, and its connection: import this before the modules under test.
import { afterEach, beforeEach } from "node:test";
import { endFetches, takeFetches } from "./fetches.js";
import { pass, reset, settle, tick } from "./page.js";
import { FakeSocket } from "./socket.js";

await import("../../src/main.js");
// Loaded once before the tests, so that none has to wait for it.
await import("../../src/live.js");

export const PAGE = "https://site.example/list/?page=2";
export const NEWS = '<juggernaut-subscribe channel="news" refresh="#part"></juggernaut-subscribe>';

/** The connection. */
export let socket;

beforeEach(() => {
  reset();
  history.replaceState(null, "", PAGE);
  juggernaut.connect();
  socket = FakeSocket.last;
  socket.greet();
  takeFetches();
});

afterEach(async () => {
  await endFetches();
  document.body.replaceChildren();
  await pass(2_000);
  await endFetches();
  juggernaut.disconnect();
});

/** Lose the connection and make it again, with this greeting. */
export function reconnect(greeting) {
  socket.drop();
  tick(500);
  socket = FakeSocket.last;
  socket.greet(greeting);
}

/** Fill the page, and let the server grant the channels. */
export async function put(html) {
  document.body.innerHTML = html;
  await settle();
  socket.grant();
}

export async function publish(channel, data = {}, more = {}) {
  socket.receive({ channel, data, ...more });
  await settle();
}

export const $ = (selector) => document.querySelector(selector);
