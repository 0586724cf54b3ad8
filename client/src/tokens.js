/** @import { TokenSource } from "./types.js" */
import { remember } from "./subscription.js";

/** Channels whose tokens are remembered. */
const MAX_TOKENS = 1000;

/**
 * What opens channels. Kept in memory only, and beyond the subscriptions: what htmx and Turbo bring back from their
 * history has lost its token.
 */
export class Tokens {
  /** @type {Map<string, TokenSource>} given by the page, and not yet exchanged for one of the server's */
  #page = new Map();
  /** @type {Map<string, string>} given by the server: they last longer than the page's */
  #resume = new Map();
  /** @type {Set<string>} of the page as it was fetched last */
  #fetched = new Set();
  /** @type {TokenSource | undefined} for channels without a token of their own */
  connection;

  /**
   * @param {string} channel
   * @param {TokenSource} source
   */
  set(channel, source) {
    remember(this.#page, channel, source, MAX_TOKENS);
  }

  /**
   * Take what the server gives for the token that it has accepted.
   *
   * @param {string} channel
   * @param {string} token
   * @param {TokenSource} [accepted]
   */
  exchange(channel, token, accepted) {
    remember(this.#resume, channel, token, MAX_TOKENS);
    if (typeof accepted === "string" && accepted === this.#page.get(channel)) this.#page.delete(channel);
  }

  /** @param {string} channel */
  ownOf(channel) {
    return this.#resume.get(channel) ?? this.#page.get(channel);
  }

  /** @param {string} channel */
  sourceFor(channel) {
    return this.ownOf(channel) ?? this.connection;
  }

  /**
   * @param {string} channel
   * @param {TokenSource} [source]
   */
  isResume(channel, source) {
    return source !== undefined && source === this.#resume.get(channel);
  }

  /** @param {string} channel */
  forgetResume(channel) {
    this.#resume.delete(channel);
  }

  /**
   * Forget what the page has given for a channel; what calls for a token is kept.
   *
   * @param {string} channel
   */
  forget(channel) {
    this.#resume.delete(channel);
    if (typeof this.#page.get(channel) === "string") this.#page.delete(channel);
  }

  /** The login of the connection is not that of the page: what belongs to no channel of the page goes too. */
  forgetLogin() {
    this.#resume.clear();
    if (typeof this.connection === "string") this.connection = undefined;
  }

  /**
   * Take all tokens of a page that was fetched.
   *
   * @param {Map<string, string>} byChannel
   * @param {string | undefined} connection
   */
  setFetched(byChannel, connection) {
    this.#fetched = new Set([...byChannel.values(), connection ?? ""]);
    if (connection) this.connection = connection;
  }

  /** @param {string | undefined} token */
  isFetched(token) {
    return token !== undefined && this.#fetched.has(token);
  }
}
