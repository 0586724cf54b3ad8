import assert from "node:assert/strict";
import { test } from "node:test";
import { fetches } from "./support/fetches.js";
import { $, NEWS, publish, put, socket } from "./support/live.js";
import { pass, tick } from "./support/page.js";
import { FakeSocket } from "./support/socket.js";

test("a focused input keeps value, focus and selection", async () => {
  await put(`${NEWS}<form id="part"><input name="q" value="old"></form>`);
  const input = $("input");
  input.focus();
  input.setSelectionRange(1, 2);
  await publish("news");
  await pass(300);
  await fetches[0].answer('<form id="part"><p>hello</p><input name="q" value="new"></form>');
  assert.equal($("p").textContent, "hello");
  assert.equal($("input"), input);
  assert.equal(document.activeElement, input);
  assert.deepEqual([input.value, input.selectionStart, input.selectionEnd], ["old", 1, 2]);
});

test("edited fields of every kind keep what the visitor did, others follow the server", async () => {
  const form = (value) => `<form id="part"><input name="a" value="${value}"><input name="b" value="${value}">
    <textarea name="c">${value}</textarea><textarea name="d">${value}</textarea>
    <input type="checkbox" name="e"><input type="checkbox" name="f">
    <select name="g"><option>1</option><option>2</option></select>
    <select name="h"><option>1</option><option ${value === "new" ? "selected" : ""}>2</option></select></form>`;
  await put(NEWS + form("old"));
  $("[name=a]").value = $("[name=c]").value = "mine";
  $("[name=e]").checked = true;
  $("[name=g]").selectedIndex = 1;
  await publish("news");
  await pass(300);
  await fetches[0].answer(form("new"));
  assert.deepEqual(
    ["a", "b", "c", "d", "g", "h"].map((name) => $(`[name=${name}]`).value),
    ["mine", "new", "mine", "new", "2", "2"],
  );
  assert.deepEqual([$("[name=e]").checked, $("[name=f]").checked], [true, false]);
});

test("an edited field does not stand for another one", async () => {
  await put(`${NEWS}<form id="part"><input name="a" value="1"></form>`);
  $("input").value = "mine";
  await publish("news");
  await pass(300);
  await fetches[0].answer('<form id="part"><input name="b" value="2"></form>');
  assert.equal($("input").name, "b");
  assert.equal($("input").value, "2");
});

test("what the visitor opened stays open", async () => {
  await put(`${NEWS}<div id="part"><details><summary>old</summary></details></div>`);
  $("details").open = true;
  await publish("news");
  await pass(300);
  await fetches[0].answer('<div id="part"><details><summary>new</summary></details></div>');
  assert.equal($("summary").textContent, "new");
  assert.equal($("details").open, true);
});

test("the body of a table is refreshed, from a page and from bare rows", async () => {
  const subscribe = '<juggernaut-subscribe channel="news" refresh="tbody"></juggernaut-subscribe>';
  await put(`${subscribe}<table><tbody id="rows"><tr id="r1"><td>1</td></tr></tbody></table>`);
  const row = $("#r1");
  await publish("news");
  await pass(300);
  await fetches[0].answer('<table><tbody id="rows"><tr id="r2"><td>2</td></tr><tr id="r1"><td>one</td></tr></tbody></table>');
  assert.equal($("#rows").textContent, "2one");
  assert.equal($("#r1"), row);
  await publish("news");
  await pass(300);
  await fetches[1].answer('<tbody id="rows"><tr id="r1"><td>1</td></tr></tbody>');
  assert.equal($("table").innerHTML, '<tbody id="rows"><tr id="r1"><td>1</td></tr></tbody>');
});

test("an element inside the part survives without subscribing again, and takes the new token", async () => {
  const part = (token) =>
    `<div id="part"><b>${token}</b><juggernaut-subscribe channel="news" token="${token}" refresh="#part"></juggernaut-subscribe></div>`;
  await put(part("t1"));
  const element = $("juggernaut-subscribe");
  socket.takeCommands();
  await publish("news");
  await pass(300);
  await fetches[0].answer(part("t2"));
  assert.equal($("b").textContent, "t2");
  assert.equal($("juggernaut-subscribe"), element);
  assert.equal(element.hasAttribute("connected"), true);
  assert.equal(element.hasAttribute("token"), false);
  await pass(1_000);
  assert.deepEqual(socket.takeCommands(), []);
  socket.drop();
  tick(500);
  FakeSocket.last.greet();
  assert.equal(FakeSocket.last.takeCommands()[0].token, "t2");
});

test("a list of elements that shifts keeps the subscriptions that stay", async () => {
  const list = (...names) =>
    `<ul id="part">${names.map((name) => `<li><juggernaut-subscribe channel="${name}" token="t-${name}"></juggernaut-subscribe></li>`).join("")}</ul>`;
  await put(NEWS + list("a", "b"));
  socket.takeCommands();
  await publish("news");
  await pass(300);
  await fetches[0].answer(list("b", "c"));
  socket.grant();
  await pass(1_000);
  assert.deepEqual([...document.querySelectorAll("li [connected]")].map((element) => element.getAttribute("channel")), ["b", "c"]);
});

test("scripts of an answer do not run", async () => {
  await put(`${NEWS}<div id="part"></div>`);
  await publish("news");
  await pass(300);
  await fetches[0].answer('<div id="part"><script>globalThis.ran = true</script></div>');
  assert.equal(globalThis.ran, undefined);
});

test("htmx is told of the new elements", async () => {
  const processed = [];
  globalThis.htmx = { process: (element) => processed.push(element.id) };
  await put(`${NEWS}<p id="part"></p>`);
  await publish("news");
  await pass(300);
  await fetches[0].answer('<p id="part">new</p>');
  delete globalThis.htmx;
  assert.deepEqual(processed, ["part"]);
});
