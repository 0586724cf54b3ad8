/** @import { JuggernautOptions, MessageCallback, State, TokenSource } from "./types.js" */
import { callEach } from "./console.js";
import { serverFor } from "./page.js";

/** Raw writes kept until there is a connection. */
const MAX_WAITING_WRITES = 100;

/** A message as a page of 2011 knows it: everything that was delivered. */
export class Message {
  /** @param {Record<string, any>} hash */
  constructor(hash) {
    for (const [name, value] of Object.entries(hash)) {
      if (name !== "__proto__") /** @type {any} */ (this)[name] = value;
    }
  }

  /**
   * @param {string} text
   * @returns {Message}
   */
  static fromJSON(text) {
    return new Message(JSON.parse(text));
  }

  /**
   * The message as text: for `write`, not for `JSON.stringify`.
   *
   * @returns {string}
   */
  toJSON() {
    return JSON.stringify({ ...this });
  }
}

/**
 * The page's way to the push server. All objects that name the same server share one connection.
 */
export class Juggernaut {
  static Message = Message;

  /** @type {Map<string, Set<(...args: any[]) => void>>} event name to callbacks */
  handlers = new Map();
  /** @type {any} */
  #meta;
  #server;
  /** @type {string[]} */
  #waiting = [];
  #greeted = false;
  // All else comes by #observe.
  #holder = (/** @type {string} */ kind, /** @type {any} */ detail) => {
    if (kind === "missed") this.#observe("stale", detail);
  };

  /** @param {JuggernautOptions} [options] */
  constructor(options = {}) {
    this.options = options;
    this.#meta = options.meta;
    this.#server = serverFor(options);
    this.#server.observers.add((kind, detail) => this.#observe(kind, detail));
    // A connection that others made: this object's `connect` comes all the same.
    if (this.state === "connected") queueMicrotask(() => this.#joinConnected());
    else if (!options.lazy) this.#server.connection.open();
  }

  /**
   * What the connection does.
   *
   * @returns {State}
   */
  get state() {
    return this.#server.connection.state;
  }

  /**
   * This tab's id, which outlives reconnects and reloads.
   *
   * @returns {string}
   */
  get client() {
    return this.#server.client;
  }

  /**
   * The name of `client` in 2011.
   *
   * @returns {string}
   */
  get sessionID() {
    return this.client;
  }

  /**
   * What the server is told about this page, at each connect.
   *
   * @returns {any}
   */
  get meta() {
    return this.#meta;
  }

  set meta(meta) {
    this.#meta = meta;
    if (this.#greeted) this.#sendMeta();
  }

  /** Connect, also after `disconnect` or a refusal for good. Subscribing does it by itself. */
  connect() {
    this.#server.connection.restart();
  }

  /** Disconnect until `connect`; subscriptions are kept for then. */
  disconnect() {
    this.#server.connection.close();
  }

  /**
   * Subscribe to a channel; the callback gets each message's data, then the whole message.
   *
   * @param {string} channel
   * @param {MessageCallback} [callback]
   * @param {{ token?: TokenSource, since?: string }} [options] `token`: a subscription token, or what gives one, if the
   *   page has no element for the channel; `since`: the position after which to begin
   */
  subscribe(channel, callback, { token, since } = {}) {
    if (!channel) throw new Error("Must provide a channel");
    this.on(channel + ":data", callback);
    this.#server.subscriptions.add(channel, this.#holder, { token, since });
  }

  /**
   * Take back this object's subscription to a channel, with all its callbacks or only the given one.
   *
   * @param {string} channel
   * @param {MessageCallback} [callback]
   */
  unsubscribe(channel, callback) {
    this.unbind(channel + ":data", callback);
    if (!this.handlers.has(channel + ":data")) this.#server.subscriptions.remove(channel, this.#holder);
  }

  /**
   * Call back on `connect`, `disconnect`, `reconnect`, `message`, `data`, `CHANNEL:data`, `subscribed`, `stale`, `error`.
   *
   * @param {string} event
   * @param {(...args: any[]) => void} [callback]
   */
  on(event, callback) {
    if (!event || !callback) return;
    const callbacks = this.handlers.get(event);
    if (callbacks) callbacks.add(callback);
    else this.handlers.set(event, new Set([callback]));
  }

  /**
   * The other name of `on`.
   *
   * @param {string} event
   * @param {(...args: any[]) => void} [callback]
   */
  bind(event, callback) {
    this.on(event, callback);
  }

  /**
   * Forget an event's callbacks, or only the given one.
   *
   * @param {string} event
   * @param {(...args: any[]) => void} [callback]
   */
  unbind(event, callback) {
    const callbacks = this.handlers.get(event);
    if (callback) callbacks?.delete(callback);
    if (!callback || !callbacks?.size) this.handlers.delete(event);
  }

  /**
   * Send a command as it is: text, a `Message`, or an object. It waits for the connection if need be.
   *
   * @param {string | Message | Record<string, any>} message
   */
  write(message) {
    const text = textOf(message);
    if (this.#server.connection.send(text)) return;
    this.#server.connection.open();
    this.#waiting.push(text);
    if (this.#waiting.length > MAX_WAITING_WRITES) this.#waiting.shift();
  }

  /**
   * @param {string} kind
   * @param {any} detail
   */
  #observe(kind, detail) {
    if (kind === "message") {
      this.#message(detail);
    } else if (kind === "greet") {
      this.#greet();
    } else {
      if (kind === "connect") for (const text of this.#waiting.splice(0)) this.write(text);
      this.#trigger(kind, detail);
    }
  }

  #greet() {
    this.#greeted = true;
    this.#sendMeta();
  }

  #joinConnected() {
    this.#greet();
    this.#observe("connect", { client: this.client });
  }

  #sendMeta() {
    if (this.#meta !== undefined) this.#server.connection.send({ type: "meta", data: this.#meta });
  }

  /** @param {{ channel: string, data: any, message: Record<string, any> }} detail */
  #message({ channel, data, message: frame }) {
    const message = new Message(frame);
    this.#trigger("message", message);
    this.#trigger("data", channel, data);
    this.#trigger(channel + ":data", data, message);
  }

  /**
   * @param {string} event
   * @param {any[]} args
   */
  #trigger(event, ...args) {
    callEach(this.handlers.get(event) ?? [], ...args);
  }
}

/**
 * @param {string | Message | Record<string, any>} message
 * @returns {string}
 */
function textOf(message) {
  if (typeof message === "string") return message;
  const text = typeof message.toJSON === "function" ? message.toJSON() : message;
  return typeof text === "string" ? text : JSON.stringify(text);
}
