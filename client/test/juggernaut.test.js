import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { errors, reset, settle, tick, warnings } from "./support/page.js";
import { FakeSocket } from "./support/socket.js";

const { Juggernaut, Message } = await import("../src/juggernaut.js");

let count = 0;
let jug;

beforeEach(() => {
  reset();
  // An address of its own, so that no connection outlives its test.
  jug = new Juggernaut({ url: `/test-${++count}/`, lazy: true });
});

/** Subscribe and be connected. */
function connect(...channels) {
  for (const channel of channels) jug.subscribe(channel, () => {});
  jug.connect();
  FakeSocket.last.greet();
  FakeSocket.last.grant();
  return FakeSocket.last;
}

/** Lose the connection and get another one. */
function reconnect() {
  FakeSocket.last.drop();
  tick(500);
  FakeSocket.last.greet();
  return FakeSocket.last;
}

/** Note what the callbacks of these events get. */
function listen(...events) {
  const heard = [];
  for (const event of events) jug.on(event, (...args) => heard.push([event, ...args]));
  return heard;
}

test("the first subscription opens the connection", () => {
  assert.equal(FakeSocket.all.length, 0);
  jug.subscribe("news", () => {});
  assert.equal(FakeSocket.all.length, 1);
  assert.deepEqual(FakeSocket.last.sent, []);
  FakeSocket.last.greet();
  assert.deepEqual(FakeSocket.last.takeCommands(), [{ type: "subscribe", channel: "news" }]);
});

test("without lazy the constructor connects, as in 2011", () => {
  new Juggernaut({ url: `/test-${++count}/` });
  assert.equal(FakeSocket.all.length, 1);
});

test("commands have ids of their own", () => {
  jug.subscribe("a");
  jug.subscribe("b");
  jug.connect();
  FakeSocket.last.greet();
  const ids = FakeSocket.last.commands.map(({ id }) => id);
  assert.equal(new Set(ids).size, 2);
  assert.ok(ids.every((id) => Number.isInteger(id) && id > 0));
});

test("a callback gets the data, and the whole message", () => {
  const calls = [];
  jug.subscribe("news", (...args) => calls.push(args));
  const socket = connect();
  socket.receive({ channel: "news", data: { a: 1 }, version: 7 });
  assert.equal(calls.length, 1);
  const [data, message] = calls[0];
  assert.deepEqual(data, { a: 1 });
  assert.ok(message instanceof Message);
  const own = { offset: undefined, replayed: false, wait: 0 };
  assert.deepEqual({ ...message }, { channel: "news", data: { a: 1 }, version: 7, ...own });
});

test("several callbacks of a channel run once each, on one subscription", () => {
  const calls = [];
  jug.subscribe("news", () => calls.push(1));
  jug.subscribe("news", () => calls.push(2));
  const socket = connect();
  assert.equal(socket.sent.length, 1);
  socket.receive({ channel: "news", data: null });
  assert.deepEqual(calls, [1, 2]);
});

test("a callback that throws does not stop the others", () => {
  const calls = [];
  jug.subscribe("news", () => {
    throw new Error("mine");
  });
  jug.subscribe("news", () => calls.push(2));
  connect().receive({ channel: "news", data: null });
  assert.deepEqual(calls, [2]);
  assert.match(errors[0], /mine/);
});

test("a message fires message, data and CHANNEL:data, in this order", () => {
  const heard = listen("CHANNEL:data", "news:data", "data", "message");
  connect("news").receive({ channel: "news", data: 5 });
  assert.deepEqual(heard.map(([event]) => event), ["message", "data", "news:data"]);
  assert.deepEqual(heard[1], ["data", "news", 5]);
});

test("a channel called __proto__ is a channel like any other", () => {
  const calls = [];
  jug.subscribe("__proto__", (data) => calls.push(data));
  const socket = connect();
  socket.receive({ channel: "__proto__", data: 1 });
  socket.receive({ channel: "constructor", data: 2 });
  assert.deepEqual(calls, [1]);
});

test("messages for channels that nobody holds are dropped", () => {
  const heard = listen("message", "data");
  connect("news").receive({ channel: "other", data: 1 });
  assert.deepEqual(heard, []);
});

test("all subscriptions are made again after a reconnect, and say since when", () => {
  const socket = connect("before");
  jug.subscribe("while-connected");
  socket.grant();
  assert.deepEqual(reconnect().takeCommands(), [
    { type: "subscribe", channel: "before", since: "" },
    { type: "subscribe", channel: "while-connected", since: "" },
  ]);
});

