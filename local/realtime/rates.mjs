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

  get isExceeded() {
    this.#advance();
    const sum = this.#counts.reduce((total, count) => total + count, 0);
    return sum / ((STEPS * STEP_MS) / 1000) > this.#limit;
  }

  #advance() {
    const now = Math.floor(Date.now() / STEP_MS);
    const gone = Math.min(now - this.#step, STEPS);
    for (let i = 1; i <= gone; i++) this.#counts[(now - gone + i) % STEPS] = 0;
    this.#step = now;
  }
}
