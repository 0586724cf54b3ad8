import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { reloads, reset, setHidden, tick } from "./support/page.js";

let views = 0;
let now;

beforeEach(() => {
  reset();
  sessionStorage.clear();
  history.replaceState(null, "", "/list/");
  now = 1_000_000;
  Date.now = () => now;
});

/** A page view: the module as it begins. */
const view = async () => (await import(`../src/reload.js?${views++}`)).reloadAfter;

test("the page is loaded again after the wait", async () => {
  (await view())(1_000);
  tick(999);
  assert.equal(reloads, 0);
  tick(1);
  assert.equal(reloads, 1);
});

test("a page view is loaded again once, however often it is stale", async () => {
  const reloadAfter = await view();
  for (let i = 0; i < 5; i++) reloadAfter(100);
  tick(100_000);
  now += 100_000;
  reloadAfter(0);
  tick(100_000);
  assert.equal(reloads, 1);
});

test("a page that is stale again at once, as one from a cache, is not loaded in a loop", async () => {
  for (let i = 0; i < 6; i++) {
    (await view())(0);
    tick(1_000);
    now += 9_999;
  }
  assert.equal(reloads, 1);
  now += 9_999;
  (await view())(0);
  tick(0);
  assert.equal(reloads, 2, "a minute later it is another matter");
});

test("the minute is that of the address, without its hash", async () => {
  (await view())(0);
  tick(0);
  history.replaceState(null, "", "/list/#bottom");
  (await view())(0);
  tick(0);
  assert.equal(reloads, 1);
  history.replaceState(null, "", "/other/");
  (await view())(0);
  tick(0);
  assert.equal(reloads, 2);
  history.replaceState(null, "", "/list/");
  (await view())(0);
  tick(0);
  assert.equal(reloads, 2, "the other address has not pushed it out");
});

test("a hidden page waits until it is shown", async () => {
  const reloadAfter = await view();
  setHidden(true);
  reloadAfter(100);
  tick(100_000);
  assert.equal(reloads, 0);
  setHidden(false);
  assert.equal(reloads, 1);
  setHidden(true);
  setHidden(false);
  assert.equal(reloads, 1);
});

/** Run with a storage of which nothing can be read, or nothing be written. */
function withBroken(fault, action) {
  const storage = sessionStorage;
  const broken = { getItem: () => null, setItem() {}, [fault]: () => { throw new Error("forbidden"); } };
  Object.defineProperty(globalThis, "sessionStorage", { value: broken, configurable: true, writable: true });
  action();
  Object.defineProperty(globalThis, "sessionStorage", { value: storage, configurable: true, writable: true });
}

for (const fault of ["getItem", "setItem"]) {
  test(`without a storage the page is never loaded again: ${fault}`, async () => {
    const reloadAfter = await view();
    withBroken(fault, () => {
      reloadAfter(0);
      tick(1_000);
    });
    assert.equal(reloads, 0);
  });

  test(`nor if the storage is taken away meanwhile: ${fault}`, async () => {
    (await view())(1_000);
    withBroken(fault, () => tick(1_000));
    assert.equal(reloads, 0);
  });
}
