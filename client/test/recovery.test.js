import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { errors, reset, settle, tick } from "./support/page.js";
import { FakeSocket } from "./support/socket.js";

const { Juggernaut } = await import("../src/juggernaut.js");
const { remember } = await import("../src/subscription.js");

const T = ":0-1000";
let count = 0;
let jug;

beforeEach(() => {
  reset();
  jug = new Juggernaut({ url: `/recovery-${++count}/`, lazy: true });
});

/** The next connection. */
function connect() {
  FakeSocket.last?.drop();
  jug.connect();
  tick(2_000);
  FakeSocket.last.greet();
  return FakeSocket.last;
}

/** Answer the last command, which must be a `subscribe`; return it. */
function answer(frame = {}) {
  const command = FakeSocket.last.commands.splice(0).at(-1);
  assert.equal(command.type, "subscribe");
  FakeSocket.last.receive({ type: "subscribed", id: command.id, channel: command.channel, ...frame });
  return command;
}

/** A publication with its place. */
const at = (offset, more = {}) => ({ channel: "news", data: offset, position: `e:${offset}-${1000 + offset}`, ...more });

/** What is told of the channel, in short: numbers are messages, `+` replayed. */
function listen() {
  const heard = [];
  jug.on("message", ({ data, replayed }) => heard.push(replayed ? `+${data}` : data));
  for (const event of ["subscribed", "stale", "error"]) {
    jug.on(event, (detail) => heard.push(event + (detail.reason ? ` ${detail.reason} ${detail.spread}` : "")));
  }
  return heard;
}

/** Ask with which `since` the channel is subscribed to upon the next connection. */
function sinceNext() {
  connect();
  const [{ since }] = FakeSocket.last.takeCommands();
  return since;
}

test("the first subscription starts where the page was rendered", () => {
  jug.subscribe("news", () => {}, { since: T });
  connect();
  assert.deepEqual(FakeSocket.last.takeCommands(), [{ type: "subscribe", channel: "news", since: T }]);
});

test("a first subscription that is lost before its answer starts there again", () => {
  jug.subscribe("news", () => {}, { since: T });
  connect();
  assert.equal(sinceNext(), T);
});

test("what was missed comes with the answer, in order, and is marked", () => {
  const heard = listen();
  jug.subscribe("news", () => {}, { since: T });
  connect();
  answer({ recovered: true, publications: [at(1), at(2)], position: "e:2-1002" });
  FakeSocket.last.receive(at(3));
  assert.deepEqual(heard, ["subscribed", "+1", "+2", 3]);
});

test("a message has its number in the stream, and its position as it came", () => {
  const messages = [];
  jug.subscribe("news", (data, message) => messages.push(message));
  connect();
  answer({ position: "e:40-1" });
  FakeSocket.last.receive({ channel: "news", data: null, position: "a-Z_9:41-1763924990001" });
  FakeSocket.last.receive({ channel: "news", data: null });
  assert.deepEqual(messages.map(({ offset, position, replayed }) => [offset, position, replayed]), [
    [41, "a-Z_9:41-1763924990001", false],
    [undefined, undefined, false],
  ]);
});

test("the position is that of the answer, even if the answer held nothing", () => {
  jug.subscribe("news");
  connect();
  answer({ position: "e:7-1007" });
  assert.equal(sinceNext(), "e:7-1007");
});

test("the answer's position counts after the publications in it", () => {
  jug.subscribe("news", () => {}, { since: T });
  connect();
  // The last ones were excluded for this tab: the client stands behind them all the same.
  answer({ recovered: true, publications: [at(1)], position: "e:4-1004" });
  assert.equal(sinceNext(), "e:4-1004");
});

test("a message without a position leaves the position as it is", () => {
  jug.subscribe("news");
  connect();
  answer({ position: "e:7-1007" });
  FakeSocket.last.receive({ channel: "news", data: 1 });
  assert.equal(sinceNext(), "e:7-1007");
});

test("a stale frame moves the position", () => {
  jug.subscribe("news");
  connect();
  answer({ position: "e:7-1007" });
  FakeSocket.last.receive({ type: "stale", channel: "news", reason: "gap", spread: 0, position: "f:9-2000" });
  assert.equal(sinceNext(), "f:9-2000");
});

test("a frame of an unknown type does not", () => {
  const heard = listen();
  jug.subscribe("news");
  connect();
  answer({ position: "e:7-1007" });
  FakeSocket.last.receive({ type: "joined", channel: "news", position: "e:8-1008" });
  assert.equal(sinceNext(), "e:7-1007");
  assert.deepEqual(heard, ["subscribed"]);
});

