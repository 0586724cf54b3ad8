import assert from "node:assert/strict";
import { test } from "node:test";
import { fetches } from "./support/fetches.js";
import { errors, pass, settle } from "./support/page.js";
import { FakeSocket } from "./support/socket.js";
import {
  SCRIPT,
  asked,
  grant,
  letGo,
  heard,
  hold,
  loads,
  open,
  page,
  reconnect,
  refuse,
  server,
  stop,
} from "./support/tokens.js";

const { Juggernaut } = await import("../src/juggernaut.js");

// The token of the server

test("what the server gives is used the next time, and again what it gives instead", async () => {
  hold("a", "page");
  assert.equal(grant("a", { token: "resume1" }).token, "page");
  await reconnect();
  assert.equal(grant("a", { token: "resume2" }).token, "resume1");
  FakeSocket.last.receive({ type: "renewed", channel: "a", token: "resume3" });
  await reconnect();
  assert.deepEqual(asked(), ["a resume3"]);
});

test("it lasts longer than the subscription, and than what the page says meanwhile", async () => {
  hold("a", "page");
  grant("a", { token: "resume" });
  letGo();
  hold("a", "newer");
  assert.deepEqual(asked(), ["a undefined", "a resume"]);
});

test("a refused resume token gives way to what the page has said meanwhile", async () => {
  hold("a", "page");
  grant("a", { token: "resume" });
  hold("a", "newer");
  await reconnect();
  refuse("a", 109);
  assert.deepEqual(asked(), ["a newer"]);
  assert.equal(fetches.length, 0);
});

test("nor does a resume token that was accepted take with it what the page has said meanwhile", async () => {
  hold("a", "page");
  grant("a", { token: "resume1" });
  hold("a", "newer");
  await reconnect();
  assert.equal(grant("a", { token: "resume2" }).token, "resume1");
  await reconnect();
  assert.equal(refuse("a", 103).token, "resume2");
  assert.deepEqual(asked(), ["a newer"]);
});

test("what was exchanged for it is not presented again", async () => {
  hold("a", "page");
  grant("a", { token: "resume" });
  await reconnect();
  refuse("a", 103);
  assert.deepEqual(asked(), []);
  assert.deepEqual(heard.at(-1), "error a 103");
});

test("with the first one, what fetches pages is loaded: the site's next version may not have it", async () => {
  hold("a");
  grant("a");
  assert.equal(loads, 0);
  FakeSocket.last.receive({ type: "renewed", channel: "a", token: "resume" });
  assert.equal(loads, 1);
});

test("tokens stay out of storage and DOM", async () => {
  hold("a", "page");
  grant("a", { token: "resume" });
  assert.equal(sessionStorage.length, 0);
  assert.doesNotMatch(document.documentElement.outerHTML, /resume/);
});

// The connection's token

test("the page's connection token opens what has none of its own", async () => {
  open({ token: "connection" });
  hold("a");
  hold("b", "own");
  assert.deepEqual(asked(), ["a connection", "b own"]);
});

test("it is not tried where the channel's own was refused", () => {
  open({ token: "connection" });
  hold("a", "own");
  refuse("a", 103);
  assert.deepEqual(asked(), []);
});

test("it comes with the fetched page too, for channels without an element", async () => {
  open({ token: "connection" });
  hold("a");
  refuse("a", 109);
  await pass(300);
  await fetches[0].answer(SCRIPT.replace(">", ' data-token="fresh">'));
  assert.deepEqual(asked(), ["a fresh"]);
});

test("a page that brings none leaves it as it is", async () => {
  open({ token: "connection" });
  hold("a", "own");
  refuse("a", 109);
  await pass(300);
  await fetches[0].answer(page(["a", "fresh"]).replace(SCRIPT, ""));
  hold("b");
  assert.deepEqual(asked(), ["a fresh", "b connection"]);
});

test("it leaves the DOM, and is for the page's server only", async () => {
  const { dataset } = document.currentScript;
  dataset.token = "connection";
  const { serverFor } = await import("../src/page.js?token");
  assert.equal(serverFor({}).tokens.connection, "connection");
  assert.equal(dataset.token, undefined);
  assert.equal(serverFor({ url: "/other/" }).tokens.connection, undefined);
});

