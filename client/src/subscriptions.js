/** @import { TokenSource } from "./types.js" */
/** @import { Connection, Frame } from "./connection.js" */
/** @import { Holder } from "./subscription.js" */
/** @import { Grants } from "./grants.js" */
/** @import { Renewal } from "./renewal.js" */
/** @import { Tokens } from "./tokens.js" */
import { backoff } from "./backoff.js";
import { callEach } from "./console.js";
import { ErrorCode } from "./codes.js";
import { isBehind, isOlder } from "./positions.js";
import { Subscription } from "./subscription.js";
import { waitFor } from "./turn.js";

/** A token of another login makes the connection begin anew, but not more often than this. */
const SWITCH_PAUSE_MS = 10_000;
// What the client says by itself, in the words of the server.
/** @type {Map<number, string>} */
const MESSAGES = new Map([
  [ErrorCode.DENIED, "permission denied"],
  [ErrorCode.TOKEN_EXPIRED, "token expired"],
  [ErrorCode.IDENTITY_MISMATCH, "token of another login"],
]);

/**
 * The channels of one connection: subscribed once each, and again whenever the connection is made again.
 */
export class Subscriptions {
  /** @type {Map<string, Subscription>} */
  #channels = new Map();
  /** @type {Map<number, Subscription>} commands that are not answered yet */
  #asked = new Map();
  #lastId = 0;
  #switchedAt = -Infinity;
  #isLoginOver = false;
  #connection;
  #tokens;
  #tell;
  /** @type {Renewal | undefined} the page, if it can bring tokens */
  renewal;

  /**
   * @param {Connection} connection
   * @param {Tokens} tokens
   * @param {Holder} tell is told what any holder is told, once
   */
  constructor(connection, tokens, tell) {
    this.#connection = connection;
    this.#tokens = tokens;
    this.#tell = tell;
  }

