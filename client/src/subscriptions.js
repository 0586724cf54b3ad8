/** @import { ErrorDetail } from "./types.js" */
/** @import { Connection, Frame } from "./connection.js" */
import { Timer, backoff } from "./backoff.js";
import { callEach } from "./console.js";
import { ErrorCode } from "./codes.js";

/** Rows of one channel whose newest version is remembered. */
const MAX_VERSIONS = 1000;
/** Channels whose newest token is remembered. */
const MAX_TOKENS = 1000;

/**
 * Someone who wants a channel: told of its `subscribed`, `unsubscribed`, `message`, `stale` and `error`.
 *
 * @callback Holder
 * @param {string} kind
 * @param {any} detail
 * @returns {void}
 */

/** One channel of this page, however many hold it. */
class Subscription {
  /** @type {Set<Holder>} */
  holders = new Set();
  /** @type {"subscribing" | "subscribed" | "refused"} */
  state = "subscribing";
  /** @type {string | undefined} */
  token;
  /** @type {string | undefined} the token of the last command */
  sentToken;
  /** @type {string | undefined} the last position; undefined until the first `subscribed` */
  position;
  /** @type {ErrorDetail | undefined} */
  error;
  attempt = 0;
  #versions = new Versions();

  /**
   * @param {string} channel
   * @param {(subscription: Subscription) => void} retry
   */
  constructor(channel, retry) {
    this.channel = channel;
    this.retryTimer = new Timer(() => retry(this));
  }

  /** @param {Frame} frame */
  accepts(frame) {
    return this.#versions.accepts(frame);
  }
}

/** Of two publications about one row, the older is dropped if it comes late. */
class Versions {
  /** @type {Map<string, number>} */
  #newest = new Map();

  /** @param {Frame} frame */
  accepts({ version, data }) {
    if (version === undefined || data?.model === undefined) return true;
    const row = JSON.stringify([data.model, data.pk]);
    const newest = this.#newest.get(row);
    if (newest !== undefined && version < newest) return false;
    remember(this.#newest, row, version, MAX_VERSIONS);
    return true;
  }
}

/**
 * Set a map's entry and forget the one that was set longest ago, if there are too many.
 *
 * @template V
 * @param {Map<string, V>} map
 * @param {string} key
 * @param {V} value
 * @param {number} size
 */
function remember(map, key, value, size) {
  map.delete(key);
  map.set(key, value);
  if (map.size > size) map.delete(/** @type {string} */ (map.keys().next().value));
}

/**
 * The channels of one connection: subscribed once each, and again whenever the connection is made again.
 */
export class Subscriptions {
  /** @type {Map<string, Subscription>} */
  #channels = new Map();
  /**
   * Kept beyond their subscription: what htmx and Turbo bring back from their history has lost its token.
   *
   * @type {Map<string, string>}
   */
  #tokens = new Map();
  /** @type {Map<number, Subscription>} commands that are not answered yet */
  #asked = new Map();
  #lastId = 0;
  #connection;
  #tell;

  /**
   * @param {Connection} connection
   * @param {Holder} tell is told what any holder is told, once
   */
  constructor(connection, tell) {
    this.#connection = connection;
    this.#tell = tell;
  }