test("a message whose callback throws has been delivered", () => {
  jug.subscribe("news", () => {
    throw new Error("mine");
  });
  connect();
  answer({ position: "e:7-1007" });
  FakeSocket.last.receive(at(8));
  assert.equal(sinceNext(), "e:8-1008");
  assert.match(errors[0], /mine/);
});

test("a version that is out of date has been delivered", () => {
  const heard = listen();
  const row = (offset, version) => ({ ...at(offset), version, data: { model: "a.b", pk: 1 } });
  jug.subscribe("news");
  connect();
  answer({ position: "e:7-1007" });
  FakeSocket.last.receive(row(8, 20));
  FakeSocket.last.receive(row(9, 10));
  assert.equal(heard.length, 2);
  assert.equal(sinceNext(), "e:9-1009");
});

test("versions are those of a row, and rows of two models may have the same key", () => {
  const heard = listen();
  jug.subscribe("news");
  connect();
  answer();
  FakeSocket.last.receive({ ...at(8), version: 20, data: { model: "a.b", pk: 1 } });
  FakeSocket.last.receive({ ...at(9), version: 10, data: { model: "a.c", pk: 1 } });
  assert.equal(heard.length, 3);
});

test("of too many rows the one that changed longest ago is forgotten", () => {
  const rows = new Map();
  for (const [row, version] of [["a", 1], ["b", 2], ["a", 3], ["c", 4]]) remember(rows, row, version, 2);
  assert.deepEqual([...rows], [["a", 3], ["c", 4]]);
});

test("offsets need not follow each other", () => {
  const heard = listen();
  jug.subscribe("news");
  connect();
  answer({ position: "e:1-1001" });
  for (const offset of [2, 5, 9]) FakeSocket.last.receive(at(offset));
  assert.deepEqual(heard, ["subscribed", 2, 5, 9]);
});

test("a long answer comes in pages, and the channel is subscribed after the last", () => {
  const heard = listen();
  jug.subscribe("news", () => {}, { token: "t", since: T });
  connect();
  answer({ recovered: true, publications: [at(1), at(2)], position: "e:2-1002", more: true });
  assert.deepEqual(heard, ["+1", "+2"]);
  const { id, ...command } = FakeSocket.last.commands[0];
  assert.deepEqual(command, { type: "subscribe", channel: "news", token: "t", since: "e:2-1002" });
  answer({ recovered: true, publications: [at(3)], position: "e:3-1003" });
  assert.deepEqual(heard, ["+1", "+2", "subscribed", "+3"]);
});

test("what is missing before a page that others follow is stale there, and the channel has not recovered", () => {
  const heard = listen();
  jug.on("subscribed", ({ recovered }) => heard.push(recovered));
  jug.subscribe("news", () => {}, { since: T });
  connect();
  answer({ recovered: false, spread: 400, position: "e:2-1002", more: true });
  assert.deepEqual(heard, ["stale gap 400"]);
  answer({ recovered: true, publications: [at(3)], position: "e:3-1003" });
  assert.deepEqual(heard.splice(0), ["stale gap 400", "subscribed", false, "+3"]);
  connect();
  answer({ recovered: true, position: "e:3-1003" });
  assert.deepEqual(heard, ["subscribed", true]);
});

test("a connection that breaks between two pages goes on with the next page", () => {
  const heard = listen();
  jug.subscribe("news", () => {}, { since: T });
  connect();
  answer({ recovered: true, publications: [at(1)], position: "e:1-1001", more: true });
  assert.equal(sinceNext(), "e:1-1001");
  assert.deepEqual(heard, ["+1"]);
});

test("what cannot be recovered is stale, before the newest publication that came with the answer", () => {
  const heard = listen();
  jug.subscribe("news", () => {}, { since: T });
  connect();
  answer({ recovered: false, publications: [at(90)], position: "e:90-1090", spread: 400 });
  assert.deepEqual(heard, ["subscribed", "stale gap 400", "+90"]);
  assert.equal(sinceNext(), "e:90-1090");
});

test("a server that does not know how many come back does not make them come together", () => {
  const heard = listen();
  jug.subscribe("news");
  connect();
  answer({ position: "e:1-1001" });
  FakeSocket.last.receive({ type: "ping", spread: 100_000 });
  for (const [spread, expected] of [[40, 100_000], [120_000, 120_000]]) {
    heard.length = 0;
    connect();
    answer({ recovered: false, position: "f:1-1", spread });
    assert.deepEqual(heard, ["subscribed", `stale gap ${expected}`]);
  }
});

test("a stale frame in the answer is passed on in its place", () => {
  const heard = listen();
  jug.subscribe("news", () => {}, { since: T });
  connect();
  const stale = { type: "stale", channel: "news", reason: "storm", spread: 50, position: "e:2-1002" };
  answer({ recovered: true, publications: [at(1), stale, at(3)], position: "e:3-1003" });
  assert.deepEqual(heard, ["subscribed", "+1", "stale storm 50", "+3"]);
});

