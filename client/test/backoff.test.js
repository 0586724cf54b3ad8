import assert from "node:assert/strict";
import { test } from "node:test";
import { backoff } from "../src/backoff.js";

test("waits are spread over everything below a doubling ceiling", (t) => {
  t.mock.method(Math, "random", () => 0.5);
  assert.deepEqual([0, 1, 2, 3].map((attempt) => backoff(attempt)), [500, 1000, 2000, 4000]);
  Math.random.mock.mockImplementation(() => 0);
  assert.equal(backoff(3), 0);
});

test("the ceiling stops growing, also after ten thousand attempts", (t) => {
  t.mock.method(Math, "random", () => 1);
  assert.equal(backoff(10), 30_000);
  assert.equal(backoff(10_000), 30_000);
});
