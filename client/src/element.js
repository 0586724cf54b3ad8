/** @import { MessageDetail, StaleDetail } from "./types.js" */
import { ErrorCode } from "./codes.js";
import { Timer } from "./backoff.js";
import { fire } from "./events.js";
import { loadLive, pageConsole, serverFor } from "./page.js";
import { reloadAfter } from "./reload.js";
import { waitFor } from "./turn.js";

/** A moved element is away for a moment: htmx, Turbo and morphing take it out and put it in again. */
const LEAVE_AFTER_MS = 500;

/**
 * `<juggernaut-subscribe channel="…" token="…" since="…">`: subscribes while it is in the page.
 *
 * Carries the attribute `connected` while subscribed, and fires what it hears as events that bubble.
 */
export class JuggernautSubscribe extends HTMLElement {
  // "connected" too: a morph takes away what the server's HTML does not have.
  static observedAttributes = ["channel", "token", "denied", "connected"];

  /** @type {string | undefined} */
  #channel;
  /** @type {string | null} */
  #denied = null;
  /** @type {string | null} what `since` said of this channel when it was last looked at, or set */
  #since = null;
  #holds = false;
  #subscribed = false;
  #leaveTimer = new Timer(() => this.#release());
  #holder = this.#receive.bind(this);

  connectedCallback() {
    this.#leaveTimer.disarm();
    this.#follow();
    if (this.#isLive) loadLive().catch(() => {});
  }

  disconnectedCallback() {
    this.#leaveTimer.arm(LEAVE_AFTER_MS);
  }

  /** A move within the page by `moveBefore`: nothing changes. */
  connectedMoveCallback() {}

  attributeChangedCallback() {
    // Later: channel and token change one after the other.
    queueMicrotask(() => {
      if (this.isConnected) this.#follow();
    });
  }

  get #isLive() {
    return this.hasAttribute("refresh") || this.hasAttribute("fill");
  }

  get #reloads() {
    return this.getAttribute("on-stale") === "reload" && !this.hasAttribute("refresh");
  }

  /** Make true what the attributes say. */
  #follow() {
    const token = this.#takeToken();
    const channel = this.getAttribute("channel") || undefined;
    if (channel !== this.#channel) {
      this.#release();
      this.#forgetPlace();
      this.#channel = channel;
    }
    if (this.#isDenied()) this.#release();
    else if (token || !this.#holds) this.#hold(token);
    this.#show();
  }

  /** The token leaves the DOM, where scripts, snapshots and selectors could read it. */
  #takeToken() {
    const token = this.getAttribute("token");
    if (token !== null) this.removeAttribute("token");
    return token || undefined;
  }

  /** @param {string | undefined} token */
  #hold(token) {
    if (!this.#channel) return;
    // Once held, whatever comes is heard: only the start has to be said.
    const since = (!this.#holds && this.#place()) || undefined;
    this.#holds = true;
    serverFor({}).subscriptions.add(this.#channel, this.#holder, { token, since });
  }

  #place() {
    return (this.#since = this.getAttribute("since"));
  }

  /**
   * The element itself says up to where it has heard: so does its copy in the history of htmx and Turbo.
   *
   * @param {string | undefined} position
   */
  #keepPlace(position) {
    if (position && position !== this.#place()) this.setAttribute("since", (this.#since = position));
  }

  /** A place in one channel is none in another; but a morph may have set that of the other. */
  #forgetPlace() {
    if (this.#since !== null && this.#since === this.getAttribute("since")) this.removeAttribute("since");
  }

  #release() {
    if (this.#holds && this.#channel) serverFor({}).subscriptions.remove(this.#channel, this.#holder);
    this.#holds = this.#subscribed = false;
    this.#show();
  }

  /** Under DEBUG the page says itself that it did not grant the channel, and why. */
  #isDenied() {
    const denied = this.getAttribute("denied");
    if (denied !== null && denied !== this.#denied) {
      pageConsole.explain(`the page did not grant "${this.#channel}": ${denied}`);
      fire(this, "error", { channel: this.#channel, code: ErrorCode.DENIED, message: denied, temporary: false });
    }
    this.#denied = denied;
    return denied !== null;
  }

  #show() {
    if (this.hasAttribute("connected") !== this.#subscribed) this.toggleAttribute("connected", this.#subscribed);
  }

  /**
   * @param {string} kind
   * @param {any} detail
   * @param {string} [position]
   */
  #receive(kind, detail, position) {
    this.#subscribed = kind === "subscribed" || (this.#subscribed && kind !== "unsubscribed");
    this.#show();
    this.#keepPlace(position);
    if (kind === "missed") kind = "stale";
    fire(this, kind, detail);
    if ((kind === "message" || kind === "stale") && this.#isLive) this.#enliven(detail);
    if (kind === "stale" && this.#reloads) reloadAfter(detail.wait);
  }

  /** @param {MessageDetail | StaleDetail} detail */
  async #enliven(detail) {
    try {
      const live = await loadLive();
      live.receive(this, detail, { client: serverFor({}).client, console: pageConsole, waitFor });
    } catch (error) {
      pageConsole.error(`refresh and fill do not work: ${error}`);
    }
  }
}
