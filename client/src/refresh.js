/** @import { Console } from "./console.js" */
import { Timer, backoff } from "./backoff.js";
import { callEach } from "./console.js";
import { fire } from "./events.js";
import { fetchHtml, parseHtml } from "./html.js";
import { morph } from "./morph.js";

/** News is collected for this long before it is fetched. */
const COLLECT_MS = 300;
const RETRY_BASE_MS = 1_000;
const RETRY_CAP_MS = 60_000;

/**
 * @typedef {object} Context
 * @property {string} client this tab's id
 * @property {Console} console
 * @property {(spread: number) => number} waitFor how long, for this page's turn within so many milliseconds
 */

/**
 * Why to fetch: this page's turn is after `wait` milliseconds, within a `spread` of as many. None: at once.
 *
 * @typedef {{ spread?: number, wait?: number }} News
 */

/**
 * A part of the page that is to be fetched again.
 *
 * @typedef {object} Debt
 * @property {Element} element the <juggernaut-subscribe> that asks
 * @property {string} selector
 * @property {string} url as it was asked for
 */

/** @type {Context} */
let context;
/** @type {Map<string, Source>} by URL */
const sources = new Map();

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) for (const source of sources.values()) source.plan(0);
});

/**
 * Fetch again what the element's `refresh` points at: soon, in one go with what else comes from there.
 *
 * @param {Element} element
 * @param {News} news
 * @param {Context} newContext
 */
export function owe(element, news, newContext) {
  context = newContext;
  const selector = element.getAttribute("refresh") ?? "";
  const url = urlFor(element);
  if (!url) {
    context.console.error(`src="${element.getAttribute("src")}" is not an address of this site.`);
    return;
  }
  let source = sources.get(url);
  if (!source) sources.set(url, (source = new Source(url)));
  source.owe({ element, selector, url }, news);
}

/** Where one URL's parts come from: at most one fetch is running and one is waiting. */
class Source {
  /** @type {Map<Element, Debt>} */
  #debts = new Map();
  #spread = 0;
  #attempt = 0;
  #isRunning = false;
  #timer = new Timer(() => this.#run());

  /** @param {string} url */
  constructor(url) {
    this.url = url;
  }