test("the last position is what a reconnect starts from", () => {
  connect("news").receive({ channel: "news", data: 1, position: "x1:41-5" });
  assert.equal(reconnect().takeCommands()[0].since, "x1:41-5");
});

test("what was never granted is asked for without since", () => {
  jug.subscribe("news");
  FakeSocket.last.greet();
  assert.equal("since" in reconnect().takeCommands()[0], false);
});

test("what could not be recovered is stale with reason gap", () => {
  connect("news");
  const heard = listen("stale");
  const socket = reconnect();
  const [{ id }] = socket.commands;
  socket.receive({ type: "subscribed", id, channel: "news", recovered: false, spread: 400 });
  assert.deepEqual(heard, [["stale", { channel: "news", reason: "gap", spread: 400, wait: 200 }]]);
});

test("what was recovered is not stale, nor is a first subscription", () => {
  const heard = listen("stale");
  connect("news");
  const socket = reconnect();
  const [{ id }] = socket.commands;
  socket.receive({ type: "subscribed", id, channel: "news", recovered: true });
  assert.deepEqual(heard, []);
});

test("the server's own stale is passed on", () => {
  const heard = listen("stale");
  connect("news").receive({ type: "stale", channel: "news", reason: "storm", spread: 2000 });
  assert.deepEqual(heard, [["stale", { channel: "news", reason: "storm", spread: 2000, wait: 1000 }]]);
});

test("an unsubscribed channel is not subscribed again", () => {
  const socket = connect("a", "b");
  jug.unsubscribe("a");
  assert.deepEqual(socket.takeCommands(), [{ type: "unsubscribe", channel: "a" }]);
  assert.deepEqual(reconnect().takeCommands().map(({ channel }) => channel), ["b"]);
});

test("subscribing and unsubscribing before the connection is up leaves nothing", () => {
  jug.subscribe("news", () => {});
  jug.unsubscribe("news");
  FakeSocket.last.greet();
  assert.deepEqual(FakeSocket.last.sent, []);
});

test("unsubscribe forgets all callbacks, or only the given one", () => {
  const calls = [];
  const first = () => calls.push(1);
  jug.subscribe("news", first);
  jug.subscribe("news", () => calls.push(2));
  const socket = connect();
  jug.unsubscribe("news", first);
  socket.receive({ channel: "news", data: 0 });
  assert.deepEqual(calls, [2]);
  jug.unsubscribe("news");
  socket.receive({ channel: "news", data: 0 });
  assert.deepEqual(calls, [2]);
  assert.deepEqual(socket.takeCommands(), [{ type: "unsubscribe", channel: "news" }]);
});

test("an answer that comes after the unsubscription changes nothing", () => {
  const heard = listen("subscribed", "error");
  jug.subscribe("news");
  const socket = FakeSocket.last;
  socket.greet();
  const [{ id }] = socket.commands;
  jug.unsubscribe("news");
  socket.receive({ type: "subscribed", id, channel: "news" });
  assert.deepEqual(heard, []);
});

test("a channel is needed", () => {
  assert.throws(() => jug.subscribe("", () => {}), /Must provide a channel/);
});

test("objects of one address share connection and subscriptions", async () => {
  const socket = connect("news");
  const second = new Juggernaut({ url: `/test-${count}/` });
  const heard = [];
  second.on("connect", () => heard.push("connect"));
  second.subscribe("news", (data) => heard.push(data));
  await settle();
  assert.equal(FakeSocket.all.length, 1);
  assert.equal(socket.sent.length, 1);
  assert.equal(second.sessionID, jug.sessionID);
  socket.receive({ channel: "news", data: 1 });
  assert.deepEqual(heard, ["connect", 1]);
  second.unsubscribe("news");
  assert.equal(socket.sent.length, 1, "the first object still holds the channel");
});

test("connect comes at each connect, disconnect and reconnect in between", () => {
  const heard = listen("connect", "disconnect", "reconnect");
  connect("news");
  reconnect();
  assert.deepEqual(heard.map(([event]) => event), ["connect", "disconnect", "reconnect", "connect"]);
});

