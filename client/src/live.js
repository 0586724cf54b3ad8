/** @import { Context, News } from "./refresh.js" */
import { fill } from "./fill.js";
import { owe } from "./refresh.js";

export { fetchGrants } from "./grants.js";

/**
 * Do what a <juggernaut-subscribe> element says, upon a message or the word that something was missed.
 *
 * @param {Element} element
 * @param {{ data?: any, message?: any } & News} detail of the element's event
 * @param {Context} context
 */
export function receive(element, detail, context) {
  const selector = element.getAttribute("fill");
  if (selector && detail.message) fill(selector, detail.data, context.console);
  if (element.getAttribute("refresh")) owe(element, detail.message ?? detail, context);
}
