import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { errors, pass, reloads, reset, setHidden, setRandom, settle, tick, warnings } from "./support/page.js";
import { FakeSocket } from "./support/socket.js";

const { PushServer } = await import("../src/server.js");
const { Console } = await import("../src/console.js");
const { Juggernaut } = await import("../src/juggernaut.js");
const live = await import("../src/live.js");

const PAGE = "https://site.example/list/?page=2";
const SCRIPT = '<script data-url="/juggernaut/" data-live="live.js" data-identity="alice"></script>';

let count = 0;
let server;
let heard;
let held;
let fetches;
let loads;
let now;

beforeEach(() => {
  reset();
  sessionStorage.clear();
  history.replaceState(null, "", PAGE);
  now = 1_000_000;
  Date.now = () => now;
  heard = [];
  held = [];
  fetches = [];
  loads = 0;
  globalThis.fetch = (url, options) =>
    new Promise((resolve, reject) => {
      fetches.push({
        url,
        options,
        headers: options.headers,
        async answer(html, { status = 200, contentType = "text/html", ...more } = {}) {
          const response = new Response(html, { status, headers: { "Content-Type": contentType } });
          for (const [key, value] of Object.entries(more)) Object.defineProperty(response, key, { value });
          resolve(response);
          await settle();
        },
        async fail() {
          reject(new TypeError("Failed to fetch"));
          await settle();
        },
      });
    });
  open();
});

afterEach(async () => {
  document.body.replaceChildren();
  document.removeEventListener("juggernaut:identity", cancel);
  for (const [channel, holder] of held) server.subscriptions.remove(channel, holder);
  server.connection.close();
  for (const { answer } of fetches) await answer("", { status: 404 });
});

/** The page, and its connection. */
function open(page = {}) {
  // A connection that outlived its test would disarm the timers of another.
  server?.connection.close();
  const loadLive = async () => (loads++, live);
  server = new PushServer(`/tokens-${++count}/`, new Console(true), { identity: "alice", loadLive, ...page });
  server.connection.open();
  FakeSocket.last.greet();
}

/** Hold a channel, and note what is told of it. */
function hold(channel, token) {
  const holder = (kind, detail) => heard.push(detail.code ? `${kind} ${channel} ${detail.code}` : `${kind} ${channel}`);
  held.push([channel, holder]);
  server.subscriptions.add(channel, holder, { token });
}

/** Answer the `subscribe` of a channel; return its command. */
function answer(channel, frame) {
  const { commands } = FakeSocket.last;
  const index = commands.findIndex((command) => command.channel === channel && command.type === "subscribe");
  assert.notEqual(index, -1, `no subscribe to ${channel} in ${JSON.stringify(commands)}`);
  const [{ id, ...command }] = commands.splice(index, 1);
  FakeSocket.last.receive({ id, channel, ...frame });
  return command;
}

const grant = (channel, more = {}) => answer(channel, { type: "subscribed", position: "e:1-1001", ...more });
const refuse = (channel, code) => answer(channel, { type: "error", code, message: "", temporary: code === 110 });
const stop = (channel, code, more = {}) =>
  FakeSocket.last.receive({ type: "unsubscribed", channel, code, message: "", temporary: code === 110, spread: 0, ...more });
const asked = () => FakeSocket.last.takeCommands().map(({ channel, token }) => `${channel} ${token}`);

async function reconnect() {
  FakeSocket.last.drop();
  await pass(2_000);
  FakeSocket.last.greet();
}

const page = (...grants) =>
  SCRIPT + grants.map(([channel, token]) => `<juggernaut-subscribe channel="${channel}" token="${token}"></juggernaut-subscribe>`).join("");

function cancel(event) {
  event.preventDefault();
}

/** Note the event, once. */
function listenForStranger() {
  const events = [];
  document.addEventListener("juggernaut:identity", (event) => events.push(event), { once: true });
  return events;
}

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
  server.subscriptions.remove(...held.pop());
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

// The server ends a subscription

test("asked to ask again, the client does so within spread, with the same token and from its position", async () => {
  hold("a", "page");
  grant("a", { token: "resume" });
  stop("a", 110, { spread: 2_000 });
  assert.deepEqual(heard, ["subscribed a", "unsubscribed a"]);
  await pass(950);
  assert.deepEqual(asked(), []);
  await pass(50);
  const { token, since } = grant("a", { recovered: true });
  assert.deepEqual([token, since], ["resume", "e:1-1001"]);
  assert.deepEqual(heard.at(-1), "subscribed a");
  assert.equal(fetches.length, 0);
});

