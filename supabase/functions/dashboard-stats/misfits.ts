// Questions whose figures were too long for Redis lately. Nobody waits for such figures, and nobody
// takes a lock to fill them. Known to one process, for some minutes, of a bounded number of questions.

const REMEMBERED_MS = 300_000;
const MOST_QUESTIONS = 1_000;

interface Misfit {
  readonly length: number;
  readonly untilMs: number;
}

export class Misfits {
  readonly #nowMs: () => number;
  /** By key, the oldest first. */
  readonly #known = new Map<string, Misfit>();

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** Remembers that a value of this length did not fit; what is remembered is not prolonged. */
  add(key: string, length: number): void {
    if (this.has(key)) return;
    this.#known.set(key, { length, untilMs: this.#nowMs() + REMEMBERED_MS });
    if (this.#known.size > MOST_QUESTIONS) {
      const [oldest = key] = this.#known.keys();
      this.#known.delete(oldest);
    }
  }

  /** Tells whether the value of a key did not fit; with a length, whether this one need not be tried. */
  has(key: string, length = Infinity): boolean {
    const misfit = this.#known.get(key);
    if (misfit === undefined) return false;
    if (this.#nowMs() < misfit.untilMs) return length >= misfit.length;
    this.#known.delete(key);
    return false;
  }

  delete(key: string): void {
    this.#known.delete(key);
  }
}