test("meta goes out before the subscriptions, at each connect, and when it is set later", () => {
  jug.meta = { user: 1 };
  assert.deepEqual(connect("news").sent.map((text) => JSON.parse(text).type), ["meta", "subscribe"]);
  assert.deepEqual(reconnect().takeCommands()[0], { type: "meta", data: { user: 1 } });
  jug.meta = { user: 2 };
  assert.deepEqual(FakeSocket.last.takeCommands().at(-1), { type: "meta", data: { user: 2 } });
});

test("write sends text, messages and objects as JSON", () => {
  const socket = connect();
  jug.write('{"type":"event","data":1}');
  jug.write(new Message({ type: "event", data: 2 }));
  jug.write({ type: "event", data: 3 });
  assert.deepEqual(socket.takeCommands().map(({ data }) => data), [1, 2, 3]);
});

test("what is written early goes out after the subscriptions, since an event needs one", () => {
  jug.meta = 1;
  jug.on("connect", () => jug.write({ type: "event", data: "at connect" }));
  jug.write({ type: "event", data: "before" });
  jug.subscribe("news");
  FakeSocket.last.greet();
  assert.deepEqual(
    FakeSocket.last.takeCommands().map(({ type, data }) => data ?? type),
    [1, "subscribe", "before", "at connect"],
  );
});

test("a subscription made while connecting is asked for once", () => {
  jug.on("connect", () => jug.subscribe("news"));
  jug.connect();
  FakeSocket.last.greet();
  assert.deepEqual(FakeSocket.last.takeCommands(), [{ type: "subscribe", channel: "news" }]);
});

test("write waits for the connection, and only once", () => {
  jug.write({ type: "event", data: 1 });
  FakeSocket.last.greet();
  assert.deepEqual(FakeSocket.last.takeCommands(), [{ type: "event", data: 1 }]);
  assert.deepEqual(reconnect().takeCommands(), []);
});

test("a message is a bag of properties and becomes text", () => {
  const message = Message.fromJSON('{"channel":"a","data":1,"__proto__":{"evil":true}}');
  assert.equal(message.channel, "a");
  assert.equal(message.evil, undefined);
  assert.equal(message.toJSON(), '{"channel":"a","data":1}');
});

test("bind is on, and unbind forgets an event", () => {
  const heard = [];
  jug.bind("data", () => heard.push(1));
  jug.on("data");
  jug.on("", () => {});
  const socket = connect("news");
  socket.receive({ channel: "news", data: 0 });
  jug.unbind("data");
  socket.receive({ channel: "news", data: 0 });
  assert.deepEqual(heard, [1]);
});

test("of two publications about one row the older is dropped if it comes late", () => {
  const versions = [];
  jug.on("message", ({ version }) => versions.push(version));
  const socket = connect("orders", "vip");
  const publish = (channel, version, pk = 7) =>
    socket.receive({ channel, version, data: { event: "updated", model: "shop.order", pk, fields: {} } });
  publish("orders", 20);
  publish("orders", 10);
  publish("orders", 20);
  publish("orders", 5, 8);
  publish("vip", 15);
  assert.deepEqual(versions, [20, 20, 5, 15]);
});

test("publications without a version are never dropped", () => {
  const heard = listen("data");
  const socket = connect("news");
  socket.receive({ channel: "news", data: { model: "a.b", pk: 1 } });
  socket.receive({ channel: "news", data: { model: "a.b", pk: 1 } });
  assert.equal(heard.length, 2);
});

test("a refusal is told, explained once under debug, and not repeated on this connection", () => {
  const heard = listen("error");
  jug.subscribe("order:7");
  const socket = FakeSocket.last;
  socket.greet();
  const [{ id }] = socket.commands;
  socket.receive({ type: "error", id, code: 103, message: "permission denied", temporary: false });
  tick(100_000);
  assert.deepEqual(heard, [["error", { channel: "order:7", code: 103, message: "permission denied", temporary: false }]]);
  assert.equal(warnings.length, 1);
  assert.match(warnings[0], /"order:7" was refused: permission denied \(103\)/);
  assert.equal(socket.sent.length, 1);
});

test("a refused channel is asked for again with the next connection", () => {
  jug.subscribe("order:7");
  FakeSocket.last.greet();
  const [{ id }] = FakeSocket.last.commands;
  FakeSocket.last.receive({ type: "error", id, code: 103, message: "", temporary: false });
  assert.equal(reconnect().takeCommands().length, 1);
});

test("a temporary error is tried again after a while", () => {
  jug.subscribe("news");
  const socket = FakeSocket.last;
  socket.greet();
  const [{ id }] = socket.commands.splice(0);
  socket.receive({ type: "error", id, code: 100, message: "", temporary: true });
  assert.equal(socket.commands.length, 0);
  tick(500);
  assert.equal(socket.commands.length, 1);
});