test("a subscription whose token has ended is opened by one from the page, from its position", async () => {
  hold("a", "page");
  grant("a", { token: "resume" });
  stop("a", 109);
  assert.deepEqual(heard, ["subscribed a", "unsubscribed a"]);
  await pass(150);
  const [{ url, options, headers, answer: arrive }] = fetches;
  assert.equal(url, PAGE);
  assert.deepEqual([options.cache, options.credentials, options.redirect], ["no-store", "same-origin", "manual"]);
  assert.deepEqual(headers, {
    Accept: "text/html",
    "X-Juggernaut-Refresh": "juggernaut-subscribe",
    "X-Juggernaut-Client": server.client,
  });
  await arrive(page(["a", "fresh"]));
  const { token, since } = grant("a", { recovered: true });
  assert.deepEqual([token, since], ["fresh", "e:1-1001"]);
  assert.deepEqual(warnings, []);
});

test("spread is waited in part, the same for all", async () => {
  for (const channel of ["a", "b", "c"]) hold(channel, "page");
  for (const channel of ["a", "b", "c"]) grant(channel);
  stop("a", 109, { spread: 2_000 });
  stop("b", 109, { spread: 2_000 });
  stop("c", 110, { spread: 2_000 });
  await pass(950);
  assert.deepEqual(asked(), []);
  await pass(50);
  assert.deepEqual(asked(), ["c page"]);
  await pass(100);
  assert.equal(fetches.length, 0);
  await pass(50);
  assert.equal(fetches.length, 1);
});

test("all that end together make one request, with at most four of the server's demands", async () => {
  const channels = ["a", "b", "c", "d", "e", "f", "g"];
  const demands = [undefined, "r1", "r1", "r2", "r3", "r4", "r5"];
  for (const channel of channels) hold(channel, "page");
  for (const channel of channels) grant(channel);
  channels.forEach((channel, index) => stop(channel, 109, { renew: demands[index] }));
  await pass(1_000);
  assert.equal(fetches.length, 1);
  assert.equal(fetches[0].headers["X-Juggernaut-Renew"], "r2,r3,r4,r5");
  await fetches[0].answer(page(...channels.map((channel) => [channel, "t-" + channel])));
  assert.deepEqual(asked(), channels.map((channel) => `${channel} t-${channel}`));
});

test("the demand that came with asking again goes with the request that follows from it, and then no more", async () => {
  hold("a", "page");
  grant("a", { token: "resume" });
  stop("a", 110, { renew: "r1" });
  await pass(50);
  refuse("a", 109);
  await pass(300);
  assert.equal(fetches[0].headers["X-Juggernaut-Renew"], "r1");
  await fetches[0].answer(page(["a", "fresh"]));
  grant("a");
  stop("a", 109);
  await pass(300);
  assert.equal("X-Juggernaut-Renew" in fetches[1].headers, false);
});

test("the answer to a command may say the same: to ask again, with a demand, within spread", async () => {
  hold("a", "page");
  answer("a", { type: "error", code: 110, message: "ask again", temporary: true, spread: 2_000, renew: "r1" });
  assert.deepEqual(heard, ["error a 110"]);
  await pass(1_450);
  assert.deepEqual(asked(), []);
  await pass(50);
  answer("a", { type: "error", code: 109, message: "", temporary: false, spread: 4_000 });
  await pass(2_600);
  assert.equal(fetches.length, 0);
  await pass(50);
  assert.equal(fetches[0].headers["X-Juggernaut-Renew"], "r1");
});

test("a demand that was met by asking again is met", async () => {
  hold("a", "page");
  grant("a", { token: "resume" });
  stop("a", 110, { renew: "r1" });
  await pass(50);
  grant("a");
  await reconnect();
  refuse("a", 109);
  await pass(300);
  assert.equal("X-Juggernaut-Renew" in fetches[0].headers, false);
});

test("ended for good is refused for good", async () => {
  hold("a", "page");
  grant("a", { token: "resume" });
  stop("a", 103);
  assert.deepEqual(heard, ["subscribed a", "unsubscribed a", "error a 103"]);
  await pass(20_000);
  assert.deepEqual(asked(), []);
  hold("a", "another");
  assert.deepEqual(asked(), ["a another"], "but a token of another kind opens it");
});

