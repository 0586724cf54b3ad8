import assert from "node:assert/strict";
import { test } from "node:test";
import { fetches } from "./support/fetches.js";
import { pass, setRandom, warnings } from "./support/page.js";
import { FakeSocket } from "./support/socket.js";
import { PAGE, answer, asked, grant, heard, hold, page, reconnect, refuse, server, stop } from "./support/tokens.js";

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