  /**
   * Hold a channel; subscribe to it if nobody does yet, or again if it was refused and this token is another.
   *
   * @param {string} channel
   * @param {Holder} holder
   * @param {string} [token]
   */
  add(channel, holder, token) {
    let subscription = this.#channels.get(channel);
    const isNew = !subscription;
    if (!subscription) {
      subscription = new Subscription(channel, (again) => this.#subscribe(again));
      this.#channels.set(channel, subscription);
    }
    const joins = !subscription.holders.has(holder);
    subscription.holders.add(holder);
    if (token) remember(this.#tokens, channel, token, MAX_TOKENS);
    subscription.token = this.#tokens.get(channel);
    if (isNew || this.#deservesAnotherTry(subscription)) this.#subscribe(subscription);
    else if (joins) this.#welcome(subscription, holder);
    this.#connection.open();
  }

  /**
   * Let go of a channel; unsubscribe if nobody else holds it.
   *
   * @param {string} channel
   * @param {Holder} holder
   */
  remove(channel, holder) {
    const subscription = this.#channels.get(channel);
    if (!subscription?.holders.delete(holder) || subscription.holders.size) return;
    subscription.retryTimer.disarm();
    this.#channels.delete(channel);
    if (subscription.state !== "refused") this.#send({ type: "unsubscribe", channel });
  }

  /** The connection is there: say everything again. */
  resubscribe() {
    this.#asked.clear();
    for (const subscription of this.#channels.values()) this.#subscribe(subscription);
  }

  /** The connection is gone. */
  disconnected() {
    for (const subscription of this.#channels.values()) {
      subscription.retryTimer.disarm();
      const was = subscription.state;
      subscription.state = "subscribing";
      if (was === "subscribed") this.#announce(subscription, "unsubscribed", { channel: subscription.channel });
    }
  }

  /** @param {Frame} frame */
  receive(frame) {
    if (frame.type === "subscribed") this.#subscribed(frame);
    else if (frame.type === "error") this.#refused(frame);
    else if (frame.channel !== undefined) this.#deliver(frame, frame.channel);
  }

  /** @param {Subscription} subscription */
  #subscribe(subscription) {
    const { channel, token, position: since } = subscription;
    subscription.state = "subscribing";
    subscription.sentToken = token;
    // Keys that are undefined are left out of the JSON.
    const id = this.#send({ type: "subscribe", channel, token, since });
    if (id) this.#asked.set(id, subscription);
  }

  /** @param {Frame} command */
  #send(command) {
    const id = this.#lastId + 1;
    if (!this.#connection.send({ type: command.type, id, ...command })) return 0;
    return (this.#lastId = id);
  }

  /** @param {Subscription} subscription */
  #deservesAnotherTry({ state, token, sentToken }) {
    return state === "refused" && token !== sentToken;
  }

  /**
   * @param {Subscription} subscription
   * @param {Holder} holder
   */
  #welcome(subscription, holder) {
    const { channel, state, error } = subscription;
    // Later, as every other answer: the caller may still be adding its listeners.
    queueMicrotask(() => {
      if (state !== subscription.state || !subscription.holders.has(holder)) return;
      if (state === "subscribed") callEach([holder], "subscribed", { channel, recovered: undefined });
      else if (state === "refused") callEach([holder], "error", error);
    });
  }

  /** @param {Frame} frame */
  #answered(frame) {
    const id = frame.id ?? 0;
    const subscription = this.#asked.get(id);
    this.#asked.delete(id);
    return subscription && this.#channels.get(subscription.channel) === subscription ? subscription : undefined;
  }

  /** @param {Frame} frame */
  #subscribed(frame) {
    const subscription = this.#answered(frame);
    if (!subscription) return;
    const { channel } = subscription;
    subscription.state = "subscribed";
    subscription.attempt = 0;
    subscription.position = frame.position ?? subscription.position ?? "";
    this.#announce(subscription, "subscribed", { channel, recovered: frame.recovered });
    if (frame.recovered === false) this.#stale(subscription, { ...frame, reason: "gap" });
  }

  /** @param {Frame} frame */
  #refused({ id, code = ErrorCode.INTERNAL, message = "", temporary = false }) {
    const subscription = this.#answered({ id });
    const error = { channel: subscription?.channel, code, message, temporary };
    if (!subscription) {
      callEach([this.#tell], "error", error);
      return;
    }
    subscription.state = "refused";
    subscription.error = error;
    if (this.#deservesAnotherTry(subscription)) {
      this.#subscribe(subscription);
      return;
    }
    if (temporary) subscription.retryTimer.arm(backoff(subscription.attempt++));
    this.#announce(subscription, "error", error);
  }

  /**
   * @param {Frame} frame
   * @param {string} channel
   */
  #deliver(frame, channel) {
    const subscription = this.#channels.get(channel);
    if (!subscription) return;
    if (frame.type === "stale") this.#stale(subscription, frame);
    else if (frame.type === undefined) this.#message(subscription, frame);
  }

  /**
   * @param {Subscription} subscription
   * @param {Frame} message
   */
  #message(subscription, message) {
    subscription.position = message.position ?? subscription.position;
    if (!subscription.accepts(message)) return;
    this.#announce(subscription, "message", { channel: subscription.channel, data: message.data, message });
  }

  /**
   * @param {Subscription} subscription
   * @param {Frame} frame
   */
  #stale(subscription, { reason = "gap", spread = 0 }) {
    this.#announce(subscription, "stale", { channel: subscription.channel, reason, spread });
  }

  /**
   * @param {Subscription} subscription
   * @param {string} kind
   * @param {any} detail
   */
  #announce({ holders }, kind, detail) {
    callEach([this.#tell, ...holders], kind, detail);
  }
}
