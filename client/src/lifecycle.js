/** @import { Connection } from "./connection.js" */

/**
 * Tie a connection to the life of the page.
 *
 * `pagehide`, not `beforeunload`: a download or a cancelled navigation sends the latter too, and the page goes on.
 *
 * @param {Connection} connection
 */
export function followPage(connection) {
  addEventListener("pagehide", () => connection.pause());
  addEventListener("pageshow", () => connection.resume());
  addEventListener("online", () => connection.hasten());
  document.addEventListener("freeze", () => connection.pause());
  document.addEventListener("resume", () => connection.resume());
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) connection.hasten();
  });
}
