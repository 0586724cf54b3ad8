import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { afterEach, beforeEach, test } from "node:test";
import { errors, reloads, reset, settle, tick, warnings } from "./support/page.js";
import { FakeSocket } from "./support/socket.js";

await import("../src/main.js");
const { takePlace } = await import("../src/turn.js");

let socket;

beforeEach(() => {
  reset();
  juggernaut.connect();
  socket = FakeSocket.last;
  socket.greet();
});

afterEach(() => {
  document.body.replaceChildren();
  tick(500);
  juggernaut.disconnect();
});

/** Put elements into the page; return the last one. */
async function put(html) {
  document.body.insertAdjacentHTML("beforeend", html);
  await settle();
  return document.body.lastElementChild;
}

/** The same, and the server grants what they ask for. */
async function putGranted(html) {
  const element = await put(html);
  socket.grant();
  return element;
}

/** Note the events that reach the document. */
function listen(...kinds) {
  const heard = [];
  for (const kind of kinds) {
    const note = (event) => heard.push([kind, event.target.id, event.detail]);
    document.addEventListener("juggernaut:" + kind, note);
  }
  return heard;
}

test("an element subscribes with its token, which leaves the DOM", async () => {
  const element = await put('<juggernaut-subscribe channel="order:7" token="secret"></juggernaut-subscribe>');
  assert.deepEqual(socket.takeCommands(), [{ type: "subscribe", channel: "order:7", token: "secret" }]);
  assert.equal(element.outerHTML, '<juggernaut-subscribe channel="order:7"></juggernaut-subscribe>');
});

test("it is marked as connected while it is subscribed", async () => {
  const element = await put('<juggernaut-subscribe channel="news"></juggernaut-subscribe>');
  assert.equal(element.hasAttribute("connected"), false);
  socket.grant();
  assert.equal(element.hasAttribute("connected"), true);
  socket.drop();
  assert.equal(element.hasAttribute("connected"), false);
  tick(500);
  FakeSocket.last.greet();
  FakeSocket.last.grant();
  assert.equal(element.hasAttribute("connected"), true);
});

test("it fires what it hears, and the events bubble", async () => {
  const heard = listen("subscribed", "message", "stale", "error");
  await putGranted('<div><juggernaut-subscribe id="s" channel="news"></juggernaut-subscribe></div>');
  socket.receive({ channel: "news", data: { a: 1 }, version: 3 });
  socket.receive({ type: "stale", channel: "news", reason: "size", spread: 10 });
  const message = { channel: "news", data: { a: 1 }, version: 3, offset: undefined, replayed: false, wait: 0 };
  assert.deepEqual(heard, [
    ["subscribed", "s", { channel: "news", recovered: undefined }],
    ["message", "s", { channel: "news", data: { a: 1 }, message }],
    ["stale", "s", { channel: "news", reason: "size", spread: 10, wait: 5 }],
  ]);
});

test("a removed element unsubscribes after a moment", async () => {
  const element = await putGranted('<juggernaut-subscribe channel="news"></juggernaut-subscribe>');
  element.remove();
  tick(499);
  assert.deepEqual(socket.takeCommands(), []);
  tick(1);
  assert.deepEqual(socket.takeCommands(), [{ type: "unsubscribe", channel: "news" }]);
  assert.equal(element.hasAttribute("connected"), false);
});

test("a moved element does not flap", async () => {
  const heard = listen("subscribed");
  const element = await putGranted('<juggernaut-subscribe channel="news" token="t"></juggernaut-subscribe>');
  document.body.prepend(element);
  element.remove();
  tick(400);
  document.body.append(element);
  await settle();
  tick(1_000);
  assert.deepEqual(socket.takeCommands(), []);
  assert.equal(element.hasAttribute("connected"), true);
  assert.equal(heard.length, 1);
});

test("two elements share one subscription, and removing one keeps the other", async () => {
  const heard = listen("message");
  const first = await putGranted('<juggernaut-subscribe id="a" channel="news"></juggernaut-subscribe>');
  const second = await put('<juggernaut-subscribe id="b" channel="news"></juggernaut-subscribe>');
  assert.deepEqual(socket.takeCommands(), []);
  assert.equal(second.hasAttribute("connected"), true);
  first.remove();
  tick(1_000);
  assert.deepEqual(socket.takeCommands(), []);
  socket.receive({ channel: "news", data: 1 });
  assert.deepEqual(heard.map(([, id]) => id), ["b"]);
});

test("an element and a callback share one subscription", async () => {
  const element = await putGranted('<juggernaut-subscribe channel="news"></juggernaut-subscribe>');
  const data = [];
  juggernaut.subscribe("news", (value) => data.push(value));
  juggernaut.unsubscribe("news");
  juggernaut.subscribe("news", (value) => data.push(value));
  assert.deepEqual(socket.takeCommands(), []);
  element.remove();
  tick(1_000);
  socket.receive({ channel: "news", data: 1 });
  assert.deepEqual(data, [1]);
  juggernaut.unsubscribe("news");
});

