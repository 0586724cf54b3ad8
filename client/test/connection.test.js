import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import { Connection, webSocketUrl } from "../src/connection.js";
import { FakeSocket } from "./support/socket.js";

const tick = (ms) => mock.timers.tick(ms);

let told;
let connection;

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout"] });
  Math.random = () => 0.5;
  FakeSocket.all = [];
  told = [];
  const note = (name) => (detail) => told.push([name, detail?.code ?? detail?.type ?? detail?.channel ?? detail]);
  connection = new Connection(() => new FakeSocket(""), {
    connected: note("connected"),
    received: note("received"),
    disconnected: note("disconnected"),
    retrying: note("retrying"),
    failed: note("failed"),
  });
});

function connect() {
  connection.open();
  FakeSocket.last.greet();
  told.length = 0;
  return FakeSocket.last;
}

/** Wait for the next attempt; return for how long. */
function waited() {
  let time = 0;
  for (; connection.state === "waiting"; time += 50) tick(50);
  return time;
}

test("nothing is opened until something wants a connection", () => {
  assert.equal(FakeSocket.all.length, 0);
  assert.equal(connection.state, "idle");
});

test("it is connected when the server says so, not when the socket opens", () => {
  connection.open();
  assert.equal(connection.state, "connecting");
  assert.equal(connection.send({ type: "ping" }), false);
  FakeSocket.last.greet();
  assert.equal(connection.state, "connected");
  assert.deepEqual(told, [["connected", "connected"]]);
});

test("nothing that comes before the greeting is heard", () => {
  connection.open();
  FakeSocket.last.receive({ channel: "news", data: 1 });
  FakeSocket.last.greet();
  FakeSocket.last.receive({ channel: "news", data: 2 });
  assert.deepEqual(told, [["connected", "connected"], ["received", "news"]]);
});

test("opening twice makes one socket", () => {
  connection.open();
  connection.open();
  assert.equal(FakeSocket.all.length, 1);
});

test("a lost connection is made again after a jittered wait", () => {
  connect().drop();
  assert.equal(connection.state, "waiting");
  tick(499);
  assert.equal(FakeSocket.all.length, 1);
  tick(1);
  assert.equal(FakeSocket.all.length, 2);
  assert.deepEqual(told, [["disconnected", 1006], ["retrying", 1]]);
});

test("it never gives up, and the waits stay below the cap", () => {
  connection.open();
  const waits = Array.from({ length: 200 }, () => {
    FakeSocket.last.drop();
    return waited();
  });
  assert.deepEqual(waits.slice(0, 6), [500, 1000, 2000, 4000, 8000, 15_000]);
  assert.equal(Math.max(...waits), 15_000);
});

test("a server that greets and hangs up at once is not asked faster and faster", () => {
  connection.open();
  const waits = Array.from({ length: 4 }, () => {
    FakeSocket.last.greet();
    FakeSocket.last.drop();
    return waited();
  });
  assert.deepEqual(waits, [500, 1000, 2000, 4000]);
});

test("after a stable connection the wait is short again", () => {
  connection.open();
  for (let i = 0; i < 5; i++) {
    FakeSocket.last.drop();
    waited();
  }
  FakeSocket.last.greet();
  tick(10_000);
  FakeSocket.last.drop();
  assert.equal(waited(), 500);
});

test("a handshake that hangs is given up", () => {
  connection.open();
  tick(10_000);
  assert.equal(connection.state, "waiting");
  assert.ok(FakeSocket.all[0].isClosed);
  assert.deepEqual(told, [["failed", 1006]]);
});

test("a socket that cannot even be made is tried again", () => {
  let calls = 0;
  const handler = { retrying() {}, failed() {} };
  const blocked = new Connection(() => {
    calls++;
    throw new Error("SecurityError");
  }, handler);
  blocked.open();
  tick(500);
  assert.equal(calls, 2);
});

