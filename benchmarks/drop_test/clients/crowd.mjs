// node crowd.mjs MODULE URL ORDERS: all clients of one system, and the count of what reaches them.
import { createInterface } from "node:readline";
import { Tally } from "./tally.mjs";

const [module, url, orders] = process.argv.slice(2);
const { clients: size, publications, seconds, away, seed, quiet } = JSON.parse(orders);
const { Client } = await import(`./${module}.mjs`);

/** No client is cut so near to the beginning or the end. */
const MARGIN_MS = 500;
/** Nothing has come for so long: nothing will. */
const SILENCE_MS = 5_000;

const random = generator(seed);
const tally = new Tally(publications);
const clients = [];

for (let index = 0; index < size; index++) {
  clients.push(new Client(url, away * 1000, tally.newClient()));
  await sleep(1);
}
await until(() => tally.here === size, 60_000);
console.log("ready");

createInterface({ input: process.stdin }).on("line", (order) => (order === "go" ? cutAll() : finish()));

/** Cut each client off once, some time while there are publications. */
function cutAll() {
  const span = (seconds - away) * 1000 - 2 * MARGIN_MS;
  for (const client of clients) setTimeout(() => client.cut(), MARGIN_MS + random() * span);
}

/** Wait for the last publication, and say what came. */
async function finish() {
  await until(() => tally.isComplete || Date.now() - tally.lastAt > SILENCE_MS, quiet * 1000);
  console.log(JSON.stringify(tally.figures()));
}

/**
 * @param {() => boolean} condition
 * @param {number} ms after which it is given up
 */
async function until(condition, ms) {
  const deadline = Date.now() + ms;
  while (!condition() && Date.now() < deadline) await sleep(50);
}

/** @param {number} ms */
function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/**
 * Numbers from 0 to 1 that are the same for the same seed: mulberry32.
 *
 * @param {number} state
 */
function generator(state) {
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
