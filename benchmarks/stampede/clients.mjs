// node clients.mjs SIZE URL...: pages, each with a channel of its own, and when each of them would ask the site again.
import { createInterface } from "node:readline";
import { openSocket } from "../drop_test/clients/sockets.mjs";

const [size, ...urls] = process.argv.slice(2);

/** client/src/refresh.js collects for so long. */
const COLLECT_MS = 300;

/** So many connect at once. */
const AT_ONCE = 100;

class Page {
  isHere = false;
  hasNews = false;
  isTold = false;
  /** When it has asked; and when it would have, were it left to chance. */
  asked = 0;
  byChance = 0;

  constructor(number, turn) {
    this.channel = `page:${number}`;
    this.turn = turn;
    this.socket = openSocket(urls[number % urls.length]);
    this.socket.onmessage = ({ data }) => this.receive(JSON.parse(data));
    this.socket.onclose = ({ code }) => fail(`a connection was closed with ${code}`);
  }

  receive({ type, place, recovered, spread, ...word }) {
    if (type === "connected") {
      this.turn.takePlace(place);
      this.socket.send(JSON.stringify({ type: "subscribe", channel: this.channel }));
    } else if (type === "subscribed") this.isHere = true;
    else if (type === "ping") this.socket.send('{"type":"pong"}');
    else if (type === "stale") this.miss(spread);
    else if (type === undefined) this.hasNews = true;
    else fail(`unexpected: ${type} ${JSON.stringify(word)}`);
  }

  miss(spread) {
    const wait = COLLECT_MS + this.turn.waitFor(spread);
    if (this.isTold) return;
    this.isTold = true;
    this.byChance = Date.now() + COLLECT_MS + Math.random() * spread;
    setTimeout(() => (this.asked = Date.now()), wait);
  }
}

const pages = [];
for (let number = 0; number < size; number++) {
  // Each has its own copy of the browser's module, as pages have.
  pages.push(new Page(number, await import(`../../client/src/turn.js?${number}`)));
  if (pages.length % AT_ONCE === 0) await all("isHere");
}
await all("isHere");
console.log("here");

const orders = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
await all("hasNews");
console.log("ready");
await orders.next();
await all("isTold");
console.log("told");
await all("asked");
const figures = { asked: pages.map(({ asked }) => asked), byChance: pages.map(({ byChance }) => byChance) };
process.stdout.write(`${JSON.stringify(figures)}\n`, () => process.exit());

/** @param {"isHere" | "hasNews" | "isTold" | "asked"} state in which all pages come to be */
async function all(state) {
  while (!pages.every((page) => page[state])) await new Promise((resolve) => setTimeout(resolve, 20));
}

/** @param {string} what */
function fail(what) {
  console.error(what);
  process.exit(1);
}