test("a ping is answered with a pong", () => {
  const socket = connect();
  socket.receive({ type: "ping" });
  assert.deepEqual(socket.takeCommands(), [{ type: "pong" }]);
  assert.deepEqual(told, []);
});

test("the spread of a gap is that of the last ping", () => {
  const socket = connect();
  socket.receive({ type: "ping", spread: 4_000 });
  assert.equal(connection.gapSpread, 4_000);
  socket.receive({ type: "ping" });
  assert.equal(connection.gapSpread, 0);
});

test("silence for two heartbeats is a lost connection", () => {
  const socket = connect();
  tick(49_999);
  socket.receive({ type: "ping" });
  tick(49_999);
  assert.equal(connection.state, "connected");
  tick(1);
  assert.equal(connection.state, "waiting");
  assert.ok(socket.isClosed);
});

test("messages count as signs of life", () => {
  const socket = connect();
  for (let i = 0; i < 5; i++) {
    tick(30_000);
    socket.receive({ channel: "news", data: 1 });
  }
  assert.equal(connection.state, "connected");
});

test("an ending for good is final, whatever happens afterwards", () => {
  connect().receive({ type: "disconnect", code: 3501, message: "too many bad commands", reconnect: false });
  assert.equal(connection.state, "ended");
  assert.deepEqual(told, [["disconnected", 3501]]);
  connection.open();
  connection.hasten();
  connection.resume();
  tick(1_000_000);
  assert.equal(FakeSocket.all.length, 1);
});

test("the server's word counts more than the number", () => {
  connect().receive({ type: "disconnect", code: 3001, message: "", reconnect: false });
  assert.equal(connection.state, "ended");
});

test("the number alone says it too", () => {
  connect().receive({ type: "disconnect", code: 3501, message: "" });
  assert.equal(connection.state, "ended");
});

test("a close frame alone says it too", () => {
  connect().drop(3503);
  assert.equal(connection.state, "ended");
});

test("an ending before the greeting is told as well", () => {
  connection.open();
  FakeSocket.last.receive({ type: "disconnect", code: 3503, message: "", reconnect: false });
  assert.deepEqual(told, [["disconnected", 3503]]);
});

test("a restarting server is come back to", () => {
  const socket = connect();
  socket.receive({ type: "disconnect", code: 3001, message: "", reconnect: true });
  socket.drop(3001);
  assert.deepEqual(told, [["disconnected", 3001]]);
  tick(1_000);
  assert.equal(connection.state, "connecting");
});

const stopping = (spread) => ({ type: "disconnect", code: 3001, message: "", reconnect: true, spread });

test("a server that will soon be back is come back to after a part of the spread", () => {
  connect().receive(stopping(4_000));
  assert.equal(waited(), 2_000);
  assert.equal(connection.state, "connecting");
});

test("the part is the place that the server gave", () => {
  connection.open();
  FakeSocket.last.greet({ place: 0.25 });
  FakeSocket.last.receive(stopping(4_000));
  assert.equal(waited(), 1_000);
});

test("its spread is for this one time", () => {
  connect().receive(stopping(30_000));
  assert.equal(waited(), 15_000);
  FakeSocket.last.greet();
  tick(10_000);
  FakeSocket.last.drop();
  assert.equal(waited(), 500);
});

test("whatever went wrong before, it is come back to at once", () => {
  connection.open();
  for (let i = 0; i < 5; i++) {
    FakeSocket.last.drop();
    waited();
  }
  FakeSocket.last.greet();
  FakeSocket.last.receive(stopping(0));
  tick(0);
  assert.equal(connection.state, "connecting");
});

