import { createRequire } from "node:module";

const { Manager } = createRequire(process.env.DROP_TEST_MODULES + "/")("socket.io-client");

/** The official client. It reconnects by itself, after exactly the time that it is to be away. */
export class Client {
  #manager;

  constructor(url, away, counted) {
    this.#manager = new Manager(url, {
      transports: ["websocket"],
      perMessageDeflate: false,
      reconnectionDelay: away,
      reconnectionDelayMax: away,
      randomizationFactor: 0,
    });
    const socket = this.#manager.socket("/");
    socket.on("connect", () => counted.subscribed(socket.recovered));
    socket.on("disconnect", () => counted.gone());
    socket.on("news", (data) => counted.received(data));
  }

  cut() {
    this.#manager.engine.transport.ws.terminate();
  }
}
