import assert from "node:assert/strict";
import { test } from "node:test";
import { fetches } from "./support/fetches.js";
import { errors, pass, reloads, settle, tick } from "./support/page.js";
import { FakeSocket } from "./support/socket.js";
import {
  PAGE,
  SCRIPT,
  asked,
  cancel,
  clock,
  grant,
  letGo,
  heard,
  hold,
  listenForStranger,
  open,
  page,
  reconnect,
  refuse,
  server,
  stop,
} from "./support/tokens.js";

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
  letGo();
  FakeSocket.last.receive({ type: "disconnect", code: 3510, message: "", reconnect: false });
  server.connection.restart();
  FakeSocket.last.greet();
  hold("a");
  assert.deepEqual(asked(), ["a undefined"]);
});

test("nor is the page's connection token", async () => {
  open({ token: "connection" });
  hold("a");
  assert.equal(grant("a").token, "connection");
  FakeSocket.last.receive({ type: "disconnect", code: 3510, message: "", reconnect: false });
  server.connection.restart();
  FakeSocket.last.greet();
  hold("b");
  assert.deepEqual(asked(), ["b undefined"]);
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
  clock.now += 9_999;
  const { length } = FakeSocket.all;
  refuse("c", 122);
  assert.equal(FakeSocket.all.length, length);
  await pass(300);
  assert.equal(fetches.length, 1, "the page is asked instead");
  await fetches[0].answer(page(["a", "bob-a"]));
  clock.now += 2;
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
  sessionStorage.setItem("juggernaut.reloads", JSON.stringify({ [PAGE]: clock.now - 59_999 }));
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
