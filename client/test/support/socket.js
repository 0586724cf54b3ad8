/** A WebSocket whose server is the test. */
export class FakeSocket {
  /** @type {FakeSocket[]} */
  static all = [];

  static get last() {
    return FakeSocket.all.at(-1);
  }

  sent = [];
  isClosed = false;
  onmessage = null;
  onclose = null;

  constructor(url) {
    this.url = url;
    FakeSocket.all.push(this);
  }

  send(text) {
    this.sent.push(text);
  }

  close() {
    this.isClosed = true;
  }

  // What the server does

  receive(frame) {
    this.onmessage?.({ data: typeof frame === "string" ? frame : JSON.stringify(frame) });
  }

  greet(extra = {}) {
    this.receive({ type: "connected", protocol: 1, client: "c".repeat(32), ping: 25_000, ...extra });
  }

  drop(code = 1006) {
    this.onclose?.({ code, reason: "" });
  }

  /** Grant all that was asked and is not answered yet. */
  grant() {
    for (const command of this.commands.splice(0)) {
      if (command.type !== "subscribe") continue;
      const again = command.since === undefined ? {} : { recovered: false, spread: 0 };
      this.receive({ type: "subscribed", id: command.id, channel: command.channel, ...again });
    }
  }

  #read = 0;
  #commands = [];

  get commands() {
    this.#commands.push(...this.sent.slice(this.#read).map((text) => JSON.parse(text)));
    this.#read = this.sent.length;
    return this.#commands;
  }

  /** The commands since the last call, without their ids. */
  takeCommands() {
    return this.commands.splice(0).map(({ id, ...command }) => command);
  }
}