/** Refuse all that was asked, for now. */
function putOff({ commands } = FakeSocket.last) {
  for (const { id } of commands.splice(0)) FakeSocket.last.receive({ type: "error", id, code: 100, message: "", temporary: true });
}

test("a channel that was let go meanwhile is not tried again", () => {
  jug.subscribe("news");
  FakeSocket.last.greet();
  putOff();
  jug.unsubscribe("news");
  tick(30_000);
  assert.deepEqual(FakeSocket.last.takeCommands(), []);
});

test("nor is one that a new connection has asked for meanwhile", () => {
  jug.subscribe("news");
  FakeSocket.last.greet();
  putOff();
  tick(500);
  putOff();
  reconnect();
  tick(10_000);
  assert.equal(FakeSocket.last.takeCommands().length, 1);
});

test("a token that comes later opens a channel that was refused without", () => {
  jug.subscribe("news");
  const socket = FakeSocket.last;
  socket.greet();
  const [{ id }] = socket.commands.splice(0);
  jug.subscribe("news", () => {}, { token: "t" });
  assert.equal(socket.commands.length, 0, "the first answer is waited for");
  socket.receive({ type: "error", id, code: 103, message: "", temporary: false });
  assert.deepEqual(socket.takeCommands(), [{ type: "subscribe", channel: "news", token: "t" }]);
});

test("a token that comes after the refusal opens the channel at once", () => {
  jug.subscribe("news");
  const socket = FakeSocket.last;
  socket.greet();
  const [{ id }] = socket.commands.splice(0);
  socket.receive({ type: "error", id, code: 103, message: "", temporary: false });
  jug.subscribe("news", () => {}, { token: "t" });
  assert.deepEqual(socket.takeCommands(), [{ type: "subscribe", channel: "news", token: "t" }]);
});

test("an error without a known command is told without a channel", () => {
  const heard = listen("error");
  connect().receive({ type: "error", code: 104, message: "unknown command type", temporary: false });
  assert.deepEqual(heard[0][1].channel, undefined);
  assert.match(warnings[0], /a command was refused/);
});

test("an ending for good is announced by an event and on the console", () => {
  const heard = listen("disconnect");
  connect("news").receive({ type: "disconnect", code: 3501, message: "too many bad commands", reconnect: false });
  assert.deepEqual(heard, [["disconnect", { code: 3501, message: "too many bad commands", reconnect: false }]]);
  assert.match(errors[0], /for good: too many bad commands \(3501\)/);
  jug.subscribe("more");
  assert.equal(jug.state, "ended");
  jug.connect();
  FakeSocket.last.greet();
  assert.equal(FakeSocket.last.takeCommands().length, 2);
});

test("a server that is not there at first is explained once", () => {
  jug.subscribe("news");
  for (let i = 0; i < 5; i++) {
    FakeSocket.last.drop();
    tick(30_000);
  }
  assert.equal(warnings.length, 1);
  assert.match(warnings[0], /no push server answers at wss:\/\/site\.example\/test-\d+\/websocket: .*runserver/);
});

test("a server that was there needs no explanation", () => {
  connect("news").drop();
  tick(500);
  FakeSocket.last.drop();
  assert.deepEqual(warnings, []);
});

test("the page's life is followed", () => {
  const first = connect("news");
  dispatchEvent(new Event("pagehide"));
  assert.ok(first.isClosed);
  assert.equal(jug.state, "paused");
  dispatchEvent(new Event("pageshow"));
  FakeSocket.last.greet();
  assert.deepEqual(FakeSocket.last.takeCommands(), [{ type: "subscribe", channel: "news", since: "" }]);
  document.dispatchEvent(new Event("freeze"));
  assert.equal(jug.state, "paused");
  document.dispatchEvent(new Event("resume"));
  FakeSocket.last.greet();
  FakeSocket.last.drop();
  dispatchEvent(new Event("online"));
  assert.equal(jug.state, "connecting");
});

test("host, port and secure of 2011 point at another server", () => {
  new Juggernaut({ host: "push.example", port: 8080, secure: false });
  assert.match(FakeSocket.last.url, /^ws:\/\/push\.example:8080\/juggernaut\/websocket\?protocol=1&client=[0-9a-f]{32}$/);
});