  /**
   * Hold a channel; subscribe to it if nobody does yet, or again if it was refused and this token is another.
   *
   * @param {string} channel
   * @param {Holder} holder
   * @param {{ token?: TokenSource, since?: string }} [options] `since`: up to where the holder has everything
   */
  add(channel, holder, { token, since } = {}) {
    let subscription = this.#channels.get(channel);
    const isNew = !subscription;
    if (!subscription) {
      subscription = new Subscription(channel, { retry: (again) => this.#subscribe(again), tell: this.#tell });
      this.#channels.set(channel, subscription);
    }
    const joins = !subscription.holders.has(holder);
    subscription.holders.add(holder);
    if (token) this.#tokens.set(channel, token);
    const startsEarlier = this.#startAt(subscription, since);
    if (isNew || startsEarlier || this.#deservesAnotherTry(subscription)) this.#subscribe(subscription);
    else this.#welcome(subscription, holder, { joins, since });
    if (token && this.#isLoginOver) this.#connection.restart();
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
    if (subscription.state !== "refused" && subscription.state !== "renewing") this.#send({ type: "unsubscribe", channel });
  }

  /** The connection is there: say everything again. */
  resubscribe() {
    this.#isLoginOver = false;
    this.#asked.clear();
    for (const subscription of this.#channels.values()) {
      if (subscription.state !== "renewing") this.#subscribe(subscription);
    }
  }

  /** The connection is gone. */
  disconnected() {
    for (const subscription of this.#channels.values()) {
      if (subscription.state === "renewing") continue;
      subscription.retryTimer.disarm();
      const was = subscription.state;
      subscription.state = "subscribing";
      if (was === "subscribed") subscription.announce("unsubscribed", { channel: subscription.channel });
    }
  }

  /** The login whose connection it was has ended: only another one's token opens anything. */
  loginEnded() {
    this.#isLoginOver = true;
    this.#forgetLogin();
  }

  /** @param {Frame} frame */
  receive(frame) {
    if (frame.type === "subscribed") this.#subscribed(frame);
    else if (frame.type === "error") this.#refused(frame);
    else this.#live(frame);
  }

  /**
   * Take what the fetched page opens.
   *
   * @param {Subscription[]} wanting
   * @param {Grants} grants
   */
  renew(wanting, { tokens, connection }) {
    this.#tokens.setFetched(tokens, connection);
    for (const subscription of this.#stillWanting(wanting)) {
      const token = tokens.get(subscription.channel);
      this.#tokens.forget(subscription.channel);
      if (token) this.#tokens.set(subscription.channel, token);
      subscription.isForgotten = false;
      // What the page does not show may still be open to who shows it.
      if (token === undefined && !connection) this.#end(subscription, { code: ErrorCode.DENIED });
      else this.#subscribe(subscription);
    }
  }

  /**
   * Give up those for which the page has brought nothing.
   *
   * @param {Subscription[]} wanting
   * @param {number} code
   */
  giveUp(wanting, code) {
    for (const subscription of this.#stillWanting(wanting)) this.#end(subscription, { code });
  }

  /** @param {Subscription[]} wanting */
  #stillWanting(wanting) {
    return wanting.filter((subscription) => this.#isHeld(subscription) && subscription.state === "renewing");
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
    const { channel } = subscription;
    subscription.state = "subscribing";
    const turn = ++subscription.turn;
    if (this.#connection.state !== "connected") return;
    const source = this.#tokens.sourceFor(channel);
    if (subscription.isForgotten && source === undefined) return this.#expired(subscription);
    subscription.source = source;
    if (typeof source !== "function") return this.#ask(subscription, source);
    this.#call(source).then(
      (token) => turn === subscription.turn && this.#isHeld(subscription) && this.#ask(subscription, token),
      () => turn === subscription.turn && this.#retry(subscription),
    );
  }

  /** @param {() => string | undefined | Promise<string | undefined>} source */
  async #call(source) {
    try {
      return await source();
    } catch (error) {
      callEach([
        () => {
          throw error;
        },
      ]);
      throw error;
    }
  }

  /**
   * @param {Subscription} subscription
   * @param {string} [token]
   */
  #ask(subscription, token) {
    subscription.sentToken = token;
    // Keys that are undefined are left out of the JSON.
    const id = this.#send({ type: "subscribe", channel: subscription.channel, token, since: subscription.position });
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
  #deservesAnotherTry({ channel, state, source }) {
    const own = this.#tokens.ownOf(channel);
    return (state === "refused" || state === "renewing") && own !== undefined && own !== source;
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
      if (isLate) callEach([holder], "missed", { channel, reason: "gap", spread: 0, wait: 0 }, position);
    });
  }

  /** @param {Subscription} subscription */
  #isHeld(subscription) {
    return this.#channels.get(subscription.channel) === subscription;
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
    subscription.demand = undefined;
    this.#exchange(subscription, frame.token);
    subscription.granted(frame, this.#connection.gapSpread);
    for (const publication of frame.publications ?? []) {
      // A callback may have let go of the channel.
      if (this.#isHeld(subscription)) subscription.deliver(publication, true);
    }
    subscription.position = frame.position ?? subscription.position ?? "";
    if (frame.more && this.#isHeld(subscription)) this.#subscribe(subscription);
  }

  /** @param {Frame} frame */
  #refused({ id, code = ErrorCode.INTERNAL, message = "", temporary = false, spread, renew }) {
    const subscription = this.#answered({ id });
    const error = { channel: subscription?.channel, code, message, temporary };
    if (!subscription) {
      callEach([this.#tell], "error", error);
      return;
    }
    const { channel, source } = subscription;
    const wasResume = this.#tokens.isResume(channel, source);
    subscription.demand = renew ?? subscription.demand;
    if (!temporary) this.#tokens.forgetResume(channel);
    subscription.state = "refused";
    if (this.#deservesAnotherTry(subscription)) this.#subscribe(subscription);
    else if (code === ErrorCode.TOKEN_EXPIRED) this.#expired(subscription, spread);
    else if (code === ErrorCode.IDENTITY_MISMATCH) this.#mismatched(subscription, wasResume);
    else this.#end(subscription, { code, message, temporary, spread });
  }

  /**
   * It will not go on, or not for a while.
   *
   * @param {Subscription} subscription
   * @param {{ code: number, message?: string, temporary?: boolean, spread?: number }} error
   */
  #end(subscription, { code, message = MESSAGES.get(code) ?? "", temporary = false, spread = 0 }) {
    if (temporary) this.#retry(subscription, spread);
    subscription.refuse({ channel: subscription.channel, code, message, temporary });
  }

  /**
   * @param {Subscription} subscription
   * @param {number} [spread]
   */
  #retry(subscription, spread = 0) {
    subscription.retryTimer.arm(backoff(subscription.attempt++) + waitFor(spread));
  }

  /**
   * Get a token that is fresh: from what the page's code gave for that, or from the page.
   *
   * @param {Subscription} subscription
   * @param {number} [spread]
   */
  #expired(subscription, spread = 0) {
    const wait = subscription.attempt ? backoff(subscription.attempt - 1) : 0;
    subscription.attempt++;
    if (typeof this.#tokens.sourceFor(subscription.channel) === "function") {
      subscription.state = "subscribing";
      subscription.retryTimer.arm(wait + waitFor(spread));
    } else if (this.renewal) {
      subscription.state = "renewing";
      this.renewal.need(subscription, { wait, spread });
    } else {
      this.#end(subscription, { code: ErrorCode.TOKEN_EXPIRED });
    }
  }

  /**
   * The token is of another login than the connection.
   *
   * @param {Subscription} subscription
   * @param {boolean} wasResume
   */
  #mismatched(subscription, wasResume) {
    const { source, sentToken } = subscription;
    const isNews = typeof source === "function" || !(wasResume || source === this.#tokens.connection);
    if (this.renewal && this.#tokens.isFetched(sentToken)) {
      subscription.state = "renewing";
      this.renewal.meetStranger([subscription]);
    } else if (isNews && Date.now() - this.#switchedAt > SWITCH_PAUSE_MS) {
      // The visitor has logged in without leaving the page.
      this.#switchedAt = Date.now();
      this.#forgetLogin(subscription);
      this.#connection.reset();
    } else {
      this.#expired(subscription);
    }
  }

  /**
   * What was granted was granted to another login than the next.
   *
   * @param {Subscription} [newest] whose token is the next login's
   */
  #forgetLogin(newest) {
    this.#tokens.forgetLogin();
    this.renewal?.forgetIdentity();
    for (const subscription of this.#channels.values()) {
      if (subscription === newest || !subscription.wasGranted || typeof subscription.source !== "string") continue;
      this.#tokens.forget(subscription.channel);
      subscription.isForgotten = true;
    }
  }

  /** @param {Frame} frame */
  #live(frame) {
    const { type, channel = "", token } = frame;
    const subscription = this.#channels.get(channel);
    // What still comes of an earlier subscription comes again with the answer to this one.
    if (subscription?.state !== "subscribed") return;
    if (type === "unsubscribed") this.#stopped(subscription, frame);
    else if (type === "renewed") this.#exchange(subscription, token);
    else subscription.deliver(frame, false);
  }

  /**
   * @param {Subscription} subscription
   * @param {string} [token] what the server wants to see the next time
   */
  #exchange({ channel, source }, token) {
    if (!token) return;
    this.#tokens.exchange(channel, token, source);
    this.renewal?.prepare();
  }

  /**
   * The server has ended the subscription by itself.
   *
   * @param {Subscription} subscription
   * @param {Frame} frame
   */
  #stopped(subscription, { code, message, temporary = false, spread = 0, renew }) {
    // Without a code it is the answer to a command.
    if (code === undefined) return;
    const { channel } = subscription;
    subscription.demand = renew;
    subscription.state = "subscribing";
    subscription.announce("unsubscribed", { channel });
    if (!this.#isHeld(subscription)) return;
    if (!temporary) this.#tokens.forgetResume(channel);
    if (code === ErrorCode.TOKEN_EXPIRED) this.#expired(subscription, spread);
    else if (temporary) subscription.retryTimer.arm(waitFor(spread));
    else this.#end(subscription, { code, message, temporary });
  }
}
