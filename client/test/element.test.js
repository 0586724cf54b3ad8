import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { errors, reset, settle, tick, warnings } from "./support/page.js";
import { FakeSocket } from "./support/socket.js";

await import("../src/main.js");

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
  assert.deepEqual(heard, [
    ["subscribed", "s", { channel: "news", recovered: undefined }],
    ["message", "s", { channel: "news", data: { a: 1 }, message: { channel: "news", data: { a: 1 }, version: 3 } }],
    ["stale", "s", { channel: "news", reason: "size", spread: 10 }],
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
  socket.receive({ type: "error", id, code: 109, message: "token expired", temporary: false });
  assert.deepEqual(heard[0].slice(0, 2), ["error", "s"]);
  assert.equal(heard[0][2].code, 109);
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