  /**
   * @param {Debt} debt
   * @param {News} news
   */
  owe(debt, { spread = 0, wait = 0 }) {
    this.#debts.set(debt.element, debt);
    this.#spread = Math.max(this.#spread, spread);
    const delay = COLLECT_MS + wait;
    // News does not wait for a late retry. Other waits stay: the soonest of many would be no spread at all.
    if (this.#attempt) this.#timer.hasten(delay);
    this.#attempt = 0;
    this.plan(delay);
  }

  /** @param {number} delay */
  plan(delay) {
    if (this.#debts.size && !this.#timer.isArmed && !this.#isRunning) this.#timer.arm(delay);
  }

  async #run() {
    // A hidden tab is woken by visibilitychange.
    if (document.hidden) return;
    const debts = withoutGone([...this.#debts.values()]);
    this.#debts.clear();
    this.#spread = 0;
    this.#isRunning = true;
    let isPaid = true;
    try {
      isPaid = await pay(this.url, debts);
    } catch (error) {
      // Not a matter of the network: the same answer would fail again.
      context.console.error(`the answer of ${this.url} could not be used: ${error}`);
    } finally {
      this.#isRunning = false;
    }
    if (isPaid) this.#attempt = 0;
    else for (const debt of debts) if (!this.#debts.has(debt.element)) this.#debts.set(debt.element, debt);
    this.plan(isPaid ? COLLECT_MS + context.waitFor(this.#spread) : backoff(this.#attempt++, RETRY_BASE_MS, RETRY_CAP_MS));
    if (!this.#debts.size) sources.delete(this.url);
  }
}

/**
 * Fetch, and morph in what is still wanted.
 *
 * @param {string} url
 * @param {Debt[]} debts
 * @returns {Promise<boolean>} false: try again
 */
async function pay(url, debts) {
  const selectors = new Set(debts.map(({ selector }) => selector).filter(hasTarget));
  if (!selectors.size) return true;
  const names = [...selectors].join(", ");
  let fetched;
  try {
    fetched = await fetchHtml(url, headersFor(names));
  } catch (error) {
    context.console.explain(`${url} could not be fetched, trying on: ${error}`);
    return false;
  }
  if (fetched.refusal) {
    context.console.explain(`${url} answered ${fetched.refusal}: ${names} was not refreshed.`);
    return true;
  }
  const answer = new Answer(fetched.html);
  const wanted = withoutGone(debts);
  for (const selector of selectors) {
    callEach([replace], answer, url, selector, wanted.filter((debt) => debt.selector === selector));
  }
  return true;
}

/** @param {string} selector */
function hasTarget(selector) {
  try {
    if (document.querySelector(selector)) return true;
    context.console.explain(`refresh="${selector}" matches nothing on this page.`);
  } catch (error) {
    context.console.error(`refresh="${selector}" is not a selector: ${error}`);
  }
  return false;
}

/** @param {string} selectors */
function headersFor(selectors) {
  return {
    // Header values are Latin-1.
    "X-Juggernaut-Refresh": selectors.replace(/[^\x20-\x7e]/gu, encodeURIComponent),
    "X-Juggernaut-Client": context.client,
  };
}

/**
 * @param {Answer} answer
 * @param {string} url
 * @param {string} selector
 * @param {Debt[]} debts all with this selector
 */
function replace(answer, url, selector, debts) {
  const isWelcome = debts.map((debt) => fire(targetOf(debt), "refresh", { url, selector, page: answer.page })).every(Boolean);
  if (!debts.length || !isWelcome) return;
  const parts = [];
  for (const old of document.querySelectorAll(selector)) {
    const id = old.getAttribute("id");
    const fresh = id && answer.find(id);
    if (!id) context.console.explain(`refresh="${selector}" matches an element without an id, which cannot be refreshed.`);
    else if (!fresh) context.console.explain(`the answer of ${url} has no element with the id "${id}".`);
    else if (old.isConnected) {
      morph(old, fresh);
      parts.push(document.getElementById(id));
    }
  }
  // htmx alone looks at new elements only when told.
  for (const part of parts) /** @type {any} */ (globalThis).htmx?.process(part);
  for (const debt of debts) fire(targetOf(debt), "refreshed", { url, selector, parts });
}

/** A page, or a piece of one, that was fetched. */
class Answer {
  /** @type {DocumentFragment | undefined} */
  #piece;
  #html;

  /** @param {string} html */
  constructor(html) {
    this.#html = html;
    this.page = parse(html);
  }

  /** @param {string} id */
  find(id) {
    return this.page.getElementById(id) ?? this.#findInPiece(id);
  }

  /**
   * A <tr> or <tbody> without its table is dropped by the parser, but not inside a template.
   *
   * @param {string} id
   */
  #findInPiece(id) {
    this.#piece ??= parse(`<template>${this.#html}</template>`).querySelector("template")?.content;
    return this.#piece?.getElementById(id);
  }
}

/** @param {string} html */
function parse(html) {
  return parseHtml(html, context.console);
}

/**
 * Without the debts of another page: the address has changed (htmx, Turbo, history), and what is still there is owed anew.
 *
 * @param {Debt[]} debts
 */
function withoutGone(debts) {
  return debts.filter(({ element, url }) => {
    if (urlFor(element) === url) return true;
    if (element.isConnected) owe(element, {}, context);
    return false;
  });
}

/**
 * @param {Element} element
 * @returns {string} empty for an address that is not this site's
 */
function urlFor(element) {
  const address = new URL(element.getAttribute("src") || location.href, document.baseURI);
  address.hash = "";
  return address.origin === location.origin ? address.href : "";
}

/**
 * Where an element's events are fired: one that is gone, perhaps by this very refresh, has no way up to the document.
 *
 * @param {Debt} debt
 */
function targetOf({ element }) {
  return element.isConnected ? element : document;
}