test("the answer to a command of the page's own ends nothing", () => {
  hold("a", "page");
  grant("a");
  FakeSocket.last.receive({ type: "unsubscribed", channel: "a" });
  FakeSocket.last.receive({ channel: "a", data: 1 });
  assert.deepEqual(heard, ["subscribed a", "message a"]);
});

test("who lets go of the channel upon its end is not subscribed again", async () => {
  const holder = (kind) => kind === "unsubscribed" && server.subscriptions.remove("a", holder);
  server.subscriptions.add("a", holder, { token: "page" });
  grant("a");
  FakeSocket.last.takeCommands();
  stop("a", 110);
  await pass(100);
  assert.deepEqual(FakeSocket.last.takeCommands().map(({ type }) => type), ["unsubscribe"]);
});

test("those that end together are not sooner than the first of them", async () => {
  for (const channel of ["a", "b"]) hold(channel, "page");
  for (const channel of ["a", "b"]) grant(channel);
  stop("a", 109, { spread: 2_000 });
  setRandom(0);
  stop("b", 109, { spread: 2_000 });
  await pass(1_100);
  assert.equal(fetches.length, 0);
  await pass(50);
  assert.equal(fetches.length, 1);
});

test("what ends while the page is fetched waits for the next request", async () => {
  for (const channel of ["a", "b"]) hold(channel, "page");
  for (const channel of ["a", "b"]) grant(channel);
  stop("a", 109);
  await pass(150);
  stop("b", 109);
  await pass(1_000);
  assert.equal(fetches.length, 1);
  await fetches[0].answer(page(["a", "fresh"], ["b", "fresh"]));
  assert.deepEqual(asked(), ["a fresh"]);
  await pass(150);
  assert.equal(fetches.length, 2);
});

test("a passing error takes no token away", async () => {
  hold("a", "page");
  grant("a", { token: "resume" });
  await reconnect();
  answer("a", { type: "error", code: 100, message: "", temporary: true });
  await pass(500);
  assert.deepEqual(asked(), ["a resume"]);
});

// What the page's answer means

test("an expired token of the page is no error, but one more request", async () => {
  hold("a", "cached");
  refuse("a", 109);
  await pass(300);
  await fetches[0].answer(page(["a", "fresh"]));
  assert.deepEqual(asked(), ["a fresh"]);
  assert.deepEqual(heard, []);
});

test("a page that gives tokens that have ended is asked more and more rarely", async () => {
  hold("a", "cached");
  const times = [];
  for (let i = 0, time = 0; i < 5; i++) {
    refuse("a", 109);
    for (; fetches.length === i; time += 50) await pass(50);
    times.push(time);
    await fetches[i].answer(page(["a", `cached${i}`]));
  }
  const waits = times.map((time, index) => time - (times[index - 1] ?? 0));
  assert.deepEqual(waits, [150, 650, 1_150, 2_150, 4_150]);
  grant("a");
  stop("a", 109);
  await pass(150);
  assert.equal(fetches.length, 6, "a token that opens ends the waits");
});

test("a channel that the page does not bring any more is refused, others go on", async () => {
  hold("a", "page");
  hold("b", "page");
  for (const channel of ["a", "b"]) refuse(channel, 109);
  await pass(300);
  await fetches[0].answer(page(["b", "fresh"]));
  assert.deepEqual(heard, ["error a 103"]);
  assert.deepEqual(asked(), ["b fresh"]);
});

test("nor is one that the page says it does not grant", async () => {
  hold("a", "page");
  refuse("a", 109);
  await pass(300);
  await fetches[0].answer(SCRIPT + '<juggernaut-subscribe channel="a" denied="no"></juggernaut-subscribe>');
  assert.deepEqual(heard, ["error a 103"]);
});

test("a channel that has become public is asked for without a token", async () => {
  hold("a", "page");
  refuse("a", 109);
  await pass(300);
  await fetches[0].answer(SCRIPT + '<juggernaut-subscribe channel="a"></juggernaut-subscribe>');
  assert.deepEqual(asked(), ["a undefined"]);
});

