// node publisher.mjs COUNT RATE: a node that serves nobody, and emits.
import { once } from "node:events";
import { setTimeout } from "node:timers/promises";
import { options, require } from "./adapter.mjs";

const { Server } = require("socket.io");

const [count, rate] = process.argv.slice(2).map(Number);
const io = new Server(await options());
console.log("ready");
await once(process.stdin, "data");
const began = performance.now();
for (let number = 0; number < count; number++) {
  await setTimeout(began + (number / rate) * 1000 - performance.now());
  io.to("news").emit("news", { number, at: Date.now() });
}
console.log("done");
