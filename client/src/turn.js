/*
 * When it is this page's turn to do what all pages have a reason to do.
 *
 * Each has its place among them, evenly apart from the others', and waits that part of the `spread`. With the place alone
 * the first ones would begin again as soon as they are done, if the news goes on: so the turns of a page are a whole
 * spread apart, for as long as one piece of news follows another within it.
 */

/** From 0 to 1. A server that gives none leaves it to chance. */
let place = Math.random();
/** The turn that was last told of, in milliseconds of the clock … */
let turn = 0;
/** … after how many the next one follows … */
let period = 0;
/** … and when the row of them ends. */
let end = 0;

/** @param {number} [given] by the server; it is that of this connection */
export function takePlace(given = Math.random()) {
  place = given;
  end = 0;
}

/**
 * How long to wait for the next turn. To be asked at each piece of news, even if its turn is awaited already: all pages that
 * hear the same must agree on when the row ends.
 *
 * @param {number} [spread] in milliseconds
 * @returns {number} from 0 to `spread`
 */
export function waitFor(spread = 0) {
  if (!spread) return 0;
  const now = Date.now();
  const turns = now < end ? (turn - now) / period : place;
  const wait = (turns - Math.floor(turns)) * spread;
  turn = now + wait;
  period = spread;
  end = Math.max(end, now + spread);
  return wait;
}
