import type { Message } from "./juggernaut.js";

/**
 * - idle: nothing wanted a connection yet
 * - connecting, connected
 * - waiting: lost, to be made again after a while
 * - paused: the page is frozen or in the back/forward cache
 * - ended: over until `connect()` is called
 */
export type State = "idle" | "connecting" | "connected" | "waiting" | "paused" | "ended";

/** A token, or what gives one whenever it is needed. */
export type TokenSource = string | (() => string | undefined | Promise<string | undefined>);

/** How a connection ended. */
export interface Ending {
  /** A disconnect code, or one of WebSocket's own. */
  code: number;
  message: string;
  /** Whether the connection will be made again. */
  reconnect: boolean;
}

export interface SubscribedDetail {
  channel: string;
  /** Whether nothing was missed since the page was rendered, or the connection lost; undefined if that was not asked. */
  recovered: boolean | undefined;
}

export interface MessageDetail {
  channel: string;
  data: any;
  /**
   * Everything that was delivered; `offset`: its number in the channel's stream, if it is in one; `replayed`: whether it
   * was published before this subscription; `wait`: milliseconds until it is this page's turn to ask the site about it.
   */
  message: Record<string, any> & { offset: number | undefined; replayed: boolean; wait: number };
}

/** Is given the data of each message, then everything that was delivered. */
export type MessageCallback = (data: any, message: Message & MessageDetail["message"]) => void;

export interface StaleDetail {
  channel: string;
  reason: "gap" | "storm" | "size";
  /** Milliseconds over which all pages take turns. */
  spread: number;
  /** Milliseconds until it is this page's turn to ask the site. */
  wait: number;
}

export interface ErrorDetail {
  channel: string | undefined;
  /** An error code. */
  code: number;
  message: string;
  /** Whether it is tried again. */
  temporary: boolean;
}

export interface JuggernautOptions {
  /** The push server's address; default: `data-url` of the client's script element. */
  url?: string;
  /** The connection's token, for channels without one of their own. */
  token?: TokenSource;
  /** Of 2011: the host name, instead of that of `url`. */
  host?: string;
  /** Of 2011: the port. */
  port?: number | string;
  /** Of 2011: whether to use TLS. */
  secure?: boolean;
  /** Sent to the server at each connect. */
  meta?: any;
  /** Connect with the first subscription, not at once. */
  lazy?: boolean;
}
