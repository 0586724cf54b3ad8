import assert from "node:assert/strict";
import { test } from "node:test";
import { fetches } from "./support/fetches.js";
import { $, NEWS, PAGE, publish, put, reconnect, socket } from "./support/live.js";
import { errors, pass, setHidden, setRandom, settle, tick, warnings } from "./support/page.js";
import { FakeSocket } from "./support/socket.js";

test("news makes one fetch of the page's own address, and the part is morphed in", async () => {
  await put(`${NEWS}<p id="part">old</p><p id="other">old</p>`);
  const part = $("#part");
  await publish("news");
  await pass(250);
  assert.equal(fetches.length, 0);
  await pass(50);
  const [{ url, headers, options, answer }] = fetches;
  assert.equal(url, PAGE);
  assert.equal(headers["X-Juggernaut-Refresh"], "#part");
  assert.equal(headers["X-Juggernaut-Client"], juggernaut.sessionID);
  assert.equal(options.credentials, "same-origin");
  assert.equal(options.cache, "no-store");
  assert.equal(options.method ?? "GET", "GET");
  await answer('<!doctype html><p id="part" class="x">new <b>text</b></p><p id="other">new</p>');
  assert.equal($("#part"), part, "the element itself is kept");
  assert.equal(part.outerHTML, '<p id="part" class="x">new <b>text</b></p>');
  assert.equal($("#other").textContent, "old");
});

test("src names another address of the site", async () => {
  await put('<juggernaut-subscribe channel="news" refresh="#part" src="/rows/?a=1"></juggernaut-subscribe><p id="part"></p>');
  await publish("news");
  await pass(300);
  assert.equal(fetches[0].url, "https://site.example/rows/?a=1");
});

test("an address of another site is not fetched", async () => {
  await put('<juggernaut-subscribe channel="news" refresh="#part" src="https://evil.example/"></juggernaut-subscribe><p id="part"></p>');
  await publish("news");
  await pass(1_000);
  assert.equal(fetches.length, 0);
  assert.match(errors[0], /evil\.example.* is not an address of this site/);
});

test("the hash is no part of the address", async () => {
  history.replaceState(null, "", PAGE + "#top");
  await put(`${NEWS}<p id="part"></p>`);
  await publish("news");
  await pass(300);
  assert.equal(fetches[0].url, PAGE);
});

test("a burst of 50 messages makes two fetches at most, one after the other", async () => {
  await put(`${NEWS}<p id="part">0</p>`);
  for (let i = 0; i < 25; i++) await publish("news");
  await pass(300);
  assert.equal(fetches.length, 1);
  for (let i = 0; i < 25; i++) await publish("news");
  await pass(5_000);
  assert.equal(fetches.length, 1, "one is running, so one waits");
  await fetches[0].answer('<p id="part">1</p>');
  await pass(300);
  assert.equal(fetches.length, 2);
  await fetches[1].answer('<p id="part">2</p>');
  await pass(5_000);
  assert.equal(fetches.length, 2);
  assert.equal($("#part").textContent, "2");
});

test("two subscriptions that refresh the same part make one fetch", async () => {
  await put(`${NEWS}<juggernaut-subscribe channel="more" refresh="#part"></juggernaut-subscribe><p id="part"></p>`);
  await publish("news");
  await publish("more");
  await pass(1_000);
  assert.equal(fetches.length, 1);
  assert.equal(fetches[0].headers["X-Juggernaut-Refresh"], "#part");
});

test("two subscriptions with parts of the same page make one fetch, whichever way it is named", async () => {
  await put(`${NEWS}<juggernaut-subscribe channel="more" refresh="#b" src="?page=2"></juggernaut-subscribe>
    <p id="part">old</p><p id="b">old</p>`);
  await publish("news");
  await publish("more");
  await pass(1_000);
  assert.equal(fetches.length, 1);
  assert.equal(fetches[0].headers["X-Juggernaut-Refresh"], "#part, #b");
  await fetches[0].answer('<p id="part">new</p><p id="b">newer</p>');
  assert.equal($("#part").textContent + $("#b").textContent, "newnewer");
});

