import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { reset } from "./support/page.js";

const { markOwnRequests } = await import("../src/own.js");
markOwnRequests(() => "this-tab");

beforeEach(reset);
afterEach(() => document.body.replaceChildren());

/**
 * What the browser does when a form is sent: jsdom does not fire "formdata".
 *
 * @returns what is in the field for this tab
 */
function send(html, { data = new FormData(), button } = {}) {
  document.body.innerHTML = html;
  const form = document.querySelector("form");
  // In a browser a field hides the form's property of its name, in jsdom it does not.
  for (const field of form.elements) if (field.name) Object.defineProperty(form, field.name, { value: field });
  const submit = new Event("submit", { bubbles: true, cancelable: true });
  submit.submitter = button ? document.querySelector(button) : null;
  form.dispatchEvent(submit);
  return collect(form, data);
}

function collect(form, data = new FormData()) {
  form.dispatchEvent(Object.assign(new Event("formdata", { bubbles: true }), { formData: data }));
  return data.get("juggernaut_client");
}

for (const html of [
  '<form method="post"></form>',
  '<form method="POST" action="/orders/"></form>',
  '<form method="post" action="https://site.example/orders/"></form>',
  // As in Django's admin: the fields hide the form's properties of these names.
  '<form method="post"><select name="action"></select><input name="method"></form>',
]) {
  test(`a form that posts to this site says whose it is: ${html}`, () => assert.equal(send(html), "this-tab"));
}

for (const html of [
  "<form></form>",
  '<form method="get" action="/search/"></form>',
  '<form method="dialog"></form>',
  '<form method="post" action="https://evil.example/"></form>',
  '<form method="post" action="https://evil.example/"><input name="action"></form>',
  '<form method="post" action="//evil.example/"></form>',
  '<form method="post" action="http://site.example/"></form>',
  '<form method="post" action="https://["></form>',
  '<form method="post" action="javascript:void(0)"></form>',
]) {
  test(`no other form does: ${html}`, () => assert.equal(send(html), null));
}

test("a button may send its form to another site, or as a search", () => {
  const form = (attribute) => `<form method="post" id="f"></form><button form="f" ${attribute}></button>`;
  assert.equal(send(form('formaction="https://evil.example/"'), { button: "button" }), null);
  assert.equal(send(form('formmethod="get"'), { button: "button" }), null);
  assert.equal(send(form('formaction="/other/"'), { button: "button" }), "this-tab");
  const search = '<form><button formmethod="post"></button></form>';
  assert.equal(send(search, { button: "button" }), "this-tab");
});

test("the button of an earlier sending does not count", () => {
  send('<form><button formmethod="post"></button></form>', { button: "button" });
  assert.equal(collect(document.querySelector("form")), null);
});

test("a field that is there already is left as it is", () => {
  const data = new FormData();
  data.set("juggernaut_client", "mine");
  assert.equal(send('<form method="post"></form>', { data }), "mine");
  assert.equal(data.getAll("juggernaut_client").length, 1);
});

for (const [name, detail, headers] of [
  ["htmx:configRequest", (url, headers) => ({ path: url, headers }), (detail) => detail.headers],
  ["turbo:before-fetch-request", (url, headers) => ({ url: new URL(url, document.baseURI), fetchOptions: { headers } }),
    (detail) => detail.fetchOptions.headers],
]) {
  test(`${name}: requests to this site have the header, others have not`, () => {
    const ask = (url) => {
      const event = new CustomEvent(name, { bubbles: true, detail: detail(url, { Accept: "*/*" }) });
      document.body.dispatchEvent(event);
      return headers(event.detail);
    };
    assert.deepEqual(ask("/rows/"), { Accept: "*/*", "X-Juggernaut-Client": "this-tab" });
    assert.deepEqual(ask("https://evil.example/rows/"), { Accept: "*/*" });
  });
}
