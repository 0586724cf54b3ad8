// A page whose channels need tokens, and its connection: import this before the modules under test.
import assert from "node:assert/strict";
import { afterEach, beforeEach } from "node:test";
import { endFetches, takeFetches } from "./fetches.js";
import { pass, reset } from "./page.js";
import { FakeSocket } from "./socket.js";

const { PushServer } = await import("../../src/server.js");
const { Console } = await import("../../src/console.js");
const live = await import("../../src/live.js");

export const PAGE = "https://site.example/list/?page=2";
export const SCRIPT = '<script data-url="/juggernaut/" data-live="live.js" data-identity="alice"></script>';

let count = 0;
/** The way to the push server. */
export let server;
/** What was told of channels, in short. */
export let heard;
let held;
/** How often what fetches pages was loaded. */
export let loads;
export const clock = { now: 0 };

beforeEach(() => {
  reset();
  sessionStorage.clear();
  history.replaceState(null, "", PAGE);
  clock.now = 1_000_000;
  Date.now = () => clock.now;
  heard = [];
  held = [];
  loads = 0;
  takeFetches();
  open();
});

afterEach(async () => {
  document.body.replaceChildren();
  document.removeEventListener("juggernaut:identity", cancel);
  for (const [channel, holder] of held) server.subscriptions.remove(channel, holder);
  server.connection.close();
  await endFetches();
});

/** The page, and its connection. */
export function open(page = {}) {
  // A connection that outlived its test would disarm the timers of another.
  server?.connection.close();
  const loadLive = async () => (loads++, live);
  server = new PushServer(`/tokens-${++count}/`, new Console(true), { identity: "alice", loadLive, ...page });
  server.connection.open();
  FakeSocket.last.greet();
}

/** Hold a channel, and note what is told of it. */
export function hold(channel, token) {
  const holder = (kind, detail) => heard.push(detail.code ? `${kind} ${channel} ${detail.code}` : `${kind} ${channel}`);
  held.push([channel, holder]);
  server.subscriptions.add(channel, holder, { token });
}

/** Let go of the channel that was held last. */
export function letGo() {
  server.subscriptions.remove(...held.pop());
}

/** Answer the `subscribe` of a channel; return its command. */
export function answer(channel, frame) {
  const { commands } = FakeSocket.last;
  const index = commands.findIndex((command) => command.channel === channel && command.type === "subscribe");
  assert.notEqual(index, -1, `no subscribe to ${channel} in ${JSON.stringify(commands)}`);
  const [{ id, ...command }] = commands.splice(index, 1);
  FakeSocket.last.receive({ id, channel, ...frame });
  return command;
}

export const grant = (channel, more = {}) => answer(channel, { type: "subscribed", position: "e:1-1001", ...more });
export const refuse = (channel, code) => answer(channel, { type: "error", code, message: "", temporary: code === 110 });
export const stop = (channel, code, more = {}) =>
  FakeSocket.last.receive({ type: "unsubscribed", channel, code, message: "", temporary: code === 110, spread: 0, ...more });
export const asked = () => FakeSocket.last.takeCommands().map(({ channel, token }) => `${channel} ${token}`);

export async function reconnect() {
  FakeSocket.last.drop();
  await pass(2_000);
  FakeSocket.last.greet();
}

export const page = (...grants) =>
  SCRIPT + grants.map(([channel, token]) => `<juggernaut-subscribe channel="${channel}" token="${token}"></juggernaut-subscribe>`).join("");

export function cancel(event) {
  event.preventDefault();
}

/** Note the event, once. */
export function listenForStranger() {
  const events = [];
  document.addEventListener("juggernaut:identity", (event) => events.push(event), { once: true });
  return events;
}