test("two addresses are fetched side by side", async () => {
  await put(`${NEWS}<juggernaut-subscribe channel="more" refresh="#b" src="/b/"></juggernaut-subscribe>
    <p id="part">old</p><p id="b">old</p>`);
  await publish("news");
  await publish("more");
  await pass(300);
  assert.deepEqual(fetches.map(({ url }) => url), [PAGE, "https://site.example/b/"]);
});

test("spread is waited in part, from messages and from stale", async () => {
  await put(`${NEWS}<p id="part"></p>`);
  await publish("news", {}, { spread: 2000 });
  await pass(1_250);
  assert.equal(fetches.length, 0);
  await pass(50);
  assert.equal(fetches.length, 1);
  await fetches[0].answer('<p id="part"></p>');
  await pass(1_000);
  socket.receive({ type: "stale", channel: "news", reason: "storm", spread: 4000 });
  await settle();
  await pass(2_250);
  assert.equal(fetches.length, 1);
  await pass(50);
  assert.equal(fetches.length, 2);
});

test("the part is the place that the server gave, for all addresses", async () => {
  reconnect({ place: 0.75 });
  await put(`${NEWS}<juggernaut-subscribe channel="more" refresh="#b" src="/b/"></juggernaut-subscribe>
    <p id="part"></p><p id="b"></p>`);
  await publish("news", {}, { spread: 4_000 });
  await pass(1_000);
  await publish("more", {}, { spread: 4_000 });
  await pass(2_250);
  assert.equal(fetches.length, 0);
  await pass(50);
  assert.equal(fetches.length, 2);
});

test("a turn that comes before the module is there is not lost", async () => {
  reconnect({ place: 0.1 });
  await put(`${NEWS}<p id="part"></p>`);
  socket.receive({ channel: "news", data: {}, spread: 2_000 });
  tick(250);
  await settle();
  await pass(500);
  assert.equal(fetches.length, 1);
});

test("the spread of what was fetched is not that of the next news", async () => {
  await put(`${NEWS}<p id="part"></p>`);
  await publish("news", {}, { spread: 4000 });
  await pass(2_300);
  assert.equal(fetches.length, 1);
  await publish("news");
  await fetches[0].answer('<p id="part"></p>');
  await pass(300);
  assert.equal(fetches.length, 2);
});

test("what comes while a fetch runs is fetched after a part of the longest spread", async () => {
  await put(`${NEWS}<p id="part"></p>`);
  await publish("news");
  await pass(300);
  await publish("news", {}, { spread: 4000 });
  await publish("news");
  await fetches[0].answer('<p id="part"></p>');
  await pass(2_250);
  assert.equal(fetches.length, 1);
  await pass(50);
  assert.equal(fetches.length, 2);
});

test("news that goes on is fetched once a spread, also by who comes first", async () => {
  reconnect({ place: 0 });
  await put(`${NEWS}<p id="part"></p>`);
  for (let time = 0; time < 6_000; time += 500) {
    await publish("news", {}, { spread: 2_000 });
    await pass(500);
    for (const { answer } of fetches) await answer('<p id="part"></p>');
  }
  assert.equal(fetches.length, 3);
});

test("a gap after a reconnect is healed like news", async () => {
  await put(`${NEWS}<p id="part">old</p>`);
  socket.drop();
  tick(500);
  FakeSocket.last.greet();
  FakeSocket.last.grant();
  await settle();
  await pass(300);
  await fetches[0].answer('<p id="part">new</p>');
  assert.equal($("#part").textContent, "new");
});