for (const [what, options] of [
  ["a redirect", { type: "opaqueredirect", ok: false }],
  ["status 403", { status: 403 }],
  ["status 404", { status: 404 }],
  ["no HTML", { contentType: "application/json" }],
]) {
  test(`a page that answers with ${what} opens nothing any more`, async () => {
    hold("a", "page");
    refuse("a", 109);
    await pass(300);
    await fetches[0].answer(page(["a", "fresh"]), options);
    assert.deepEqual(heard, ["error a 103"]);
    await pass(60_000);
    assert.equal(fetches.length, 1);
    assert.match(warnings[0], /answered with .*: what needed its tokens has ended/);
  });
}

test("a page that cannot be parsed opens nothing either", async () => {
  const { parseFromString } = DOMParser.prototype;
  DOMParser.prototype.parseFromString = () => {
    throw new TypeError("TrustedHTML");
  };
  hold("a", "page");
  refuse("a", 109);
  await pass(300);
  await fetches[0].answer(page(["a", "fresh"]));
  DOMParser.prototype.parseFromString = parseFromString;
  assert.deepEqual(heard, ["error a 103"]);
});

test("a site that is down is asked again, with growing waits", async () => {
  hold("a", "page");
  refuse("a", 109);
  await pass(150);
  await fetches[0].fail();
  await pass(450);
  assert.equal(fetches.length, 1);
  await pass(50);
  await fetches[1].answer("", { status: 503 });
  await pass(950);
  assert.equal(fetches.length, 2);
  await pass(50);
  await fetches[2].answer(page(["a", "fresh"]));
  assert.deepEqual(asked(), ["a fresh"]);
  assert.deepEqual(heard, []);
});

test("the waits for the site begin anew with each answer", async () => {
  hold("a", "page");
  refuse("a", 109);
  await pass(150);
  await fetches[0].fail();
  await pass(500);
  await fetches[1].fail();
  await pass(1_000);
  await fetches[2].answer(page(["a", "fresh"]));
  grant("a");
  stop("a", 109);
  await pass(150);
  await fetches[3].fail();
  await pass(500);
  assert.equal(fetches.length, 5);
});

test("of several elements of a channel one with a token is enough", async () => {
  hold("a", "page");
  refuse("a", 109);
  await pass(300);
  await fetches[0].answer(page(["a", "fresh"]) + '<juggernaut-subscribe channel="a"></juggernaut-subscribe>');
  assert.deepEqual(asked(), ["a fresh"]);
});

test("a channel that ends meanwhile does not wait for a late retry", async () => {
  hold("a", "page");
  hold("b", "page");
  grant("b");
  refuse("a", 109);
  await pass(150);
  for (const wait of [500, 1_000, 2_000]) {
    await fetches.at(-1).fail();
    await pass(wait);
  }
  await fetches.at(-1).fail();
  stop("b", 109);
  await pass(150);
  assert.equal(fetches.length, 5);
});

test("a module that cannot be loaded is tried again", async () => {
  let isThere = false;
  open({
    loadLive: async () => {
      if (!isThere) throw new TypeError("no module");
      return live;
    },
  });
  hold("a", "page");
  refuse("a", 109);
  await pass(300);
  isThere = true;
  await pass(500);
  await fetches[0].answer(page(["a", "fresh"]));
  assert.deepEqual(asked(), ["a fresh"]);
});

test("a hidden tab waits until it is shown", async () => {
  hold("a", "page");
  setHidden(true);
  refuse("a", 109);
  await pass(10_000);
  assert.equal(fetches.length, 0);
  setHidden(false);
  await pass(50);
  assert.equal(fetches.length, 1);
});

test("the answer for a page that was left is not used", async () => {
  hold("a", "page");
  refuse("a", 109);
  await pass(300);
  history.replaceState(null, "", "/other/");
  await fetches[0].answer(page());
  assert.deepEqual(heard, []);
  await pass(1_000);
  assert.equal(fetches[1].url, "https://site.example/other/");
  await fetches[1].answer(page(["a", "fresh"]));
  assert.deepEqual(asked(), ["a fresh"]);
});

test("what nobody holds any more is not fetched for", async () => {
  hold("a", "page");
  refuse("a", 109);
  server.subscriptions.remove(...held.pop());
  await pass(1_000);
  assert.equal(fetches.length, 0);
  assert.deepEqual(asked(), []);
});

test("a connection that breaks while the page is fetched asks with the fresh token only", async () => {
  hold("a", "page");
  grant("a", { token: "resume" });
  stop("a", 109);
  await pass(300);
  await reconnect();
  assert.deepEqual(asked(), []);
  await fetches[0].answer(page(["a", "fresh"]));
  assert.deepEqual(asked(), ["a fresh"]);
});

