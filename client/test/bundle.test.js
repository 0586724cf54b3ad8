import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const at = (path) => fileURLToPath(new URL(path, import.meta.url));

test("the committed files are what the sources make, and small enough", () => {
  const { status, stderr } = spawnSync(process.execPath, [at("../build.js"), "--check"], { encoding: "utf8" });
  assert.equal(stderr, "");
  assert.equal(status, 0);
});

test("the declarations fit a page's code", () => {
  const options = ["--noEmit", "--strict", "--target", "es2022", "--lib", "es2022,dom", "--moduleResolution", "bundler"];
  const { status, stdout } = spawnSync(process.execPath, [
    at("../node_modules/typescript/bin/tsc"), "--ignoreConfig", ...options, "--module", "esnext",
    at("../../django_jugpush/static/django_jugpush/juggernaut.d.ts"), at("support/usage.ts"),
  ], { encoding: "utf8" });
  assert.equal(stdout, "");
  assert.equal(status, 0);
});

test("the bundles need no eval and write no HTML", async () => {
  for (const name of ["juggernaut.js", "live.js"]) {
    const text = await readFile(at(`../../django_jugpush/static/django_jugpush/${name}`), "utf8");
    assert.doesNotMatch(text, /\beval\(|new Function|innerHTML ?=|document\.write/);
  }
});

test("the lockfile names no registry", async () => {
  const text = await readFile(at("../package-lock.json"), "utf8");
  assert.doesNotMatch(text, /"resolved": "(?!https:\/\/registry\.npmjs\.org\/)/);
});