test("who lets go of the channel while it is replayed gets no more of it", () => {
  const heard = listen();
  jug.subscribe("news", () => jug.unsubscribe("news"), { since: T });
  connect();
  answer({ recovered: true, publications: [at(1), at(2)], position: "e:2-1002", more: true });
  assert.deepEqual(heard, ["+1"]);
  assert.deepEqual(FakeSocket.last.takeCommands(), [{ type: "unsubscribe", channel: "news" }]);
});

test("what was still under way when the channel was left and taken again does not come twice", () => {
  const heard = listen();
  jug.subscribe("news");
  connect();
  answer({ position: "e:1-1001" });
  jug.unsubscribe("news");
  jug.subscribe("news", () => {}, { since: "e:1-1001" });
  FakeSocket.last.receive(at(2));
  answer({ recovered: true, publications: [at(2)], position: "e:2-1002" });
  assert.deepEqual(heard, ["subscribed", "subscribed", "+2"]);
});

test("of several starts before the connection is there the earliest counts", () => {
  for (const since of [":0-2000", ":0-1000", ":0-3000", undefined]) jug.subscribe("news", () => {}, { since });
  assert.equal(sinceNext(), ":0-1000");
});

test("an earlier start takes back the command that is under way", () => {
  const heard = listen();
  connect();
  jug.subscribe("news", () => {}, { since: ":0-2000" });
  const [first] = FakeSocket.last.commands.splice(0);
  jug.subscribe("news", () => {}, { since: ":0-1500" });
  jug.subscribe("news", () => {}, { since: ":0-1800" });
  assert.deepEqual(FakeSocket.last.commands.map(({ type, since }) => [type, since]), [
    ["unsubscribe", undefined],
    ["subscribe", ":0-1500"],
  ]);
  // The answer to the first may have been under way already.
  FakeSocket.last.receive({ type: "subscribed", id: first.id, channel: "news", recovered: true, position: "e:9-1900" });
  FakeSocket.last.receive(at(950));
  assert.deepEqual(heard, []);
  answer({ recovered: true, publications: [at(700), at(950)], position: "e:950-1950" });
  assert.deepEqual(heard, ["subscribed", "+700", "+950"]);
});

for (const [name, since, position, isLate] of [
  ["rendered before the newest publication", ":0-1500", "e:5-1600", true],
  ["rendered in the same millisecond", ":0-1600", "e:5-1600", true],
  ["rendered after it", ":0-1601", "e:5-1600", false],
  ["rendered while nothing had ever been published", ":0-1500", ":0-1600", false],
  ["that stood at an earlier publication", "e:4-1600", "e:5-1600", true],
  ["that stands where the subscription does", "e:5-1600", "e:5-1600", false],
  ["that says nothing", undefined, "e:5-1600", false],
]) {
  test(`to a live subscription comes somebody ${name}: ${isLate ? "only he is stale" : "nothing is missing"}`, async () => {
    connect();
    jug.subscribe("news");
    answer({ position });
    const heard = listen();
    const other = [];
    new Juggernaut({ url: `/recovery-${count}/` }).on("stale", (detail) => other.push(detail));
    jug.subscribe("news", () => {}, { since });
    await settle();
    assert.deepEqual(heard, isLate ? ["stale gap 0"] : []);
    assert.deepEqual(other, []);
    assert.deepEqual(FakeSocket.last.takeCommands(), []);
  });
}

test("who comes while the connection is down has missed only what the others have had", async () => {
  const heard = listen();
  connect();
  jug.subscribe("news");
  answer({ position: "e:5-1600" });
  FakeSocket.last.drop();
  jug.subscribe("news", () => {}, { since: ":0-1700" });
  await settle();
  assert.deepEqual(heard, ["subscribed"]);
  jug.subscribe("news", () => {}, { since: ":0-1500" });
  await settle();
  assert.deepEqual(heard, ["subscribed", "stale gap 0"]);
  assert.equal(sinceNext(), "e:5-1600");
});

test("who comes late and lets go at once is not told what it has missed", async () => {
  jug.subscribe("news", () => {}, { since: T });
  connect();
  answer({ position: "e:5-1005" });
  const late = new Juggernaut({ url: `/recovery-${count}/`, lazy: true });
  const heard = [];
  late.on("stale", ({ reason }) => heard.push(reason));
  late.subscribe("news", () => {}, { since: T });
  late.unsubscribe("news");
  await settle();
  assert.deepEqual(heard, []);
  late.subscribe("news", () => {}, { since: T });
  await settle();
  assert.deepEqual(heard, ["gap"]);
});