test("a fresh page whose answer comes while there is no connection is for the next one", async () => {
  hold("a", "page");
  refuse("a", 109);
  await pass(300);
  FakeSocket.last.drop();
  await fetches[0].answer(page(["a", "fresh"]));
  await pass(2_000);
  FakeSocket.last.greet();
  assert.deepEqual(asked(), ["a fresh"]);
});

test("an element that brings a token while the page is fetched opens the channel at once", async () => {
  hold("a", "page");
  refuse("a", 109);
  await pass(300);
  hold("a", "newer");
  assert.equal(grant("a").token, "newer");
  await fetches[0].answer(page());
  assert.deepEqual(heard.filter((what) => what.startsWith("error")), []);
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
  server.subscriptions.remove(...held.pop());
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
  const jug = new Juggernaut({ url: `/spa-${++count}/`, token: async () => "connection" });
  jug.subscribe("a", () => {});
  jug.subscribe("b", () => {}, { token: async () => "own" });
  // Another object of the same server has no say in it.
  new Juggernaut({ url: `/spa-${count}/` });
  FakeSocket.last.greet();
  await settle();
  assert.deepEqual(asked(), ["a connection", "b own"]);
  jug.disconnect();
});

test("for a server that is not the page's, an expired text is an error", () => {
  const jug = new Juggernaut({ url: `/spa-${++count}/` });
  const codes = [];
  jug.on("error", ({ code }) => codes.push(code));
  jug.subscribe("a", () => {}, { token: "t" });
  FakeSocket.last.greet();
  refuse("a", 109);
  assert.deepEqual(codes, [109]);
  jug.disconnect();
});

// Logins

test("an ended login ends the connection, and its tokens", async () => {
  hold("a", "page");
  hold("b");
  grant("a", { token: "resume" });
  grant("b");
  FakeSocket.last.receive({ type: "disconnect", code: 3510, message: "the login has ended", reconnect: false });
  assert.equal(server.connection.state, "ended");
  assert.deepEqual(heard.slice(2), ["unsubscribed a", "unsubscribed b"]);
  assert.deepEqual(errors, [], "a logout is no fault");
  await pass(60_000);
  assert.equal(fetches.length, 0);
  server.connection.restart();
  FakeSocket.last.greet();
  assert.deepEqual(asked(), ["b undefined"]);
  await pass(300);
  await fetches[0].answer(page(["a", "fresh"]).replace("alice", "bob"));
  assert.deepEqual(asked(), ["a fresh"], "whoever logged in then");
});

test("a token that comes after it, of the next login, begins anew", () => {
  hold("a", "page");
  grant("a");
  FakeSocket.last.receive({ type: "disconnect", code: 3510, message: "", reconnect: false });
  hold("b");
  assert.equal(server.connection.state, "ended");
  hold("b", "bob");
  FakeSocket.last.greet();
  assert.deepEqual(asked(), ["b bob"]);
});

test("after the end of a login, functions are called for the next", async () => {
  let user = "alice";
  open({ token: () => user + "-connection" });
  hold("a", () => user + "-a");
  hold("b");
  await settle();
  grant("a", { token: "resume" });
  grant("b", { token: "resume" });
  await reconnect();
  for (const channel of ["a", "b"]) assert.equal(grant(channel).token, "resume");
  FakeSocket.last.receive({ type: "disconnect", code: 3510, message: "", reconnect: false });
  user = "bob";
  server.connection.restart();
  FakeSocket.last.greet();
  await settle();
  assert.deepEqual(asked(), ["a bob-a", "b bob-connection"]);
  assert.equal(fetches.length, 0);
});

test("tokens of an ended login are not kept for channels that were left either", async () => {
  hold("a", "page");
  grant("a", { token: "resume" });
  server.subscriptions.remove(...held.pop());
  FakeSocket.last.receive({ type: "disconnect", code: 3510, message: "", reconnect: false });
  server.connection.restart();
  FakeSocket.last.greet();
  hold("a");
  assert.deepEqual(asked(), ["a undefined"]);
});