test("who was rendered before the newest publication and comes after it is refreshed once", async () => {
  await put('<juggernaut-subscribe channel="news"></juggernaut-subscribe><p id="part">old</p>');
  await publish("news", {}, { position: "e:5-1500" });
  document.body.insertAdjacentHTML("beforeend", NEWS.replace(">", ' since=":0-1400">'));
  await settle();
  await pass(300);
  await fetches[0].answer('<p id="part">new</p>');
  await pass(5_000);
  assert.equal(fetches.length, 1);
  assert.equal($("#part").textContent, "new");
});

test("what is replayed refreshes in one go", async () => {
  document.body.innerHTML = NEWS.replace(">", ' since=":0-1400">') + '<p id="part">old</p>';
  await settle();
  const [{ id }] = socket.commands;
  const publications = [1, 2, 3].map((n) => ({ channel: "news", data: n, position: `e:${n}-150${n}` }));
  socket.receive({ type: "subscribed", id, channel: "news", recovered: true, publications, position: "e:3-1503" });
  await settle();
  await pass(5_000);
  assert.equal(fetches.length, 1);
});

test("a hidden tab waits, and makes one fetch when it is shown", async () => {
  await put(`${NEWS}<p id="part"></p>`);
  setHidden(true);
  for (let i = 0; i < 5; i++) await publish("news");
  await pass(10_000);
  assert.equal(fetches.length, 0);
  setHidden(false);
  await pass(50);
  assert.equal(fetches.length, 1);
});

test("a tab that is hidden in the last moment waits too", async () => {
  await put(`${NEWS}<p id="part"></p>`);
  await publish("news");
  setHidden(true);
  await pass(1_000);
  assert.equal(fetches.length, 0);
  setHidden(false);
  await pass(50);
  assert.equal(fetches.length, 1);
});

test("an answer for an address that was left is dropped, and the new one is fetched", async () => {
  await put(`${NEWS}<p id="part">page 2</p>`);
  await publish("news");
  await pass(300);
  history.pushState(null, "", "/list/?page=3");
  $("#part").textContent = "page 3";
  await fetches[0].answer('<p id="part">page 2, newer</p>');
  assert.equal($("#part").textContent, "page 3");
  await pass(300);
  assert.equal(fetches[1].url, "https://site.example/list/?page=3");
  await fetches[1].answer('<p id="part">page 3, newer</p>');
  assert.equal($("#part").textContent, "page 3, newer");
});

test("the address is that of the moment of the fetch", async () => {
  await put(`${NEWS}<p id="part"></p>`);
  await publish("news");
  history.pushState(null, "", "/list/?page=4");
  await pass(700);
  assert.deepEqual(fetches.map(({ url }) => url), ["https://site.example/list/?page=4"]);
});

test("what was owed for a page that is gone, element and all, is forgotten", async () => {
  await put(`${NEWS}<p id="part"></p>`);
  await publish("news");
  history.pushState(null, "", "/elsewhere/");
  document.body.innerHTML = '<p id="part">other</p>';
  await pass(2_000);
  assert.equal(fetches.length, 0);
});

