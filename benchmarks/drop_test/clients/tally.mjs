/** Milliseconds of latency that are told apart; what takes longer counts as so many. */
const MAX_LATENCY_MS = 120_000;

/** What all clients were delivered. */
export class Tally {
  /** Clients that are subscribed. */
  here = 0;
  /** When something was last delivered, in milliseconds since the epoch. */
  lastAt = Date.now();
  duplicates = 0;
  disordered = 0;
  returns = 0;
  recovered = 0;
  /** How many deliveries took so many milliseconds. */
  latencies = new Uint32Array(MAX_LATENCY_MS + 1);
  #clients = [];

  /** @param {number} publications how many there will be */
  constructor(publications) {
    this.publications = publications;
  }

  newClient() {
    const counted = new CountedClient(this);
    this.#clients.push(counted);
    return counted;
  }

  get delivered() {
    return this.#clients.reduce((sum, client) => sum + client.delivered, 0);
  }

  get isComplete() {
    return this.delivered === this.#clients.length * this.publications;
  }

  figures() {
    const { delivered, duplicates, disordered, returns, recovered } = this;
    const incomplete = this.#clients.filter((client) => client.delivered < this.publications).length;
    return { delivered, incomplete, duplicates, disordered, returns, recovered, p50: this.#latency(0.5), p99: this.#latency(0.99) };
  }

  /** @param {number} share of the deliveries that took no longer */
  #latency(share) {
    let left = this.latencies.reduce((sum, count) => sum + count, 0) * share;
    return this.latencies.findIndex((count) => (left -= count) <= 0);
  }
}

/** What one client was delivered. */
class CountedClient {
  delivered = 0;
  #tally;
  #seen;
  #newest = -1;
  #isHere = false;
  #isBack = false;
  #hereSince = 0;

  /** @param {Tally} tally */
  constructor(tally) {
    this.#tally = tally;
    this.#seen = new Uint8Array(tally.publications);
  }

  /** @param {boolean} [recovered] whether it was told that it has all that it missed */
  subscribed(recovered) {
    if (this.#isBack) this.#tally.returns++;
    if (recovered) this.#tally.recovered++;
    this.#isBack = true;
    if (!this.#isHere) this.#tally.here++;
    this.#isHere = true;
    this.#hereSince = Date.now();
  }

  gone() {
    if (this.#isHere) this.#tally.here--;
    this.#isHere = false;
  }

  /** @param {{ number: number, at: number }} data what was published */
  received({ number, at }) {
    const tally = this.#tally;
    const now = (tally.lastAt = Date.now());
    if (this.#seen[number]) {
      tally.duplicates++;
      return;
    }
    this.#seen[number] = 1;
    this.delivered++;
    if (number < this.#newest) tally.disordered++;
    else this.#newest = number;
    // What was published while it was away comes late by the nature of things.
    if (this.#isHere && at >= this.#hereSince) tally.latencies[Math.min(MAX_LATENCY_MS, Math.max(0, Math.round(now - at)))]++;
  }
}
