// Rates as Realtime counts them: an average over the last minute, in steps of five seconds. Counts
// only when something happens, so a quiet server does nothing.

const STEP_MS = 5_000;
const STEPS = 12;

export class Rate {
  #limit;
  #counts = new Array(STEPS).fill(0);
  #step = 0;

  constructor(limitPerSecond) {
    this.#limit = limitPerSecond;
  }

  add(count = 1) {
    this.#advance();
    this.#counts[this.#step % STEPS] += count;
  }

  /** Events per second, averaged over the last minute. */
  get average() {
    this.#advance();
    return this.#counts.reduce((sum, count) => sum + count, 0) / ((STEPS * STEP_MS) / 1000);
  }

  get isExceeded() {
    return this.average > this.#limit;
  }

  /** What the answers of the HTTP side say about it. */
  get headers() {
    return {
      "x-rate-rolling": String(this.average),
      "x-rate-limit": String(this.#limit),
      "x-rate-limit-remaining": String(Math.max(0, this.#limit - this.average)),
    };
  }

  #advance() {
    const now = Math.floor(Date.now() / STEP_MS);
    const gone = Math.min(now - this.#step, STEPS);
    for (let i = 1; i <= gone; i++) this.#counts[(now - gone + i) % STEPS] = 0;
    this.#step = now;
  }
}

/** At most `limit` events in any window of that length, for one client. */
export class Window {
  #limit;
  #milliseconds;
  #times = [];

  constructor(limit, milliseconds) {
    this.#limit = limit;
    this.#milliseconds = milliseconds;
  }

  /** Counts one; false when it is one too many. */
  take() {
    const now = Date.now();
    this.#times = this.#times.filter((time) => now - time < this.#milliseconds);
    this.#times.push(now);
    return this.#times.length <= this.#limit;
  }
}
