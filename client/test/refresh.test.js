import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { pass, reset } from "./support/page.js";

const Parser = DOMParser;

class TrustedHTML {
  constructor(html) {
    this.html = html;
  }
}

/** The parser under `require-trusted-types-for 'script'`. */
class StrictParser {
  parseFromString(html, type) {
    if (!(html instanceof TrustedHTML)) throw new TypeError("This document requires 'TrustedHTML' assignment.");
    return new Parser().parseFromString(html.html, type);
  }
}

const said = [];
const context = { client: "c", console: { explain() {}, error: (text) => said.push(text) } };
let policies;
let fetched;
let answer;
let modules = 0;

beforeEach(() => {
  reset();
  said.length = fetched = 0;
  policies = [];
  globalThis.DOMParser = StrictParser;
  globalThis.trustedTypes = {
    createPolicy(name, { createHTML }) {
      policies.push(name);
      return { createHTML: (html) => new TrustedHTML(createHTML(html)) };
    },
  };
  globalThis.fetch = async () => {
    fetched++;
    return new Response(answer, { headers: { "Content-Type": "text/html" } });
  };
  document.body.innerHTML = `<juggernaut-subscribe refresh="tbody"></juggernaut-subscribe>
    <table><tbody id="rows"><tr><td>old</td></tr></tbody></table>`;
});

afterEach(() => {
  globalThis.DOMParser = Parser;
  delete globalThis.trustedTypes;
});

/** A module that knows of no policy yet. */
const load = () => import(`../src/refresh.js?${modules++}`);

async function refresh(owe, text) {
  answer = `<tbody id="rows"><tr><td>${text}</td></tr></tbody>`;
  owe(document.querySelector("juggernaut-subscribe"), 0, context);
  await pass(300);
  return document.querySelector("#rows").textContent;
}

test("pages and pieces are parsed with one policy, where the CSP asks for trusted types", async () => {
  const { owe } = await load();
  assert.deepEqual(policies, []);
  assert.equal(await refresh(owe, "new"), "new");
  assert.equal(await refresh(owe, "newer"), "newer");
  assert.deepEqual(policies, ["juggernaut"]);
  assert.deepEqual(said, []);
});

test("a CSP that refuses the policy is named on the console", async () => {
  trustedTypes.createPolicy = () => {
    throw new TypeError("Policy \"juggernaut\" disallowed.");
  };
  const { owe } = await load();
  assert.equal(await refresh(owe, "new"), "old");
  assert.match(said[0], /needs "trusted-types juggernaut" for refresh: TypeError: Policy "juggernaut" disallowed/);
  assert.match(said[1], /^the answer of https:\/\/site\.example\/\S* could not be used: TypeError: .*TrustedHTML/);
  assert.equal(said.length, 2);
});

test("a refused policy does no harm where strings will do", async () => {
  trustedTypes.createPolicy = () => {
    throw new TypeError("disallowed");
  };
  globalThis.DOMParser = Parser;
  const { owe } = await load();
  assert.equal(await refresh(owe, "new"), "new");
  assert.equal(await refresh(owe, "newer"), "newer");
  assert.equal(said.length, 1, "it is said once");
});

test("an answer that cannot be used is not tried again, and does not stand in the way of the next", async () => {
  delete globalThis.trustedTypes;
  const { owe } = await load();
  assert.equal(await refresh(owe, "new"), "old");
  await pass(5_000);
  assert.equal(fetched, 1);
  assert.equal(said.length, 1);
  globalThis.DOMParser = Parser;
  assert.equal(await refresh(owe, "newer"), "newer");
});
