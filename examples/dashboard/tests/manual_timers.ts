import type { Timers } from "../lib/coalescer";

/** A clock that moves only when a test says so. */
export class ManualTimers implements Timers {
  private time = 0;
  private readonly plans = new Set<{ readonly at: number; readonly run: () => void }>();

  now(): number {
    return this.time;
  }

  after(milliseconds: number, run: () => void): () => void {
    const plan = { at: this.time + milliseconds, run };
    this.plans.add(plan);
    return () => this.plans.delete(plan);
  }

  /** Moves the clock, runs what falls due in order, and lets promises settle. */
  async advance(milliseconds: number): Promise<void> {
    const end = this.time + milliseconds;
    for (;;) {
      await settle();
      const [next] = [...this.plans].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at);
      if (next === undefined) break;
      this.plans.delete(next);
      this.time = next.at;
      next.run();
    }
    this.time = end;
    await settle();
  }
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
}
