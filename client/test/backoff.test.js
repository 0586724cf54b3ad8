import assert from "node:assert/strict";
import { test } from "node:test";
import { Timer, backoff } from "../src/backoff.js";

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

test("a pending call is hastened, never put off, and none is made of none", (t) => {
  let now = 0;
  t.mock.method(performance, "now", () => now);
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const tick = (ms) => {
    now += ms;
    t.mock.timers.tick(ms);
  };
  const callback = t.mock.fn();
  const timer = new Timer(callback);
  timer.hasten(0);
  tick(1);
  assert.equal(callback.mock.callCount(), 0);
  timer.arm(1000);
  tick(900);
  timer.hasten(200);
  tick(100);
  assert.equal(callback.mock.callCount(), 1);
  timer.arm(1000);
  tick(100);
  timer.hasten(200);
  tick(200);
  assert.equal(callback.mock.callCount(), 2);
  tick(2000);
  assert.equal(callback.mock.callCount(), 2);
});
