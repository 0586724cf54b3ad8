// What server and publisher share: they are two nodes of a cluster, which meet in a Redis Stream.
import { createRequire } from "node:module";

/** The modules that were installed for this test. */
export const require = createRequire(process.env.DROP_TEST_MODULES + "/");

const { createClient } = require("redis");
const { createAdapter } = require("@socket.io/redis-streams-adapter");

/** Options of a `Server` that recovers the state of its clients. */
export async function options() {
  const redis = createClient({ url: process.env.DROP_TEST_REDIS });
  await redis.connect();
  return { adapter: createAdapter(redis), connectionStateRecovery: {} };
}
