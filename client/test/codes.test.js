import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { DisconnectCode, ErrorCode, mayReconnect } from "../src/codes.js";

const python = await readFile(new URL("../../django_jugpush/core/codes.py", import.meta.url), "utf8");

/** The names and numbers of one class of codes.py. */
function table(name) {
  const body = python.split(`class ${name}(`)[1].split("\nclass ")[0];
  return Object.fromEntries(Array.from(body.matchAll(/^ {4}([A-Z_]+) = (\d+), "/gm), ([, key, code]) => [key, Number(code)]));
}

for (const [name, codes] of Object.entries({ ErrorCode, DisconnectCode })) {
  test(`${name} says what the server says`, () => {
    const all = table(name);
    assert.deepEqual({ ...all, ...codes }, all);
    assert.notDeepEqual(codes, {});
  });
}

test("only codes from 3500 to 3999 are final", () => {
  assert.deepEqual([1000, 1006, 3001, 3499, 3500, 3999, 4000].map(mayReconnect), [true, true, true, true, false, false, true]);
});
