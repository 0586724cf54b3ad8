/** @import { ErrorDetail } from "./types.js" */
/** @import { Frame } from "./connection.js" */
import { Timer } from "./backoff.js";

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
  /** @type {"subscribing" | "subscribed" | "refused"} */
  state = "subscribing";
  /** @type {string | undefined} */
  token;
  /** @type {string | undefined} the token of the last command */
  sentToken;
  /** The last command's id; 0 if it was not sent. */
  askedId = 0;
  /** @type {string | undefined} the last position; before the first `subscribed` where it is to start, if anybody knows */
  position;
  /** Whether the server has ever granted it: then all that comes after the position is for all holders. */
  wasGranted = false;
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
export function remember(map, key, value, size) {
  map.delete(key);
  map.set(key, value);
  if (map.size > size) map.delete(/** @type {string} */ (map.keys().next().value));
}
