/**
 * The private channel of one agency, kept alive: a channel that the server closed is built anew.
 * A channel that is joined hears nothing before the server's stream of commits flows: it says when,
 * and then, first or again, asks the owner to fetch everything. Pushes are hints; they may be lost
 * without a word, and cost freshness, never truth.
 */

import type { RealtimeChannel } from "@supabase/supabase-js";
import { EVENTS, type Hint, readHint } from "./hints";
import type { Client } from "./project_client";

export type Connection = "connecting" | "live" | "lost";

export interface Listener {
  onConnection(connection: Connection): void;
  /** Hears, for the first time or again: what was missed meanwhile is not told. */
  onFlowing(): void;
  onHint(hint: Hint): void;
  /** The server ended the channel or refused it: perhaps the user may not hear it any more. */
  onRefused(): void;
}

// What the server says to those who asked for `replication_ready`.
const FLOWING = "Replication connection established";
const FIRST_WAIT = 1_000;
const LONGEST_WAIT = 30_000;
// A lost connection is an error as well, but no refusal.
const REFUSED = /unauthori[sz]ed|permission/i;

export class LiveChannel {
  private channel: RealtimeChannel | null = null;
  private generation = 0;
  private failures = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private closed = false;

  constructor(
    private readonly client: Client,
    private readonly agencyId: string,
    private readonly listener: Listener,
  ) {}

  open(): void {
    this.listener.onConnection("connecting");
    void this.build();
  }

  /** Tries at once, as when the browser is online again. */
  retry(): void {
    if (this.closed) return;
    this.failures = 0;
    clearTimeout(this.timer);
    void this.build();
  }

  /** Says that nothing arrives, as when the browser knows that it is offline. */
  suspend(): void {
    if (!this.closed) this.listener.onConnection("lost");
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.timer);
    void this.drop();
  }

  private async build(): Promise<void> {
    await this.drop();
    const generation = this.generation;
    try {
      // A join that goes out before the token is known is nobody's.
      await this.client.realtime.setAuth();
    } catch {
      this.lose(generation);
      return;
    }
    if (this.closed || generation !== this.generation) return;
    const channel = this.client.channel(`agency:${this.agencyId}`, {
      config: { private: true, broadcast: { replication_ready: true } },
    });
    this.channel = channel;
    for (const event of EVENTS) {
      channel.on("broadcast", { event }, ({ payload }) => {
        if (generation === this.generation) this.listener.onHint(readHint(event, payload));
      });
    }
    channel.on("system", {}, ({ message }) => {
      if (this.closed || generation !== this.generation || message !== FLOWING) return;
      this.failures = 0;
      this.listener.onConnection("live");
      this.listener.onFlowing();
    });
    channel.subscribe((status, error) => {
      if (this.closed || generation !== this.generation || status === "SUBSCRIBED") return;
      if (status === "CLOSED") {
        // The server ended it, and the client never joins a closed channel again.
        this.lose(generation);
        this.listener.onRefused();
      } else {
        // An error or a time-out: the client itself joins again.
        this.listener.onConnection("lost");
        if (REFUSED.test(error?.message ?? "")) this.listener.onRefused();
      }
    });
  }

  private lose(generation: number): void {
    if (this.closed || generation !== this.generation) return;
    this.listener.onConnection("lost");
    const longest = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** this.failures);
    this.failures += 1;
    clearTimeout(this.timer);
    // The first try comes at once: an ended token is the usual reason, and a new one is there.
    const wait = this.failures === 1 ? 0 : longest * (0.5 + Math.random() / 2);
    this.timer = setTimeout(() => void this.build(), wait);
  }

  private async drop(): Promise<void> {
    this.generation += 1;
    const channel = this.channel;
    this.channel = null;
    // The client gives a channel of the same topic again until it is removed.
    if (channel !== null) await this.client.removeChannel(channel).catch(() => undefined);
  }
}
