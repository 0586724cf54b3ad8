/** @import { Ending, State } from "./types.js" */
import { Timer, backoff } from "./backoff.js";
import { DisconnectCode, mayReconnect } from "./codes.js";
import { takePlace, waitFor } from "./turn.js";

/** How long a connection may take until the server's `connected`. */
const CONNECT_TIMEOUT_MS = 10_000;
/** How long the answer to a ping of ours may take. */
const PONG_TIMEOUT_MS = 5_000;
/** A connection that lasted this long was a good one: the next wait is short again. */
const STABLE_MS = 10_000;
/** When the server has said that it will soon be back, no wait is longer, or than its `spread` … */
const SOON_MS = 500;
/** … for so many attempts. */
const SOON_ATTEMPTS = 120;

/**
 * What moves a connection from state to state; an event that a state does not name is ignored there.
 *
 *     open         something wants a connection        pause     the page is frozen or put into the bfcache
 *     established  the server said `connected`         resume    the page is back
 *     lost         closed, silent, or never opened     end       by a terminal code, or by close()
 *     retry        the wait is over                    restart   the page's code wants it all the same
 *
 * @type {Record<State, Record<string, State>>}
 */
const TRANSITIONS = {
  idle: { open: "connecting", restart: "connecting", end: "ended" },
  connecting: { established: "connected", lost: "waiting", pause: "paused", end: "ended" },
  connected: { lost: "waiting", pause: "paused", end: "ended" },
  waiting: { retry: "connecting", pause: "paused", end: "ended" },
  paused: { resume: "connecting", end: "ended" },
  ended: { restart: "connecting" },
};

/**
 * One object of the wire, either way: docs/reference/protocol.rst.
 *
 * @typedef {object} Frame
 * @property {string} [type] none: a message
 * @property {number} [id]
 * @property {string} [channel]
 * @property {any} [data]
 * @property {string} [token]
 * @property {string} [since]
 * @property {string} [position]
 * @property {number} [version]
 * @property {number} [spread]
 * @property {boolean} [recovered]
 * @property {Frame[]} [publications]
 * @property {boolean} [more]
 * @property {"gap" | "storm" | "size"} [reason]
 * @property {number} [code]
 * @property {string} [message]
 * @property {boolean} [temporary]
 * @property {string} [renew]
 * @property {boolean} [reconnect]
 * @property {string} [client]
 * @property {number} [ping]
 * @property {number} [place]
 */

/**
 * @typedef {object} Handler what a connection tells its owner
 * @property {(frame: Frame) => void} connected
 * @property {(frame: Frame) => void} received
 * @property {(ending: Ending) => void} disconnected after `connected`, or for good
 * @property {(attempt: number) => void} retrying a connection that was lost is tried again
 * @property {(ending: Ending) => void} failed one attempt failed before `connected`
 */

/**
 * The part of a WebSocket that is used; any transport has this shape.
 *
 * @typedef {object} Socket
 * @property {(text: string) => void} send
 * @property {(code?: number) => void} close
 * @property {((event: any) => void) | null} onmessage
 * @property {((event: any) => void) | null} onclose
 */

/**
 * One connection to the push server: kept up for as long as the page lives, whatever happens to it.
 */
export class Connection {
  /** @type {State} */
  #state = "idle";
  /** @type {Socket | null} */
  #socket = null;
  #attempt = 0;
  #ping = 0;
  /** Over how many milliseconds those come back whom the server has sent away for a short time; else -1. */
  #spread = -1;
  /** Over how many milliseconds all that were connected would spread what they do about a gap; kept for the next server. */
  gapSpread = 0;
  #connectTimer = new Timer(() => this.#lose({ code: 1006, message: "no answer in time", reconnect: true }));
  #retryTimer = new Timer(() => this.#move("retry"));
  #silenceTimer = new Timer(() => this.#lose({ code: 1006, message: "no sign of life", reconnect: true }));
  #stableTimer = new Timer(() => (this.#attempt = 0));
  #openSocket;
  #handler;

  /**
   * @param {() => Socket} openSocket
   * @param {Handler} handler
   */
  constructor(openSocket, handler) {
    this.#openSocket = openSocket;
    this.#handler = handler;
  }

  get state() {
    return this.#state;
  }

  /** Connect, unless that is done, under way, or was ended. */
  open() {
    this.#move("open");
  }

