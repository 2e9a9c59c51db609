// The rate as Realtime counts it. Every five seconds what was counted since becomes one more step of
// at most twelve; only then is the average of the steps seen so far compared with the limit, and what
// follows dropped or let through until the next step. After five idle minutes it starts empty, which
// counts as one step without events: a burst trips it at about ten seconds' worth of the limit.

const STEP_MS = 5_000;
const STEPS = 12;
const IDLE_STEPS = 60;

export class Rate {
  #limit;
  #steps = [0];
  #count = 0;
  #next = 0;

  constructor(limitPerSecond) {
    this.#limit = limitPerSecond;
  }

  add(count = 1) {
    this.#advance();
    this.#count += count;
  }

  get isExceeded() {
    this.#advance();
    const sum = this.#steps.reduce((total, count) => total + count, 0);
    return sum / (this.#steps.length * STEP_MS / 1000) > this.#limit;
  }

  #advance() {
    const now = Date.now();
    const ended = Math.floor((now - this.#next) / STEP_MS) + 1;
    if (ended <= 0) return;
    if (ended > IDLE_STEPS) {
      this.#steps = [0];
      this.#next = now + STEP_MS;
    } else {
      const quiet = new Array(ended - 1).fill(0);
      this.#steps = [...this.#steps, this.#count, ...quiet].slice(-STEPS);
      this.#next += ended * STEP_MS;
    }
    this.#count = 0;
  }
}
