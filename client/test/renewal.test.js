import assert from "node:assert/strict";
import { test } from "node:test";
import { fetches } from "./support/fetches.js";
import { pass, setHidden, warnings } from "./support/page.js";
import { FakeSocket } from "./support/socket.js";
import {
  SCRIPT,
  asked,
  grant,
  letGo,
  heard,
  hold,
  open,
  page,
  reconnect,
  refuse,
  stop,
} from "./support/tokens.js";

const live = await import("../src/live.js");

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
  letGo();
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