for (const redirect of [{ redirected: true }, { type: "opaqueredirect", ok: false }]) {
  test(`a redirect to a login page never replaces a part: ${JSON.stringify(redirect)}`, async () => {
    // An address of its own, since nothing is explained twice.
    history.replaceState(null, "", `/${Object.keys(redirect)}/`);
    await put(`${NEWS}<p id="part">mine</p>`);
    await publish("news");
    await pass(300);
    assert.equal(fetches[0].options.redirect, "manual");
    await fetches[0].answer('<p id="part">log in</p>', redirect);
    await pass(10_000);
    assert.equal($("#part").textContent, "mine");
    assert.equal(fetches.length, 1, "it is not tried again");
    assert.match(warnings[0], /answered with a redirect: #part was not refreshed/);
  });
}

for (const status of [403, 404]) {
  test(`status ${status} replaces nothing and is not tried again`, async () => {
    await put(`${NEWS}<p id="part">mine</p>`);
    await publish("news");
    await pass(300);
    await fetches[0].answer('<p id="part">error</p>', { status });
    await pass(10_000);
    assert.equal($("#part").textContent, "mine");
    assert.equal(fetches.length, 1);
  });
}

test("what is not HTML is dropped", async () => {
  await put(`${NEWS}<p id="part">mine</p>`);
  await publish("news");
  await pass(300);
  await fetches[0].answer('<p id="part">no</p>', { contentType: "application/json" });
  assert.equal($("#part").textContent, "mine");
  assert.match(warnings[0], /application\/json, not HTML/);
});

test("what is owed again meanwhile counts, and not what the failed fetch was for", async () => {
  await put(`${NEWS}<p id="part"></p><p id="b"></p>`);
  await publish("news");
  await pass(300);
  $("juggernaut-subscribe").setAttribute("refresh", "#b");
  await publish("news");
  await fetches[0].fail();
  await pass(600);
  assert.equal(fetches[1].headers["X-Juggernaut-Refresh"], "#b");
});

test("a failed fetch is tried again for as long as something is owed", async () => {
  await put(`${NEWS}<p id="part">old</p>`);
  await publish("news");
  await pass(300);
  await fetches[0].fail();
  await pass(450);
  assert.equal(fetches.length, 1);
  await pass(50);
  assert.equal(fetches.length, 2);
  await fetches[1].answer("", { status: 502 });
  await pass(950);
  assert.equal(fetches.length, 2);
  await pass(50);
  await fetches[2].answer('<p id="part">new</p>');
  assert.equal($("#part").textContent, "new");
  await pass(10_000);
  assert.equal(fetches.length, 3);
});

test("news does not wait for the end of a long pause between retries", async () => {
  await put(`${NEWS}<p id="part">old</p>`);
  await publish("news");
  await pass(300);
  for (const pause of [500, 1_000, 2_000, 4_000]) {
    await fetches.at(-1).fail();
    await pass(pause);
  }
  await fetches.at(-1).fail();
  await pass(1_000);
  assert.equal(fetches.length, 5);
  await publish("news");
  await pass(300);
  assert.equal(fetches.length, 6);
});

test("an answer that the page's policy forbids to parse is told, and the next news is fetched", async () => {
  await put(`${NEWS}<p id="part">old</p>`);
  const { parseFromString } = DOMParser.prototype;
  DOMParser.prototype.parseFromString = () => {
    throw new TypeError("This document requires 'TrustedHTML' assignment.");
  };
  await publish("news");
  await pass(300);
  await fetches[0].answer('<p id="part">new</p>');
  DOMParser.prototype.parseFromString = parseFromString;
  await publish("news");
  await pass(300);
  await fetches[1].answer('<p id="part">new</p>');
  assert.equal($("#part").textContent, "new");
});

/** News whose fetch fails six times: the seventh is sixteen seconds away. */
async function failSixTimes() {
  await put(`${NEWS}<p id="part">old</p>`);
  await publish("news");
  for (const wait of [300, 500, 1_000, 2_000, 4_000, 8_000]) {
    await pass(wait);
    await fetches.at(-1).fail();
  }
  assert.equal(fetches.length, 6);
}

for (const frame of [{ data: {} }, { type: "stale", reason: "storm" }]) {
  test(`new news does not wait for a late retry: ${JSON.stringify(frame)}`, async () => {
    await failSixTimes();
    await pass(1_000);
    socket.receive({ channel: "news", spread: 2_000, ...frame });
    await settle();
    await pass(1_250);
    assert.equal(fetches.length, 6);
    await pass(50);
    assert.equal(fetches.length, 7);
    await fetches[6].fail();
    await pass(500);
    assert.equal(fetches.length, 8, "the waits begin anew");
    await fetches[7].answer('<p id="part">new</p>');
    assert.equal($("#part").textContent, "new");
    await pass(20_000);
    assert.equal(fetches.length, 8);
  });
}

test("a retry that comes sooner than new news is not put off", async () => {
  await put(`${NEWS}<p id="part"></p>`);
  await publish("news");
  await pass(300);
  await fetches[0].fail();
  await publish("news", {}, { spread: 4_000 });
  await pass(500);
  assert.equal(fetches.length, 2);
});

test("a burst waits as long as its first message says, not as the soonest of all", async () => {
  await put(`${NEWS}<p id="part"></p>`);
  await publish("news", {}, { spread: 2_000 });
  await publish("news", {}, { spread: 400 });
  await pass(1_250);
  assert.equal(fetches.length, 0);
  await pass(50);
  assert.equal(fetches.length, 1);
});

test("an element without an id is explained", async () => {
  await put('<juggernaut-subscribe channel="news" refresh=".part"></juggernaut-subscribe><p class="part">old</p>');
  await publish("news");
  await pass(300);
  await fetches[0].answer('<p class="part">new</p>');
  assert.equal($("p").textContent, "old");
  assert.match(warnings[0], /refresh="\.part" matches an element without an id/);
});

test("a part that the answer does not have is left alone, and explained", async () => {
  await put(`${NEWS}<p id="part">old</p>`);
  await publish("news");
  await pass(300);
  await fetches[0].answer("<p>nothing</p>");
  assert.equal($("#part").textContent, "old");
  assert.match(warnings[0], /no element with the id "part"/);
});

test("a selector that is none, or matches nothing, makes no fetch", async () => {
  await put(`<juggernaut-subscribe channel="a" refresh="#"></juggernaut-subscribe>
    <juggernaut-subscribe channel="b" refresh="#absent"></juggernaut-subscribe>`);
  await publish("a");
  await publish("b");
  await pass(1_000);
  assert.equal(fetches.length, 0);
  assert.match(errors[0], /refresh="#" is not a selector/);
  assert.match(warnings[0], /refresh="#absent" matches nothing/);
});

test("a selector outside Latin-1 fits into the header", async () => {
  await put('<juggernaut-subscribe channel="news" refresh="#prüfung, #日"></juggernaut-subscribe><p id="prüfung"></p>');
  await publish("news");
  await pass(300);
  assert.equal(fetches[0].headers["X-Juggernaut-Refresh"], "#pr%C3%BCfung, #%E6%97%A5");
});

test("juggernaut:refresh can cancel, and has the fetched page", async () => {
  await put(`${NEWS}<p id="part">old</p>`);
  const heard = [];
  $("juggernaut-subscribe").addEventListener("juggernaut:refresh", (event) => {
    heard.push(event.detail.page.getElementById("part").textContent);
    event.preventDefault();
  });
  document.addEventListener("juggernaut:refreshed", () => heard.push("refreshed"), { once: true });
  await publish("news");
  await pass(300);
  await fetches[0].answer('<p id="part">new</p>');
  assert.deepEqual(heard, ["new"]);
  assert.equal($("#part").textContent, "old");
});

test("a part that went with the part around it is none any more", async () => {
  await put('<juggernaut-subscribe channel="news" refresh=".p"></juggernaut-subscribe><div class="p" id="o"><b class="p" id="i">1</b></div>');
  const parts = [];
  document.addEventListener("juggernaut:refreshed", ({ detail }) => parts.push(...detail.parts), { once: true });
  await publish("news");
  await pass(300);
  await fetches[0].answer('<div class="p" id="o">2</div><b class="p" id="i">2</b>');
  assert.deepEqual(parts, [$("#o")]);
});

test("juggernaut:refreshed comes afterwards, with the parts", async () => {
  await put(`${NEWS}<p id="part">old</p>`);
  const heard = [];
  document.addEventListener("juggernaut:refreshed", ({ detail }) => heard.push(detail), { once: true });
  await publish("news");
  await pass(300);
  await fetches[0].answer('<p id="part">new</p>');
  assert.deepEqual(heard[0].parts, [$("#part")]);
  assert.equal(heard[0].url, PAGE);
});
