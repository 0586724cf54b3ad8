/** @import { Ending, ErrorDetail } from "./types.js" */
/** @import { Console } from "./console.js" */
import { Connection, webSocketUrl } from "./connection.js";
import { callEach } from "./console.js";
import { DisconnectCode } from "./codes.js";
import { clientId } from "./identity.js";
import { followPage } from "./lifecycle.js";
import { Renewal } from "./renewal.js";
import { Subscriptions } from "./subscriptions.js";
import { Tokens } from "./tokens.js";

const WHO_ANSWERS =
  "`manage.py runserver` (but not runserver_plus) carries one while django_jugpush is in INSTALLED_APPS, an ASGI server " +
  "does with django_jugpush.asgi.push_application(), and a proxy must send this path to `manage.py juggernaut`; " +
  "trying on.";

/**
 * @typedef {object} Page what the script element says
 * @property {string} [token]
 * @property {string} [identity]
 * @property {() => Promise<typeof import("./live.js")>} loadLive
 */

/**
 * The push server as this page sees it: one connection and its subscriptions, whoever shares them.
 */
export class PushServer {
  client = clientId;
  tokens = new Tokens();
  /** @type {Set<(kind: string, detail: any) => void>} told of everything that happens on the connection */
  observers = new Set();
  #wasConnected = false;
  #url;
  #console;

  /**
   * @param {string} url
   * @param {Console} console
   * @param {Page} [page] whose tokens are this server's
   */
  constructor(url, console, page) {
    this.#console = console;
    this.#url = webSocketUrl(url, document.baseURI, this.client);
    this.connection = new Connection(() => new WebSocket(this.#url), {
      connected: (frame) => this.#connected(frame.client),
      received: (frame) => this.subscriptions.receive(frame),
      disconnected: (ending) => this.#disconnected(ending),
      retrying: (attempt) => this.#tell("reconnect", { attempt }),
      failed: () => this.#failed(),
    });
    this.subscriptions = new Subscriptions(this.connection, this.tokens, (kind, detail) => {
      if (kind === "error") this.#explainError(detail);
      this.#tell(kind, detail);
    });
    if (page) this.#belongTo(page);
    followPage(this.connection);
  }

  /** @param {Page} page */
  #belongTo({ token, identity, loadLive }) {
    const { subscriptions } = this;
    this.tokens.connection = token;
    subscriptions.renewal = new Renewal(
      {
        client: () => this.client,
        console: this.#console,
        loadLive,
        granted: (wanting, grants) => subscriptions.renew(wanting, grants),
        failed: (wanting, code) => subscriptions.giveUp(wanting, code),
      },
      identity,
    );
  }

  /** @param {string | undefined} client */
  #connected(client) {
    this.#wasConnected = true;
    this.client = client ?? this.client;
    // Meta goes out before the subscriptions, as in 2011; what the page writes after them: an event needs one.
    this.#tell("greet", undefined);
    this.subscriptions.resubscribe();
    this.#tell("connect", { client: this.client });
  }

  /** @param {Ending} ending */
  #disconnected(ending) {
    this.subscriptions.disconnected();
    if (ending.code === DisconnectCode.LOGIN_ENDED) {
      // Nothing is wrong: the visitor has logged out.
      this.subscriptions.loginEnded();
    } else if (!ending.reconnect && ending.code !== 1000) {
      this.#console.error(`the server ended the connection for good: ${ending.message} (${ending.code}).`);
    }
    this.#tell("disconnect", ending);
  }

  #failed() {
    if (this.#wasConnected) return;
    const address = this.#url.replace(/\?.*/, "");
    this.#console.explain(`no push server answers at ${address}: ${WHO_ANSWERS}`);
  }

  /** @param {ErrorDetail} error */
  #explainError({ channel, code, message }) {
    const what = channel === undefined ? "a command" : `the subscription to "${channel}"`;
    this.#console.explain(`${what} was refused: ${message} (${code}).`);
  }

  /**
   * @param {string} kind
   * @param {any} detail
   */
  #tell(kind, detail) {
    callEach(this.observers, kind, detail);
  }
}
