// Built from client/.

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

/** A message as a page of 2011 knows it: everything that was delivered. */
export declare class Message {
    /** @param {Record<string, any>} hash */
    constructor(hash: Record<string, any>);
    /**
     * @param {string} text
     * @returns {Message}
     */
    static fromJSON(text: string): Message;
    /**
     * The message as text: for `write`, not for `JSON.stringify`.
     *
     * @returns {string}
     */
    toJSON(): string;
}
/**
 * The page's way to the push server. All objects that name the same server share one connection.
 */
export declare class Juggernaut {
    #private;
    options: JuggernautOptions;
    static Message: typeof Message;
    /** @type {Map<string, Set<(...args: any[]) => void>>} event name to callbacks */
    handlers: Map<string, Set<(...args: any[]) => void>>;
    /** @param {JuggernautOptions} [options] */
    constructor(options?: JuggernautOptions);
    /**
     * What the connection does.
     *
     * @returns {State}
     */
    get state(): State;
    /**
     * This tab's id, which outlives reconnects and reloads.
     *
     * @returns {string}
     */
    get client(): string;
    /**
     * The name of `client` in 2011.
     *
     * @returns {string}
     */
    get sessionID(): string;
    /**
     * What the server is told about this page, at each connect.
     *
     * @returns {any}
     */
    get meta(): any;
    set meta(meta: any);
    /** Connect, also after `disconnect` or a refusal for good. Subscribing does it by itself. */
    connect(): void;
    /** Disconnect until `connect`; subscriptions are kept for then. */
    disconnect(): void;
    /**
     * Subscribe to a channel; the callback gets each message's data, then the whole message.
     *
     * @param {string} channel
     * @param {MessageCallback} [callback]
     * @param {{ token?: TokenSource, since?: string }} [options] `token`: a subscription token, or what gives one, if the
     *   page has no element for the channel; `since`: the position after which to begin
     */
    subscribe(channel: string, callback?: MessageCallback, { token, since }?: {
        token?: TokenSource;
        since?: string;
    }): void;
    /**
     * Take back this object's subscription to a channel, with all its callbacks or only the given one.
     *
     * @param {string} channel
     * @param {MessageCallback} [callback]
     */
    unsubscribe(channel: string, callback?: MessageCallback): void;
    /**
     * Call back on `connect`, `disconnect`, `reconnect`, `message`, `data`, `CHANNEL:data`, `subscribed`, `stale`, `error`.
     *
     * @param {string} event
     * @param {(...args: any[]) => void} [callback]
     */
    on(event: string, callback?: (...args: any[]) => void): void;
    /**
     * The other name of `on`.
     *
     * @param {string} event
     * @param {(...args: any[]) => void} [callback]
     */
    bind(event: string, callback?: (...args: any[]) => void): void;
    /**
     * Forget an event's callbacks, or only the given one.
     *
     * @param {string} event
     * @param {(...args: any[]) => void} [callback]
     */
    unbind(event: string, callback?: (...args: any[]) => void): void;
    /**
     * Send a command as it is: text, a `Message`, or an object. It waits for the connection if need be.
     *
     * @param {string | Message | Record<string, any>} message
     */
    write(message: string | Message | Record<string, any>): void;
}

declare global {
  /** The page's connection. */
  var juggernaut: Client;
  var Juggernaut: typeof Client;

  interface DocumentEventMap {
    "juggernaut:connect": CustomEvent<{ client: string }>;
    "juggernaut:disconnect": CustomEvent<Ending>;
    "juggernaut:identity": CustomEvent<null>;
  }

  interface GlobalEventHandlersEventMap {
    "juggernaut:subscribed": CustomEvent<SubscribedDetail>;
    "juggernaut:message": CustomEvent<MessageDetail>;
    "juggernaut:stale": CustomEvent<StaleDetail>;
    "juggernaut:error": CustomEvent<ErrorDetail>;
    "juggernaut:refresh": CustomEvent<{ url: string; selector: string; page: Document }>;
    "juggernaut:refreshed": CustomEvent<{ url: string; selector: string; parts: Element[] }>;
  }
}

declare const Client: typeof Juggernaut;
type Client = Juggernaut;