test("a channel without any token is asked for, and refused, without one", () => {
  hold("a");
  assert.equal(refuse("a", 103).token, undefined);
  assert.deepEqual(heard, ["error a 103"]);
  assert.equal(fetches.length, 0);
});

// Functions, for pages that are an application

test("a function is called for each token that is needed", async () => {
  let calls = 0;
  hold("a", () => `t${++calls}`);
  await settle();
  assert.equal(grant("a").token, "t1");
  await reconnect();
  await settle();
  refuse("a", 109);
  await pass(50);
  assert.deepEqual(asked(), ["a t3"]);
  assert.equal(fetches.length, 0, "and the page is not fetched");
});

test("it may take its time, and what comes too late is not used", async () => {
  const resolvers = [];
  hold("a", () => new Promise((resolve) => resolvers.push(resolve)));
  await settle();
  await reconnect();
  await settle();
  resolvers[0]("late");
  await settle();
  assert.deepEqual(asked(), []);
  resolvers[1]("t");
  await settle();
  assert.deepEqual(asked(), ["a t"]);
});

test("a failure that comes too late is none", async () => {
  const rejects = [];
  hold("a", () => new Promise((resolve, reject) => rejects.push(reject)));
  await settle();
  await reconnect();
  await settle();
  rejects[0](new Error("late"));
  await pass(10_000);
  assert.equal(rejects.length, 2);
});

test("it is not called while there is no connection", async () => {
  server.connection.close();
  let calls = 0;
  hold("a", () => `t${++calls}`);
  await settle();
  assert.equal(calls, 0);
});

test("it is called again when the server's own token has ended, after a part of spread", async () => {
  let calls = 0;
  hold("a", () => `t${++calls}`);
  await settle();
  grant("a", { token: "resume" });
  await reconnect();
  assert.equal(refuse("a", 109).token, "resume");
  await settle();
  grant("a", { token: "resume" });
  await reconnect();
  grant("a");
  assert.equal(calls, 2);
  stop("a", 109, { spread: 2_000 });
  await pass(950);
  assert.equal(calls, 2);
  await pass(50);
  assert.equal(calls, 3);
});

test("nor what comes after the channel was let go", async () => {
  let resolve;
  hold("a", () => new Promise((done) => (resolve = done)));
  await settle();
  letGo();
  resolve("t");
  await settle();
  assert.deepEqual(FakeSocket.last.takeCommands().map(({ type }) => type), ["unsubscribe"]);
});

test("one that fails is reported, and called again after a while", async () => {
  let calls = 0;
  hold("a", () => {
    if (!calls++) throw new Error("mine");
    return "t";
  });
  await settle();
  assert.match(errors[0], /mine/);
  await pass(500);
  assert.deepEqual(asked(), ["a t"]);
});

test("one whose tokens have always ended is called more and more rarely", async () => {
  let calls = 0;
  hold("a", () => `t${++calls}`);
  await settle();
  const waits = [];
  for (let i = 1; i < 5; i++) {
    refuse("a", 109);
    let wait = 0;
    for (; calls === i; wait += 50) await pass(50);
    waits.push(wait);
  }
  assert.deepEqual(waits, [50, 500, 1_000, 2_000]);
});

test("an object may have a token for all its channels, and subscribe one by a function", async () => {
  const jug = new Juggernaut({ url: "/spa/", token: async () => "connection" });
  jug.subscribe("a", () => {});
  jug.subscribe("b", () => {}, { token: async () => "own" });
  // Another object of the same server has no say in it.
  new Juggernaut({ url: "/spa/" });
  FakeSocket.last.greet();
  await settle();
  assert.deepEqual(asked(), ["a connection", "b own"]);
  jug.disconnect();
});

test("for a server that is not the page's, an expired text is an error", () => {
  const jug = new Juggernaut({ url: "/another/" });
  const codes = [];
  jug.on("error", ({ code }) => codes.push(code));
  jug.subscribe("a", () => {}, { token: "t" });
  FakeSocket.last.greet();
  refuse("a", 109);
  assert.deepEqual(codes, [109]);
  jug.disconnect();
});