  /** Connect, also after an end. */
  restart() {
    if (this.#state === "ended") this.#attempt = 0;
    this.#move("restart");
  }

  /** Disconnect, and stay so until `restart`. */
  close() {
    this.#end({ code: 1000, message: "closed by the page", reconnect: false });
  }

  /** The page goes to sleep: give the socket back, it would keep the page out of the bfcache. */
  pause() {
    this.#leave("pause", { code: 1000, message: "page is hidden or frozen", reconnect: true });
  }

  resume() {
    if (this.#state === "paused") this.#attempt = 0;
    this.#move("resume");
  }

  /** Begin anew at once, so that the server knows nothing of what was before. */
  reset() {
    this.#leave("pause", { code: 1000, message: "begins anew", reconnect: true });
    this.resume();
  }

  /** Network or visitor are back: do not wait any longer, and do not trust a socket that looks open. */
  hasten() {
    this.#move("retry");
    if (this.#state === "connected") {
      this.send({ type: "ping" });
      this.#silenceTimer.arm(PONG_TIMEOUT_MS);
    }
  }

  /**
   * @param {Frame | string} frame
   * @returns {boolean} whether it was sent: nothing is, unless connected
   */
  send(frame) {
    if (this.#state !== "connected") return false;
    this.#socket?.send(typeof frame === "string" ? frame : JSON.stringify(frame));
    return true;
  }

  /** @param {string} event */
  #move(event) {
    const next = TRANSITIONS[this.#state][event];
    if (!next) return false;
    this.#state = next;
    if (next === "connecting") this.#connect();
    else if (next === "waiting") this.#retryTimer.arm(this.#nextWait());
    return true;
  }

  #nextWait() {
    const attempt = this.#attempt++;
    if (this.#spread < 0 || attempt > SOON_ATTEMPTS) return backoff(attempt);
    if (!attempt) return waitFor(this.#spread);
    return backoff(attempt - 1, undefined, Math.max(SOON_MS, this.#spread));
  }

  #connect() {
    this.#connectTimer.arm(CONNECT_TIMEOUT_MS);
    if (this.#attempt) this.#handler.retrying(this.#attempt);
    /** @type {Socket} */
    let socket;
    try {
      socket = this.#socket = this.#openSocket();
    } catch (error) {
      // A Content-Security-Policy or an address that is none: later attempts fail too, but cost little.
      this.#lose({ code: 1006, message: String(error), reconnect: true });
      return;
    }
    socket.onmessage = ({ data }) => {
      if (socket === this.#socket) this.#receive(data);
    };
    socket.onclose = ({ code, reason }) => {
      if (socket === this.#socket) this.#closed({ code, message: reason, reconnect: mayReconnect(code) });
    };
  }

  /** @param {unknown} text */
  #receive(text) {
    const frame = parse(text);
    if (!frame) return;
    if (this.#ping) this.#silenceTimer.arm(2 * this.#ping);
    if (frame.type === "connected") this.#establish(frame);
    else if (frame.type === "ping") this.#answer(frame);
    else if (frame.type === "disconnect") this.#dismiss(frame);
    else if (frame.type !== "pong" && this.#state === "connected") this.#handler.received(frame);
  }

  /** @param {Frame} ping */
  #answer({ spread }) {
    this.gapSpread = spread ?? 0;
    this.send({ type: "pong" });
  }

  /** @param {Frame} frame */
  #establish(frame) {
    if (!this.#move("established")) return;
    this.#connectTimer.disarm();
    this.#stableTimer.arm(STABLE_MS);
    this.#ping = frame.ping ?? 0;
    this.#spread = -1;
    takePlace(frame.place);
    if (this.#ping) this.#silenceTimer.arm(2 * this.#ping);
    this.#handler.connected(frame);
  }

  /** @param {Frame} frame */
  #dismiss(frame) {
    if (this.#state === "connected" && frame.spread !== undefined) {
      this.#spread = frame.spread;
      this.#attempt = 0;
    }
    this.#closed(endingOf(frame));
  }

  /** @param {Ending} ending */
  #closed(ending) {
    if (ending.reconnect) this.#lose(ending);
    else this.#end(ending);
  }

  /** @param {Ending} ending */
  #lose(ending) {
    this.#leave("lost", ending);
  }

  /** @param {Ending} ending */
  #end(ending) {
    this.#leave("end", ending);
  }

  /**
   * @param {"lost" | "pause" | "end"} event
   * @param {Ending} ending
   */
  #leave(event, ending) {
    const before = this.#state;
    if (!this.#move(event)) return;
    for (const timer of [this.#connectTimer, this.#silenceTimer, this.#stableTimer]) timer.disarm();
    const socket = this.#socket;
    this.#socket = null;
    this.#ping = 0;
    socket?.close(1000);
    if (before === "connected" || event === "end") this.#handler.disconnected(ending);
    else if (before === "connecting" && event === "lost") this.#handler.failed(ending);
  }
}

/**
 * @param {unknown} text
 * @returns {Frame | null}
 */
function parse(text) {
  try {
    const frame = JSON.parse(String(text));
    return frame && typeof frame === "object" ? frame : null;
  } catch {
    return null;
  }
}

/**
 * @param {Frame} frame
 * @returns {Ending}
 */
function endingOf({ code = DisconnectCode.INTERNAL, message = "", reconnect = mayReconnect(code) }) {
  return { code, message, reconnect };
}

/**
 * The address of the WebSocket under the push server's address.
 *
 * @param {string} url absolute, or relative to `base`
 * @param {string} base
 * @param {string} client this tab's id
 */
export function webSocketUrl(url, base, client) {
  const address = new URL(url, base);
  address.protocol = address.protocol.replace("http", "ws");
  address.pathname = address.pathname.replace(/\/?$/, "/websocket");
  address.search = new URLSearchParams({ protocol: "1", client }).toString();
  address.hash = "";
  return address.href;
}
