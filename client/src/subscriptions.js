/** @import { Connection, Frame } from "./connection.js" */
/** @import { Holder } from "./subscription.js" */
import { backoff } from "./backoff.js";
import { callEach } from "./console.js";
import { ErrorCode } from "./codes.js";
import { isBehind, isOlder, offsetOf } from "./positions.js";
import { Subscription, remember } from "./subscription.js";

/** Channels whose newest token is remembered. */
const MAX_TOKENS = 1000;

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
   * @param {{ token?: string, since?: string }} [options] `since`: up to where the holder has everything
   */
  add(channel, holder, { token, since } = {}) {
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
    const startsEarlier = this.#startAt(subscription, since);
    if (isNew || startsEarlier || this.#deservesAnotherTry(subscription)) this.#subscribe(subscription);
    else this.#welcome(subscription, holder, { joins, since });
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
    else this.#live(frame);
  }

  /**
   * Let a subscription that was never granted start early enough for one more holder.
   *
   * @param {Subscription} subscription
   * @param {string} [since]
   * @returns {boolean} whether the command that is under way has to be taken back for it
   */
  #startAt(subscription, since) {
    if (!since || subscription.wasGranted || !isOlder(since, subscription.position)) return false;
    subscription.position = since;
    if (!this.#asked.delete(subscription.askedId)) return false;
    this.#send({ type: "unsubscribe", channel: subscription.channel });
    return true;
  }

  /** @param {Subscription} subscription */
  #subscribe(subscription) {
    const { channel, token, position: since } = subscription;
    subscription.state = "subscribing";
    subscription.sentToken = token;
    // Keys that are undefined are left out of the JSON.
    const id = this.#send({ type: "subscribe", channel, token, since });
    subscription.askedId = id;
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
   * Tell a holder what others were told before it came.
   *
   * @param {Subscription} subscription
   * @param {Holder} holder
   * @param {{ joins: boolean, since?: string }} from
   */
  #welcome(subscription, holder, { joins, since }) {
    const { channel, state, error, position } = subscription;
    const isLate = since && isBehind(since, position);
    // Later, as every other answer: the caller may still be adding its listeners.
    queueMicrotask(() => {
      if (!subscription.holders.has(holder)) return;
      if (joins && state === subscription.state) {
        if (state === "subscribed") callEach([holder], "subscribed", { channel, recovered: undefined }, position);
        else if (state === "refused") callEach([holder], "error", error);
      }
      if (isLate) callEach([holder], "missed", { channel, reason: "gap", spread: 0 }, position);
    });
  }

  /** @param {Frame} frame */
  #answered(frame) {
    const id = frame.id ?? 0;
    const subscription = this.#asked.get(id);
    this.#asked.delete(id);
    return subscription && this.#isHeld(subscription) ? subscription : undefined;
  }

  /** @param {Frame} frame */
  #subscribed(frame) {
    const subscription = this.#answered(frame);
    if (!subscription) return;
    subscription.attempt = 0;
    subscription.wasGranted = true;
    if (!frame.more) this.#granted(subscription, frame);
    for (const publication of frame.publications ?? []) {
      // A callback may have let go of the channel.
      if (this.#isHeld(subscription)) this.#deliver(subscription, publication, true);
    }
    subscription.position = frame.position ?? subscription.position ?? "";
    if (frame.more && this.#isHeld(subscription)) this.#subscribe(subscription);
  }

  /**
   * @param {Subscription} subscription
   * @param {Frame} frame
   */
  #granted(subscription, { recovered, spread }) {
    subscription.state = "subscribed";
    this.#announce(subscription, "subscribed", { channel: subscription.channel, recovered });
    if (recovered === false) {
      this.#stale(subscription, { reason: "gap", spread: Math.max(spread ?? 0, this.#connection.gapSpread) });
    }
  }

  /** @param {Subscription} subscription */
  #isHeld(subscription) {
    return this.#channels.get(subscription.channel) === subscription;
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

  /** @param {Frame} frame */
  #live(frame) {
    const subscription = this.#channels.get(frame.channel ?? "");
    // What still comes of an earlier subscription comes again with the answer to this one.
    if (subscription?.state === "subscribed") this.#deliver(subscription, frame, false);
  }

  /**
   * @param {Subscription} subscription
   * @param {Frame} frame
   * @param {boolean} replayed
   */
  #deliver(subscription, frame, replayed) {
    if (frame.type !== undefined && frame.type !== "stale") return;
    subscription.position = frame.position ?? subscription.position;
    if (frame.type) this.#stale(subscription, frame);
    else this.#message(subscription, { ...frame, offset: offsetOf(frame.position), replayed });
  }

  /**
   * @param {Subscription} subscription
   * @param {Frame & { offset?: number, replayed: boolean }} message
   */
  #message(subscription, message) {
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
  #announce({ holders, position }, kind, detail) {
    callEach([this.#tell, ...holders], kind, detail, position);
  }
}