test("a replacement that comes within the moment takes over without a gap", async () => {
  const old = await putGranted('<juggernaut-subscribe channel="news" token="1"></juggernaut-subscribe>');
  old.remove();
  await put('<juggernaut-subscribe channel="news" token="2"></juggernaut-subscribe>');
  tick(1_000);
  assert.deepEqual(socket.takeCommands(), []);
  socket.drop();
  tick(500);
  FakeSocket.last.greet();
  assert.equal(FakeSocket.last.takeCommands()[0].token, "2");
});

test("what comes back from a history without its token still has one", async () => {
  const old = await putGranted('<juggernaut-subscribe channel="order:7" token="t"></juggernaut-subscribe>');
  const html = old.outerHTML;
  old.remove();
  tick(1_000);
  socket.takeCommands();
  const restored = await put(html);
  assert.deepEqual(socket.takeCommands(), [{ type: "subscribe", channel: "order:7", token: "t" }]);
  assert.equal(restored.hasAttribute("connected"), false, "the clone carried the attribute");
});

test("a changed channel is followed, with its own token only", async () => {
  const element = await putGranted('<juggernaut-subscribe channel="a" token="ta"></juggernaut-subscribe>');
  element.setAttribute("channel", "b");
  element.setAttribute("token", "tb");
  await settle();
  assert.deepEqual(socket.takeCommands(), [
    { type: "unsubscribe", channel: "a" },
    { type: "subscribe", channel: "b", token: "tb" },
  ]);
  element.setAttribute("channel", "c");
  await settle();
  assert.deepEqual(socket.takeCommands()[1], { type: "subscribe", channel: "c" });
});

test("a morph cannot take the mark away", async () => {
  const element = await putGranted('<juggernaut-subscribe channel="news"></juggernaut-subscribe>');
  element.removeAttribute("connected");
  await settle();
  assert.equal(element.hasAttribute("connected"), true);
});

test("a refusal is an event with its code", async () => {
  const heard = listen("error");
  await put('<juggernaut-subscribe id="s" channel="order:7" token="old"></juggernaut-subscribe>');
  const [{ id }] = socket.commands;
  socket.receive({ type: "error", id, code: 103, message: "permission denied", temporary: false });
  assert.deepEqual(heard[0].slice(0, 2), ["error", "s"]);
  assert.equal(heard[0][2].code, 103);
});

test("what the page did not grant is explained, and not asked for", async () => {
  const heard = listen("error");
  const html = '<juggernaut-subscribe channel="order:7" denied="no pattern matches"></juggernaut-subscribe>';
  await put(html);
  assert.deepEqual(socket.takeCommands(), []);
  assert.equal(heard.length, 1);
  assert.equal(heard[0][2].code, 103);
  assert.deepEqual(warnings, ['Juggernaut: the page did not grant "order:7": no pattern matches']);
});

test("it starts where it was rendered, and keeps up where it has heard to", async () => {
  const element = await put('<juggernaut-subscribe channel="news" since=":0-1000"></juggernaut-subscribe>');
  const [{ id, since }] = socket.commands;
  assert.equal(since, ":0-1000");
  const publication = { channel: "news", data: 1, position: "e:1-1001" };
  socket.receive({ type: "subscribed", id, channel: "news", recovered: true, publications: [publication], position: "e:1-1001" });
  assert.equal(element.getAttribute("since"), "e:1-1001");
  socket.receive({ channel: "news", data: 2, position: "e:2-1002" });
  assert.equal(element.getAttribute("since"), "e:2-1002");
  socket.receive({ type: "stale", channel: "news", reason: "size", position: "e:3-1003" });
  assert.equal(element.getAttribute("since"), "e:3-1003");
});

/** An element at e:2-1002 of "news". */
async function putAt2() {
  const element = await putGranted('<juggernaut-subscribe channel="news" since=":0-1000"></juggernaut-subscribe>');
  socket.receive({ channel: "news", data: 2, position: "e:2-1002" });
  socket.takeCommands();
  return element;
}

for (const [what, again] of [["an element", (element) => element], ["its copy", (element) => element.cloneNode()]]) {
  test(`${what} that comes back after a while is given what came meanwhile, and nothing twice`, async () => {
    const element = await putAt2();
    element.remove();
    tick(1_000);
    document.body.append(again(element));
    await settle();
    const { type, since } = socket.takeCommands().at(-1);
    assert.deepEqual([type, since], ["subscribe", "e:2-1002"]);
  });
}

test("a place in one channel is not taken for one in another", async () => {
  const element = await putAt2();
  element.setAttribute("channel", "other");
  await settle();
  assert.deepEqual(socket.takeCommands().at(-1), { type: "subscribe", channel: "other" });
  assert.equal(element.hasAttribute("since"), false);
});

test("a morph into another channel brings its own place", async () => {
  const element = await putAt2();
  element.setAttribute("channel", "other");
  element.setAttribute("since", ":0-5000");
  await settle();
  assert.deepEqual(socket.takeCommands().at(-1), { type: "subscribe", channel: "other", since: ":0-5000" });
});