test("however long the restart takes, everybody is back within two seconds of its end", () => {
  let seed = 1;
  Math.random = () => (seed = (seed * 48271) % 2147483647) / 2147483647;
  for (const away of [0, 500, 2_000, 10_000]) {
    const handler = { connected() {}, disconnected() {}, retrying() {}, failed() {} };
    const all = Array.from({ length: 300 }, () => {
      let socket;
      const one = new Connection(() => (socket = new FakeSocket("")), handler);
      one.open();
      socket.greet();
      socket.receive(stopping(300));
      return { one, refuse: () => one.state === "connecting" && socket.drop(), greet: () => socket.greet() };
    });
    for (let time = 0; time < away; time += 50) {
      tick(50);
      all.forEach(({ refuse }) => refuse());
    }
    for (let time = 0; time < 1_500; time += 50) {
      tick(50);
      all.forEach(({ one, greet }) => one.state === "connecting" && greet());
    }
    assert.deepEqual(all.filter(({ one }) => one.state !== "connected").length, 0, `away for ${away} ms`);
  }
});

test("a server that does not come back is asked more and more rarely", () => {
  connect().receive(stopping(0));
  const waits = Array.from({ length: 130 }, () => {
    const wait = waited();
    FakeSocket.last.drop();
    return wait;
  });
  assert.deepEqual(waits.slice(1, 5), [250, 250, 250, 250]);
  assert.equal(waits.at(-1), 15_000);
});

test("a server that is on its way out and refuses is not asked again at once", () => {
  connection.open();
  FakeSocket.last.receive(stopping(0));
  assert.equal(waited(), 500);
});

test("the page's own close lasts until restart", () => {
  connect();
  connection.close();
  connection.open();
  assert.equal(connection.state, "ended");
  connection.restart();
  assert.equal(connection.state, "connecting");
});

test("a late event of an old socket changes nothing", () => {
  const old = connect();
  old.drop();
  tick(500);
  FakeSocket.last.greet();
  told.length = 0;
  old.drop();
  old.receive({ channel: "news", data: 1 });
  assert.equal(connection.state, "connected");
  assert.deepEqual(told, []);
});

test("the page in the bfcache has no socket, and gets one when it is back", () => {
  const socket = connect();
  connection.pause();
  assert.ok(socket.isClosed);
  assert.equal(connection.state, "paused");
  tick(1_000_000);
  assert.equal(FakeSocket.all.length, 1);
  connection.resume();
  FakeSocket.last.greet();
  assert.equal(connection.state, "connected");
});

test("a page that is hidden while it waits to reconnect does not go on trying", () => {
  connect().drop();
  connection.pause();
  tick(1_000_000);
  assert.equal(FakeSocket.all.length, 1);
});

test("resuming a page that was never paused changes nothing", () => {
  connection.resume();
  assert.equal(connection.state, "idle");
});

test("news of a network ends the wait", () => {
  connect().drop();
  connection.hasten();
  assert.equal(connection.state, "connecting");
});

test("after sleep an open socket is asked, and dropped if it does not answer", () => {
  const socket = connect();
  connection.hasten();
  assert.deepEqual(socket.takeCommands(), [{ type: "ping" }]);
  tick(5_000);
  assert.equal(connection.state, "waiting");
});

test("a socket that answers the question is kept", () => {
  const socket = connect();
  connection.hasten();
  socket.receive({ type: "pong" });
  tick(5_000);
  assert.equal(connection.state, "connected");
});

test("frames that are no JSON objects are ignored", () => {
  const socket = connect();
  for (const text of ["", "{", "null", "1", '"text"']) socket.receive(text);
  assert.equal(connection.state, "connected");
  assert.deepEqual(told, []);
});

test("the address keeps host and path, and takes the scheme of the page", () => {
  const client = "a".repeat(16);
  const query = `?protocol=1&client=${client}`;
  const of = (url, base = "https://site.example/x/y") => webSocketUrl(url, base, client);
  assert.equal(of("/juggernaut/"), "wss://site.example/juggernaut/websocket" + query);
  assert.equal(of("/juggernaut"), "wss://site.example/juggernaut/websocket" + query);
  assert.equal(of("/j/", "http://localhost:8000/"), "ws://localhost:8000/j/websocket" + query);
  assert.equal(of("https://push.example:8443/"), "wss://push.example:8443/websocket" + query);
  assert.equal(of("wss://push.example/"), "wss://push.example/websocket" + query);
});
