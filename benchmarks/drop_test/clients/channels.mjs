import { openSocket } from "./sockets.mjs";

/** How long it waits after an attempt that failed. */
const RETRY_MS = 500;

/** A WebSocket that is opened again: Channels comes with no client, and keeps nothing for one. */
export class Client {
  #url;
  #away;
  #counted;
  #socket;
  #wait = RETRY_MS;

  constructor(url, away, counted) {
    this.#url = url;
    this.#away = away;
    this.#counted = counted;
    this.#open();
  }

  cut() {
    this.#wait = this.#away;
    this.#socket.terminate();
  }

  #open() {
    const socket = (this.#socket = openSocket(this.#url));
    socket.onopen = () => this.#counted.subscribed();
    socket.onmessage = ({ data }) => this.#counted.received(JSON.parse(data));
    socket.onclose = () => {
      this.#counted.gone();
      setTimeout(() => this.#open(), this.#wait);
      this.#wait = RETRY_MS;
    };
  }
}