test("a morph that renders a live element anew changes nothing", async () => {
  const element = await putAt2();
  const heard = listen("subscribed", "stale");
  element.setAttribute("since", ":0-1001");
  element.setAttribute("token", "t2");
  await settle();
  assert.deepEqual(socket.takeCommands(), []);
  assert.deepEqual(heard, []);
});

test("an element that was rendered before the newest publication and comes after it is stale, alone", async () => {
  const heard = listen("subscribed", "stale");
  await putAt2();
  heard.length = 0;
  const late = await put('<juggernaut-subscribe id="late" channel="news" since=":0-1001"></juggernaut-subscribe>');
  assert.deepEqual(heard, [
    ["subscribed", "late", { channel: "news", recovered: undefined }],
    ["stale", "late", { channel: "news", reason: "gap", spread: 0, wait: 0 }],
  ]);
  assert.equal(late.hasAttribute("connected"), true);
  await put('<juggernaut-subscribe channel="news" since=":0-1003"></juggernaut-subscribe>');
  assert.equal(heard.length, 3, "who was rendered after it is not");
});

test("the page's own requests say whose they are", async () => {
  const event = new CustomEvent("htmx:configRequest", { bubbles: true, detail: { path: "/", headers: {} } });
  document.body.dispatchEvent(event);
  assert.equal(event.detail.headers["X-Juggernaut-Client"], juggernaut.client);
});

/** Let the element in this HTML be stale; return how often the page was loaded again. */
async function makeStale(html, spread = 100) {
  sessionStorage.clear();
  await putGranted(html);
  socket.receive({ channel: "news", data: 1 });
  socket.receive({ type: "stale", channel: "news", reason: "storm", spread });
  tick(spread);
  return reloads;
}

test("a stale page is loaded again where the element says so, and not where a refresh heals it", async () => {
  assert.equal(await makeStale('<juggernaut-subscribe channel="news"></juggernaut-subscribe>'), 0);
  assert.equal(await makeStale('<juggernaut-subscribe channel="news" on-stale="nothing"></juggernaut-subscribe>'), 0);
  document.body.replaceChildren();
  const both = '<juggernaut-subscribe channel="news" on-stale="reload" refresh="#part"></juggernaut-subscribe>';
  assert.equal(await makeStale(both), 0);
  document.body.replaceChildren();
  assert.equal(await makeStale('<juggernaut-subscribe channel="news" on-stale="reload"></juggernaut-subscribe>'), 1);
});

test("all that hear the same news are told of the same turn", async () => {
  takePlace(0.25);
  const waits = [];
  for (const kind of ["message", "stale"]) {
    document.addEventListener("juggernaut:" + kind, ({ detail }) => waits.push((detail.message ?? detail).wait));
    juggernaut.on(kind, ({ wait }) => waits.push(wait));
  }
  const element = '<juggernaut-subscribe channel="news"></juggernaut-subscribe>';
  await putGranted(element + element);
  socket.receive({ channel: "news", data: 1, spread: 2_000 });
  assert.deepEqual(waits.splice(0), [500, 500, 500]);
  tick(600);
  socket.receive({ type: "stale", channel: "news", reason: "storm", spread: 2_000 });
  assert.deepEqual(waits.map(Math.round), [1_900, 1_900, 1_900], "its turn has just been");
});

test("code that waits as the documentation says asks once a spread, also where the news goes on", async () => {
  const page = await readFile(new URL("../../docs/howto/javascript.rst", import.meta.url), "utf8");
  const [example] = page.split("\n.. code-block:: js\n").filter((part) => part.includes('"juggernaut:stale"'));
  const [code] = example.match(/^(( {3}.*)?\n)*/);
  takePlace(0.25);
  let asked = 0;
  new Function("reloadOrders", code)(() => asked++);
  await putGranted('<juggernaut-subscribe channel="news"></juggernaut-subscribe>');
  for (let second = 0; second < 100; second++) {
    socket.receive({ type: "stale", channel: "news", reason: "storm", spread: 10_000 });
    tick(1_000);
  }
  assert.equal(asked, 10);
});

test("an element without a channel asks for nothing", async () => {
  await put("<juggernaut-subscribe></juggernaut-subscribe>");
  assert.deepEqual(socket.takeCommands(), []);
});

test("the document hears of the connection", () => {
  const heard = listen("connect", "disconnect");
  socket.drop(3001);
  tick(500);
  FakeSocket.last.greet();
  assert.deepEqual(heard.map(([kind]) => kind), ["disconnect", "connect"]);
  assert.equal(heard[0][2].code, 3001);
  assert.deepEqual(heard[1][2], { client: "c".repeat(32) });
});

test("the script may run twice", async () => {
  const before = juggernaut;
  await import("../src/main.js?again");
  assert.equal(juggernaut, before);
  assert.deepEqual(errors, []);
});
