import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { reset, setRandom, tick } from "./support/page.js";

let copies = 0;
let pages;

beforeEach(() => {
  reset();
  pages = [];
});

/** A page of its own: the module as it begins. */
async function open(place) {
  const page = await import(`../src/turn.js?${copies++}`);
  if (place !== undefined) page.takePlace(place);
  pages.push(page);
  return page;
}

/** Pages in places as the server gives them. */
const crowd = (size) => Promise.all(Array.from({ length: size }, (_, number) => open((number * 0.618034) % 1)));

/**
 * Give all pages news every so many milliseconds; each acts when its turn is, for all that it was told until then.
 *
 * @returns {number[]} how many act within each second
 */
function play(seconds, every, spread) {
  const counts = [];
  const due = new Map();
  for (let time = 0; time < seconds * 1_000; time += 100) {
    for (const page of time % every ? [] : pages) {
      const wait = page.waitFor(spread);
      if (!due.has(page)) due.set(page, time + wait);
    }
    tick(100);
    const acting = [...due].filter(([, at]) => at < time + 100);
    for (const [page] of acting) due.delete(page);
    const second = Math.floor(time / 1_000);
    counts[second] = (counts[second] ?? 0) + acting.length;
  }
  return counts;
}

test("a page waits the part of spread that is its place", async () => {
  const { waitFor } = await open(0.25);
  assert.equal(waitFor(2_000), 500);
  assert.equal(waitFor(0), 0);
});

test("without a place from the server it is left to chance", async () => {
  setRandom(0.75);
  const { takePlace, waitFor } = await open();
  assert.equal(waitFor(2_000), 1_500);
  setRandom(0.5);
  takePlace(undefined);
  assert.equal(waitFor(2_000), 1_000);
});

test("a place in another server counts at once", async () => {
  const { takePlace, waitFor } = await open(0.25);
  waitFor(2_000);
  takePlace(0);
  assert.equal(waitFor(2_000), 0);
});

test("who asks again has the same turn", async () => {
  const { waitFor } = await open(0.5);
  waitFor(2_000);
  tick(400);
  assert.equal(waitFor(0), 0);
  assert.equal(Math.round(waitFor(2_000)), 600);
});

test("the next turn is a whole spread later, while there is news", async () => {
  const { waitFor } = await open(0.25);
  waitFor(2_000);
  tick(600);
  assert.equal(Math.round(waitFor(2_000)), 1_900);
  tick(1_500);
  assert.equal(Math.round(waitFor(2_000)), 400);
});

test("after a pause it is the place that counts", async () => {
  const { waitFor } = await open(0.25);
  waitFor(2_000);
  tick(2_000);
  assert.equal(waitFor(2_000), 500);
});

test("another spread is waited in the same part", async () => {
  const { waitFor } = await open(0.5);
  waitFor(2_000);
  assert.equal(waitFor(500), 250);
  tick(300);
  assert.equal(Math.round(waitFor(2_000)), 1_800, "its turn was 50 ms ago, and the next is 450 of 500 ms away");
});

for (const every of [100, 700, 6_000, 9_900, 15_000]) {
  test(`news every ${every} ms makes no second busier than the first spread's`, async () => {
    await crowd(500);
    const counts = play(60, every, 10_000);
    assert.ok(Math.max(...counts) <= 1.2 * 50, String(counts));
  });
}

test("a page that got a low place does not act at each piece of news", async () => {
  const { waitFor } = await open(0.001);
  assert.equal(waitFor(10_000), 10);
  tick(1_000);
  assert.ok(waitFor(10_000) > 9_000);
});
