/**
 * Turns a burst of hints into few runs of one task: never two at once, runs begin a while apart,
 * and the last hint always gets a run that began after it.
 */

export interface Timers {
  now(): number;
  after(milliseconds: number, run: () => void): () => void;
}

export const SYSTEM_TIMERS: Timers = {
  now: () => performance.now(),
  after(milliseconds, run) {
    const timer = setTimeout(run, milliseconds);
    return () => clearTimeout(timer);
  },
};

export class Coalescer {
  private wanted = false;
  private running = false;
  private closed = false;
  private lastStart = Number.NEGATIVE_INFINITY;
  private cancelTimer: (() => void) | null = null;

  constructor(
    /** Must not throw: what goes wrong is the task's own to remember. */
    private readonly task: () => Promise<void>,
    private readonly gapMilliseconds = 150,
    private readonly timers: Timers = SYSTEM_TIMERS,
  ) {}

  /** Asks for a run that begins now or later. */
  request(): void {
    this.wanted = true;
    this.plan();
  }

  /** Stops; a run that is under way ends without another one after it. */
  close(): void {
    this.closed = true;
    this.cancelTimer?.();
    this.cancelTimer = null;
  }

  private plan(): void {
    if (this.closed || !this.wanted || this.running || this.cancelTimer !== null) return;
    const wait = this.lastStart + this.gapMilliseconds - this.timers.now();
    if (wait <= 0) {
      void this.run();
      return;
    }
    this.cancelTimer = this.timers.after(wait, () => {
      this.cancelTimer = null;
      void this.run();
    });
  }

  private async run(): Promise<void> {
    this.wanted = false;
    this.running = true;
    this.lastStart = this.timers.now();
    try {
      await this.task();
    } finally {
      this.running = false;
      this.plan();
    }
  }
}
