import assert from "node:assert/strict";
import { test } from "node:test";
import { fetches } from "./support/fetches.js";
import { $, publish, put } from "./support/live.js";
import { errors, pass, warnings } from "./support/page.js";

const FILL = '<juggernaut-subscribe channel="job" fill="#job"></juggernaut-subscribe>';

test("fill puts values where their names are, under the selector only", async () => {
  await put(`${FILL}<div id="job"><b data-field="percent">0</b><i data-field="other">x</i></div><b id="out" data-field="percent">0</b>`);
  await publish("job", { percent: 40 });
  assert.equal($("#job b").textContent, "40");
  assert.equal($("#job i").textContent, "x");
  assert.equal($("#out").textContent, "0");
  await pass(1_000);
  assert.equal(fetches.length, 0);
});

test("fill takes the fields of a model's message", async () => {
  await put(`${FILL}<p id="job" data-field="status"></p>`);
  await publish("job", { event: "updated", model: "shop.order", pk: 1, fields: { status: "paid" } });
  assert.equal($("#job").textContent, "paid");
});

test("fill never makes HTML", async () => {
  await put(`${FILL}<div id="job"><b data-field="name"></b></div>`);
  await publish("job", { name: "<img src=x onerror=alert(1)>" });
  assert.equal($("#job b").children.length, 0);
  assert.equal($("#job b").textContent, "<img src=x onerror=alert(1)>");
});

test("fill sets the value of what has one, and the text of the rest", async () => {
  await put(`${FILL}<form id="job"><input data-field="v" value="old"><textarea data-field="v"></textarea>
    <select data-field="v"><option>a</option><option>b</option></select><progress data-field="n" max="100"></progress>
    <button data-field="v">old</button><ol><li data-field="n"></li></ol><input type="checkbox" data-field="yes">
    <input type="radio" name="r" value="a" data-field="v" checked><input type="radio" name="r" value="b" data-field="v"></form>`);
  await publish("job", { v: "b", n: 7, yes: true });
  assert.deepEqual(["input", "textarea", "select"].map((name) => $(name).value), ["b", "b", "b"]);
  assert.equal($("progress").value, 7);
  assert.equal($("button").textContent, "b");
  assert.equal($("li").textContent, "7");
  assert.equal($("[type=checkbox]").checked, true);
  assert.equal($("[type=radio]:checked").value, "b");
});

test("null empties", async () => {
  await put(`${FILL}<div id="job"><b data-field="a">x</b><input data-field="a" value="x"></div>`);
  await publish("job", { a: null });
  assert.equal($("#job b").textContent, "");
  assert.equal($("#job input").value, "");
});

test("fill leaves the field alone in which the visitor is typing", async () => {
  await put(`${FILL}<div id="job"><input data-field="a" value="x"></div>`);
  $("input").focus();
  $("input").value = "mine";
  await publish("job", { a: "theirs" });
  assert.equal($("input").value, "mine");
  $("input").blur();
  await publish("job", { a: "theirs" });
  assert.equal($("input").value, "theirs");
});

test("a field that was filled does not count as edited", async () => {
  await put(`<juggernaut-subscribe channel="job" fill="#part" refresh="#part"></juggernaut-subscribe>
    <div id="part"><input data-field="a" value="x"></div>`);
  await publish("job", { a: "filled" });
  await pass(300);
  await fetches[0].answer('<div id="part"><input data-field="a" value="fetched"></div>');
  assert.equal($("input").value, "fetched");
});

test("names like those of every object mean the data's own only", async () => {
  await put(`${FILL}<div id="job"><b data-field="constructor">x</b><b data-field="__proto__">x</b></div>`);
  await publish("job", { a: 1 });
  assert.equal($("#job").textContent, "xx");
});

test("data without names is explained, and fills nothing", async () => {
  await put(`${FILL}<div id="job"><b data-field="0">x</b></div>`);
  for (const data of [5, "text", ["list"], null]) await publish("job", data);
  assert.equal($("#job").textContent, "x");
  assert.match(warnings[0], /fill="#job" needs data with names/);
  assert.deepEqual(errors, []);
});
