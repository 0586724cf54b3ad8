import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { pass, reset } from "./support/page.js";

const { owe } = await import("../src/refresh.js");

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
const context = { client: "c", console: { explain() {}, error: (text) => said.push(text) }, waitFor: () => 0 };
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

async function refresh(text) {
  answer = `<tbody id="rows"><tr><td>${text}</td></tr></tbody>`;
  owe(document.querySelector("juggernaut-subscribe"), 0, context);
  await pass(300);
  return document.querySelector("#rows").textContent;
}

/** A module that knows of no policy yet. */
const load = () => import(`../src/html.js?${modules++}`);

test("pages and pieces are parsed with one policy, where the CSP asks for trusted types", async () => {
  assert.deepEqual(policies, []);
  assert.equal(await refresh("new"), "new");
  assert.equal(await refresh("newer"), "newer");
  assert.deepEqual(policies, ["juggernaut"]);
  assert.deepEqual(said, []);
});

test("a CSP that refuses the policy is named on the console, once", async () => {
  trustedTypes.createPolicy = () => {
    throw new TypeError("Policy \"juggernaut\" disallowed.");
  };
  const { parseHtml } = await load();
  assert.throws(() => parseHtml("<p>", context.console), /TrustedHTML/);
  assert.throws(() => parseHtml("<p>", context.console), /TrustedHTML/);
  assert.equal(said.length, 1);
  assert.match(said[0], /needs "trusted-types juggernaut" for refresh: TypeError: Policy "juggernaut" disallowed/);
});

test("a refused policy does no harm where strings will do", async () => {
  trustedTypes.createPolicy = () => {
    throw new TypeError("disallowed");
  };
  globalThis.DOMParser = Parser;
  const { parseHtml } = await load();
  assert.equal(parseHtml("<p>new</p>", context.console).body.textContent, "new");
});

test("an answer that cannot be used is not tried again, and does not stand in the way of the next", async () => {
  globalThis.DOMParser = class {
    parseFromString() {
      throw new TypeError("This document requires 'TrustedHTML' assignment.");
    }
  };
  assert.equal(await refresh("new"), "old");
  await pass(5_000);
  assert.equal(fetched, 1);
  assert.equal(said.length, 1);
  assert.match(said[0], /^the answer of https:\/\/site\.example\/\S* could not be used: TypeError: .*TrustedHTML/);
  globalThis.DOMParser = StrictParser;
  assert.equal(await refresh("newer"), "newer");
});
