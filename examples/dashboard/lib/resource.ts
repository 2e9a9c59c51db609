/**
 * One thing that is fetched again and again. A failure never takes the last good value away: it
 * stands beside it, so that people see how old the figures are and why.
 */

import { Coalescer, SYSTEM_TIMERS, type Timers } from "./coalescer";
import { Failure } from "./failure";

export interface Snapshot<T> {
  readonly value: T | null;
  /** When the value was fetched, milliseconds since the epoch. */
  readonly fetchedAt: number | null;
  readonly failure: Failure | null;
  readonly busy: boolean;
}

const NOTHING: Snapshot<never> = { value: null, fetchedAt: null, failure: null, busy: false };

export class Resource<T> {
  private snapshot: Snapshot<T> = NOTHING;
  private readonly listeners = new Set<() => void>();
  private coalescer: Coalescer;
  private abort = new AbortController();

  constructor(
    private readonly fetchValue: (before: T | null, signal: AbortSignal) => Promise<T>,
    private readonly gapMilliseconds = 150,
    private readonly timers: Timers = SYSTEM_TIMERS,
  ) {
    this.coalescer = this.makeCoalescer();
  }

  /** Makes a closed resource good for use again; an open one stays as it is. */
  open(): void {
    if (!this.abort.signal.aborted) return;
    this.abort = new AbortController();
    this.coalescer = this.makeCoalescer();
  }

  /** Fetches soon; many calls in a row cost few requests. */
  readonly refresh = (): void => this.coalescer.request();

  readonly read = (): Snapshot<T> => this.snapshot;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  /** Replaces the value by one that came another way, such as an older page. */
  update(change: (value: T) => T): void {
    if (this.snapshot.value === null) return;
    this.set({ ...this.snapshot, value: change(this.snapshot.value) });
  }

  close(): void {
    this.coalescer.close();
    this.abort.abort();
  }

  private makeCoalescer(): Coalescer {
    return new Coalescer(() => this.fetch(), this.gapMilliseconds, this.timers);
  }

  private async fetch(): Promise<void> {
    this.set({ ...this.snapshot, busy: true });
    const { signal } = this.abort;
    try {
      const value = await this.fetchValue(this.snapshot.value, signal);
      if (signal.aborted) return;
      this.set({ value, fetchedAt: Date.now(), failure: null, busy: false });
    } catch (error) {
      if (signal.aborted) return;
      this.set({ ...this.snapshot, failure: Failure.from(error), busy: false });
    }
  }

  private set(snapshot: Snapshot<T>): void {
    this.snapshot = snapshot;
    for (const listener of this.listeners) listener();
  }
}
