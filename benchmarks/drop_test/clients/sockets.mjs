import { createRequire } from "node:module";

// Node 20 has no WebSocket; this one came with what tests the browser's client.
const { WebSocket } = createRequire(new URL("../../../client/", import.meta.url))("ws");

/** Open a WebSocket without compression, which none of the servers offers here. */
export function openSocket(url) {
  const socket = new WebSocket(url, { perMessageDeflate: false });
  socket.onerror = () => {}; // followed by its close
  return socket;
}
