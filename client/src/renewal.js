/** @import { Console } from "./console.js" */
/** @import { Grants } from "./grants.js" */
/** @import { Subscription } from "./subscription.js" */
import { Timer, backoff } from "./backoff.js";
import { ErrorCode } from "./codes.js";
import { fire } from "./events.js";
import { pageUrl, reloadAfter } from "./reload.js";
import { waitFor } from "./turn.js";

/** Channels that need tokens are collected for up to this long. */
const COLLECT_MS = 300;
const RETRY_CAP_MS = 60_000;
/** So many of the server's demands go with one request. */
const MAX_DEMANDS = 4;

/**
 * @typedef {object} Owner
 * @property {() => string} client gives this tab's id
 * @property {Console} console
 * @property {() => Promise<typeof import("./live.js")>} loadLive
 * @property {(wanting: Subscription[], grants: Grants) => void} granted
 * @property {(wanting: Subscription[], code: number) => void} failed the site does not show the page any more, or shows
 *   that of another login, and it cannot be loaded again
 */

/**
 * Fetches the page again for the tokens in it: to render it is to decide once more who may listen.
 */
export class Renewal {
  /** @type {Set<Subscription>} */
  #wanting = new Set();
  #attempt = 0;
  #isRunning = false;
  #isRetry = false;
  #timer = new Timer(() => this.#run());
  #owner;
  /** @type {string | null} whose page this is; null: not known, so that of the next one */
  #identity;

  /**
   * @param {Owner} owner
   * @param {string | undefined} identity
   */
  constructor(owner, identity) {
    this.#owner = owner;
    this.#identity = identity ?? null;
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.#plan(0);
    });
  }

  /**
   * @param {Subscription} subscription
   * @param {{ wait?: number, spread?: number }} [when] `wait`: after an attempt that has brought nothing
   */
  need(subscription, { wait = 0, spread = 0 } = {}) {
    this.#wanting.add(subscription);
    const delay = wait + Math.random() * COLLECT_MS + waitFor(spread);
    // Other waits stay: the soonest of many would be no spread at all.
    if (this.#isRetry && !wait) this.#timer.hasten(delay);
    this.#plan(delay, wait > 0);
  }

  /** Load what will be needed, while it is there: the next version of the site may have put it elsewhere. */
  prepare() {
    this.#owner.loadLive().catch(() => {});
  }

  /** The visitor has logged in without leaving the page. */
  forgetIdentity() {
    this.#identity = null;
  }

  /**
   * Another login's page: what the one before was shown must not stay on the screen.
   *
   * @param {Subscription[]} wanting
   */
  meetStranger(wanting) {
    if (!fire(document, "identity", null) || !reloadAfter(0)) this.#owner.failed(wanting, ErrorCode.IDENTITY_MISMATCH);
  }

  /**
   * @param {number} delay
   * @param {boolean} [isRetry]
   */
  #plan(delay, isRetry = false) {
    if (!this.#wanting.size || this.#timer.isArmed || this.#isRunning) return;
    this.#isRetry = isRetry;
    this.#timer.arm(delay);
  }

  async #run() {
    // A hidden tab is woken by visibilitychange.
    if (document.hidden) return;
    const wanting = [...this.#wanting].filter(({ holders }) => holders.size);
    this.#wanting.clear();
    if (!wanting.length) return;
    this.#isRunning = true;
    const isDone = await this.#fetch(wanting);
    this.#isRunning = false;
    if (!isDone) for (const subscription of wanting) this.#wanting.add(subscription);
    if (isDone) this.#attempt = 0;
    this.#plan(isDone ? Math.random() * COLLECT_MS : backoff(this.#attempt++, undefined, RETRY_CAP_MS), !isDone);
  }

  /**
   * @param {Subscription[]} wanting
   * @returns {Promise<boolean>} false: try again
   */
  async #fetch(wanting) {
    const { console, failed, granted, loadLive } = this.#owner;
    const url = pageUrl();
    let grants;
    try {
      grants = await (await loadLive()).fetchGrants(url, this.#headers(wanting), console);
    } catch (error) {
      console.explain(`${url} could not be fetched for its tokens, trying on: ${error}`);
      return false;
    }
    // The page was left meanwhile (htmx, Turbo, history): this one's channels are not those of that one.
    if (url !== pageUrl()) return false;
    if (grants.refusal) {
      console.explain(`${url} answered ${grants.refusal}: what needed its tokens has ended.`);
      failed(wanting, ErrorCode.DENIED);
    } else if (this.#isSame(grants.identity)) {
      granted(wanting, grants);
    } else {
      this.meetStranger(wanting);
    }
    return true;
  }

  /** @param {Subscription[]} wanting */
  #headers(wanting) {
    const demands = new Set(wanting.map(({ demand }) => demand).filter(Boolean));
    return {
      "X-Juggernaut-Refresh": "juggernaut-subscribe",
      "X-Juggernaut-Client": this.#owner.client(),
      ...(demands.size && { "X-Juggernaut-Renew": [...demands].slice(-MAX_DEMANDS).join(",") }),
    };
  }

  /** @param {string | null} identity */
  #isSame(identity) {
    if (identity === null) return true;
    // Turbo has brought the script of a later page.
    const shown = /** @type {HTMLElement | null} */ (document.querySelector("script[data-url][data-live]"));
    if (this.#identity !== null && this.#identity !== identity && shown?.dataset.identity !== identity) return false;
    this.#identity = identity;
    return true;
  }
}
