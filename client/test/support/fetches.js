// What the page fetches: import this before the modules under test.
import { settle } from "./page.js";

/** What was fetched, in order, each with ways to answer it. */
export let fetches = [];

/** Forget what was fetched, and take what will be. */
export function takeFetches() {
  fetches = [];
  globalThis.fetch = (url, options) =>
    new Promise((resolve, reject) => {
      fetches.push({
        url,
        options,
        headers: options.headers,
        async answer(html, { status = 200, contentType = "text/html", ...more } = {}) {
          const response = new Response(html, { status, headers: { "Content-Type": contentType } });
          for (const [key, value] of Object.entries(more)) Object.defineProperty(response, key, { value });
          resolve(response);
          await settle();
        },
        async fail() {
          reject(new TypeError("Failed to fetch"));
          await settle();
        },
      });
    });
}

/** Answer that there is no such page, to all that is still waited for. */
export async function endFetches() {
  for (const { answer } of fetches) await answer("", { status: 404 });
}
