import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { reset } from "./support/page.js";

const KEY = "juggernaut.client";
let pages = 0;

beforeEach(() => {
  reset();
  sessionStorage.clear();
});

/** What a page that begins gets for its id. */
const open = async () => (await import(`../src/identity.js?${++pages}`)).clientId;

test("a tab keeps its id over a reload", async () => {
  const id = await open();
  assert.match(id, /^[0-9a-f]{32}$/);
  dispatchEvent(new Event("pagehide"));
  assert.equal(await open(), id);
});

test("a duplicate of the tab gets an id of its own", async () => {
  const id = await open();
  // The duplicate begins with a copy of the storage, while the first page is still there.
  const copy = await open();
  assert.match(copy, /^[0-9a-f]{32}$/);
  assert.notEqual(copy, id);
});

test("a page that comes back from the bfcache takes its id out again", async () => {
  const id = await open();
  dispatchEvent(new Event("pagehide"));
  dispatchEvent(new Event("pageshow"));
  assert.equal(sessionStorage.getItem(KEY), null);
  assert.notEqual(await open(), id);
});

test("what is no id is not taken for one", async () => {
  sessionStorage.setItem(KEY, "<script>");
  assert.match(await open(), /^[0-9a-f]{32}$/);
});

test("without a storage there is an id all the same", async () => {
  const storage = sessionStorage;
  Object.defineProperty(globalThis, "sessionStorage", {
    get() {
      throw new DOMException("forbidden", "SecurityError");
    },
    configurable: true,
  });
  assert.match(await open(), /^[0-9a-f]{32}$/);
  dispatchEvent(new Event("pagehide"));
  Object.defineProperty(globalThis, "sessionStorage", { value: storage, configurable: true, writable: true });
});