test("what was granted to the ended login is opened by the token that comes for it", async () => {
  hold("a", "alice-a");
  grant("a");
  FakeSocket.last.receive({ type: "disconnect", code: 3510, message: "", reconnect: false });
  hold("a", "bob-a");
  FakeSocket.last.greet();
  assert.deepEqual(asked(), ["a bob-a"]);
});

test("what has become public meanwhile is asked for once", async () => {
  hold("a", "page");
  grant("a");
  FakeSocket.last.receive({ type: "disconnect", code: 3510, message: "", reconnect: false });
  server.connection.restart();
  FakeSocket.last.greet();
  await pass(300);
  await fetches[0].answer('<juggernaut-subscribe channel="a"></juggernaut-subscribe>');
  assert.deepEqual(asked(), ["a undefined"]);
  await pass(5_000);
  assert.equal(fetches.length, 1);
});

test("once another login is there, the page's own end is an end again", async () => {
  FakeSocket.last.receive({ type: "disconnect", code: 3510, message: "", reconnect: false });
  hold("a", "bob-a");
  FakeSocket.last.greet();
  server.connection.close();
  hold("b", "bob-b");
  assert.equal(server.connection.state, "ended");
});

test("a connection that the page has closed is not opened by a token", () => {
  server.connection.close();
  hold("a", "page");
  assert.equal(server.connection.state, "ended");
});

/** Alice's page, to which a login without leaving it has brought a channel of Bob's. */
async function logInAsBob() {
  for (const [channel, token] of [["a", "alice-a"], ["b", "alice-b"], ["public", undefined]]) hold(channel, token);
  grant("a", { token: "alice-resume" });
  grant("b");
  grant("public");
  hold("c", "bob-c");
  refuse("c", 122);
}

test("a token of another login, fresh in the page, makes the connection begin anew with it", async () => {
  const old = FakeSocket.last;
  await logInAsBob();
  assert.ok(old.isClosed);
  assert.notEqual(FakeSocket.last, old);
  FakeSocket.last.greet();
  assert.deepEqual(FakeSocket.last.commands.map(({ channel, token }) => [channel, token]), [["public", undefined], ["c", "bob-c"]]);
  grant("public");
  grant("c");
  await pass(300);
  await fetches[0].answer(page(["a", "bob-a"]).replace("alice", "bob"));
  assert.deepEqual(asked(), ["a bob-a"]);
  assert.deepEqual(heard.slice(3), ["unsubscribed a", "unsubscribed b", "unsubscribed public", "subscribed public", "subscribed c", "error b 103"]);
  // From here on the page is Bob's.
  const events = listenForStranger();
  document.addEventListener("juggernaut:identity", cancel);
  stop("c", 109);
  await pass(300);
  await fetches[1].answer(page(["c", "alice-c"]));
  assert.equal(events.length, 1);
});

test("other tokens that came with it are kept", async () => {
  hold("a", "alice-a");
  grant("a");
  hold("c", "bob-c");
  hold("d", "bob-d");
  refuse("c", 122);
  FakeSocket.last.greet();
  assert.deepEqual(asked(), ["c bob-c", "d bob-d"]);
});

test("what a function gives is fresh, also for the whole connection", async () => {
  open({ token: () => "bob" });
  hold("public");
  await settle();
  const { length } = FakeSocket.all;
  refuse("public", 122);
  assert.equal(FakeSocket.all.length, length + 1);
  FakeSocket.last.greet();
  await settle();
  assert.deepEqual(asked(), ["public bob"]);
});

test("that happens once in ten seconds", async () => {
  await logInAsBob();
  FakeSocket.last.greet();
  now += 9_999;
  const { length } = FakeSocket.all;
  refuse("c", 122);
  assert.equal(FakeSocket.all.length, length);
  await pass(300);
  assert.equal(fetches.length, 1, "the page is asked instead");
  await fetches[0].answer(page(["a", "bob-a"]));
  now += 2;
  hold("d", "cem-d");
  refuse("d", 122);
  assert.equal(FakeSocket.all.length, length + 1);
});

test("a channel that has been granted before may be the one that brings the other login", async () => {
  hold("a", "alice-a");
  grant("a", { token: "alice-resume" });
  hold("a", "bob-a");
  await reconnect();
  refuse("a", 103);
  refuse("a", 122);
  FakeSocket.last.greet();
  assert.deepEqual(asked(), ["a bob-a"]);
});

