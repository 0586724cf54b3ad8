/** @import { ErrorDetail, TokenSource } from "./types.js" */
/** @import { Frame } from "./connection.js" */
import { Timer } from "./backoff.js";
import { callEach } from "./console.js";
import { offsetOf } from "./positions.js";
import { waitFor } from "./turn.js";

/** Rows of one channel whose newest version is remembered. */
const MAX_VERSIONS = 1000;

/**
 * Someone who wants a channel: told of its `subscribed`, `unsubscribed`, `message`, `stale` and `error`, each with the
 * position that the subscription has then; and of what `missed` him alone, as if it were stale.
 *
 * @callback Holder
 * @param {string} kind
 * @param {any} detail
 * @param {string} [position]
 * @returns {void}
 */

/** One channel of this page, however many hold it. */
export class Subscription {
  /** @type {Set<Holder>} */
  holders = new Set();
  /** @type {"subscribing" | "subscribed" | "renewing" | "refused"} `renewing`: the page is to bring a token */
  state = "subscribing";
  /** @type {TokenSource | undefined} where the token of the last command came from */
  source;
  /** @type {string | undefined} that token */
  sentToken;
  /** Counts what was begun with the channel: of answers to questions for a token, only that to the last one is used. */
  turn = 0;
  /** Whether it was opened by a token of another login, which must not be used again. */
  isForgotten = false;
  /** @type {string | undefined} what the server wants to find in the next token */
  demand;
  /** The last command's id; 0 if it was not sent. */
  askedId = 0;
  /** @type {string | undefined} the last position; before the first `subscribed` where it is to start, if anybody knows */
  position;
  /** Whether the server has ever granted it: then all that comes after the position is for all holders. */
  wasGranted = false;
  /** @type {ErrorDetail | undefined} */
  error;
  attempt = 0;
  /** Whether one of several answers has said that something is missing. */
  #hasGap = false;
  #versions = new Versions();
  #tell;

  /**
   * @param {string} channel
   * @param {{ retry: (subscription: Subscription) => void, tell: Holder }} owner `tell` is told what any holder is told, once
   */
  constructor(channel, { retry, tell }) {
    this.channel = channel;
    this.retryTimer = new Timer(() => retry(this));
    this.#tell = tell;
  }

  /**
   * @param {Frame} frame
   * @param {boolean} replayed
   */
  deliver(frame, replayed) {
    if (frame.type !== undefined && frame.type !== "stale") return;
    this.position = frame.position ?? this.position;
    if (frame.type) this.#stale(frame);
    else this.#message({ ...frame, offset: offsetOf(frame.position), replayed, wait: waitFor(frame.spread) });
  }

  /**
   * Take one of the server's answers; with the last, it is subscribed.
   *
   * @param {Frame} frame
   * @param {number} gapSpread at least so long is the spread of a gap
   */
  granted({ recovered, spread = 0, more = false }, gapSpread) {
    this.#hasGap ||= recovered === false;
    if (!more) {
      this.state = "subscribed";
      this.announce("subscribed", { channel: this.channel, recovered: this.#hasGap ? false : recovered });
      this.#hasGap = false;
    }
    if (recovered === false) this.#stale({ reason: "gap", spread: Math.max(spread, gapSpread) });
  }

  /** @param {Frame & { offset?: number, replayed: boolean, wait: number }} message */
  #message(message) {
    if (!this.#versions.accepts(message)) return;
    this.announce("message", { channel: this.channel, data: message.data, message });
  }

  /** @param {Frame} frame */
  #stale({ reason = "gap", spread = 0 }) {
    this.announce("stale", { channel: this.channel, reason, spread, wait: waitFor(spread) });
  }

  /** @param {ErrorDetail} error */
  refuse(error) {
    this.state = "refused";
    this.error = error;
    this.announce("error", error);
  }

  /**
   * @param {string} kind
   * @param {any} detail
   */
  announce(kind, detail) {
    callEach([this.#tell, ...this.holders], kind, detail, this.position);
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
export function remember(map, key, value, size) {
  map.delete(key);
  map.set(key, value);
  if (map.size > size) map.delete(/** @type {string} */ (map.keys().next().value));
}
