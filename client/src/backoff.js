/**
 * How long to wait before attempt number `attempt` (0, 1, 2 …): anything up to a ceiling that doubles.
 *
 * Full jitter, so that the pages that a restart cut off together do not come back together.
 *
 * @param {number} attempt
 * @param {number} base ceiling of the first wait, in milliseconds
 * @param {number} cap ceiling of all later ones
 */
export function backoff(attempt, base = 1000, cap = 30_000) {
  return Math.random() * Math.min(cap, base * 2 ** Math.min(attempt, 30));
}

/** One pending call: arming it again replaces the one before. */
export class Timer {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #id;
  #due = 0;
  #callback;

  /** @param {() => void} callback */
  constructor(callback) {
    this.#callback = callback;
  }

  get isArmed() {
    return this.#id !== undefined;
  }

  /** @param {number} delay in milliseconds */
  arm(delay) {
    this.disarm();
    this.#due = performance.now() + delay;
    this.#id = setTimeout(() => {
      this.#id = undefined;
      this.#callback();
    }, delay);
  }

  /**
   * Make the pending call come sooner, never later.
   *
   * @param {number} delay in milliseconds
   */
  hasten(delay) {
    if (this.isArmed && performance.now() + delay < this.#due) this.arm(delay);
  }

  disarm() {
    clearTimeout(this.#id);
    this.#id = undefined;
  }
}
