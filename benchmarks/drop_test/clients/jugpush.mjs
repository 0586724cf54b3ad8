import { Connection, webSocketUrl } from "../../../client/src/connection.js";
import { Subscriptions } from "../../../client/src/subscriptions.js";
import { Tokens } from "../../../client/src/tokens.js";
import { openSocket } from "./sockets.mjs";

/** The browser's client, without a page around it. */
export class Client {
  #isAway = false;
  #away;
  #socket;
  #connection;

  constructor(url, away, counted) {
    this.#away = away;
    const address = webSocketUrl(url, url, randomId());
    this.#connection = new Connection(() => this.#open(address), {
      connected: () => subscriptions.resubscribe(),
      received: (frame) => subscriptions.receive(frame),
      disconnected: () => subscriptions.disconnected(),
      retrying() {},
      failed() {},
    });
    const subscriptions = new Subscriptions(this.#connection, new Tokens(), () => {});
    subscriptions.add("news", (kind, detail) => {
      if (kind === "subscribed") counted.subscribed(detail.recovered);
      else if (kind === "unsubscribed") counted.gone();
      else if (kind === "message") counted.received(detail.data);
    });
  }

  cut() {
    this.#isAway = true;
    this.#socket.terminate();
    setTimeout(() => {
      this.#isAway = false;
      this.#connection.hasten(); // the browser says "online"
    }, this.#away);
  }

  #open(address) {
    if (this.#isAway) throw new Error("offline");
    return (this.#socket = openSocket(address));
  }
}

function randomId() {
  return crypto.randomUUID().replaceAll("-", "");
}