test("a resume token of another login gives way to what the page gives", async () => {
  hold("a", "page");
  grant("a", { token: "resume" });
  await reconnect();
  const { length } = FakeSocket.all;
  refuse("a", 122);
  await pass(300);
  await fetches[0].answer(page(["a", "fresh"]));
  assert.deepEqual(asked(), ["a fresh"]);
  assert.equal(FakeSocket.all.length, length);
});

test("so does a connection token", async () => {
  open({ token: "connection" });
  hold("a");
  const { length } = FakeSocket.all;
  refuse("a", 122);
  await pass(300);
  await fetches[0].answer(SCRIPT.replace(">", ' data-token="fresh">'));
  assert.deepEqual(asked(), ["a fresh"]);
  assert.equal(FakeSocket.all.length, length);
});

for (const [what, html] of [
  ["another login's", page(["a", "bob-a"]).replace("alice", "bob")],
  ["nobody's", page(["a", "t"]).replace('="alice"', "")],
]) {
  test(`a page that is ${what} when it is fetched opens nothing, and is told`, async () => {
    const events = listenForStranger();
    document.addEventListener("juggernaut:identity", cancel);
    hold("a", "page");
    refuse("a", 109);
    await pass(300);
    await fetches[0].answer(html);
    assert.equal(events.length, 1);
    assert.equal(events[0].target, document);
    assert.deepEqual(asked(), []);
    assert.deepEqual(heard, ["error a 122"]);
    assert.equal(reloads, 0, "it was cancelled");
  });
}

for (const [what, script] of [["without the script", ""], ["of public channels", SCRIPT.replace(' data-identity="alice"', "")]]) {
  test(`a page ${what} does not say whose it is`, async () => {
    hold("a", "page");
    refuse("a", 109);
    await pass(300);
    await fetches[0].answer(page(["a", "fresh"]).replace(SCRIPT, script));
    assert.deepEqual(asked(), ["a fresh"]);
  });
}

test("a page that did not say whose it is may be anybody's", async () => {
  open({ identity: undefined });
  hold("a", "page");
  refuse("a", 109);
  await pass(300);
  await fetches[0].answer(page(["a", "fresh"]));
  assert.deepEqual(asked(), ["a fresh"]);
});

test("a page that Turbo has brought since is not strange", async () => {
  document.body.innerHTML = SCRIPT.replace("alice", "bob");
  hold("a", "page");
  refuse("a", 109);
  await pass(300);
  await fetches[0].answer(page(["a", "fresh"]).replace("alice", "bob"));
  assert.deepEqual(asked(), ["a fresh"]);
});

test("a fetched token of another login than the connection's is told too", async () => {
  const events = listenForStranger();
  document.addEventListener("juggernaut:identity", cancel);
  hold("a", "page");
  refuse("a", 109);
  await pass(300);
  await fetches[0].answer(page(["a", "fresh"]));
  refuse("a", 122);
  assert.equal(events.length, 1);
  assert.deepEqual(heard, ["error a 122"]);
});

test("so is a fetched connection token", async () => {
  const events = listenForStranger();
  document.addEventListener("juggernaut:identity", cancel);
  hold("a", "page");
  refuse("a", 109);
  await pass(300);
  await fetches[0].answer(SCRIPT.replace(">", ' data-token="fresh">'));
  refuse("a", 122);
  assert.equal(events.length, 1);
});

test("a strange page that was loaded again less than a minute ago is refused instead", async () => {
  sessionStorage.setItem("juggernaut.reloads", JSON.stringify({ [PAGE]: now - 59_999 }));
  hold("a", "page");
  refuse("a", 109);
  await pass(300);
  await fetches[0].answer(page(["a", "bob-a"]).replace("alice", "bob"));
  await pass(1_000);
  assert.equal(reloads, 0);
  assert.deepEqual(heard, ["error a 122"]);
});

// Last, since a page view is loaded again only once.
test("otherwise it is loaded again", async () => {
  hold("a", "page");
  hold("b", "page");
  grant("b");
  refuse("a", 109);
  await pass(150);
  stop("b", 109);
  await fetches[0].answer(page(["a", "bob-a"]).replace("alice", "bob"));
  tick(0);
  assert.equal(reloads, 1);
  await pass(150);
  await fetches[1].answer(page(["b", "bob-b"]).replace("alice", "bob"));
  assert.deepEqual(heard, ["subscribed b", "unsubscribed b"]);
  assert.deepEqual(asked(), []);
});
