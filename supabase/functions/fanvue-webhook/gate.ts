// What the function knows beyond its own settings: the secrets of webhooks that were registered over
// Fanvue's API, kept sealed in the database, and whether Fanvue is being asked for one. Asked for at
// most once a minute, or every few seconds while deliveries fit nothing that is known. The same
// question tells what was refused meanwhile, counted: a flood of forged requests costs the database
// one call every few seconds, whatever its size.

import { describe, type Log } from "../_shared/logs.ts";
import { webhookSecret } from "../_shared/sealing.ts";

export const FRESH_MS = 60_000;
export const PAUSE_MS = 3_000;
// A delivery that names nobody costs a comparison with every secret; with more than these it would
// be a way to make us work. Those of registered webhooks name their creator.
export const MOST_TRIED = 50;

export type Refusal =
  | "wrong_signature"
  | "too_old"
  | "not_configured"
  | "unsigned";
export type Counts = Partial<Record<Refusal, number>>;

export interface GateEffects {
  /** Asks the database function webhook_gate. */
  readonly ask: (refused: Counts, unopened: string[]) => Promise<unknown>;
  /** Opens a sealed text for one place; throws `Misconfigured` or `SealBroken`. */
  readonly open: (sealed: string, place: string) => Promise<string>;
  readonly nowMs: () => number;
  readonly pause: (ms: number) => Promise<void>;
  /** Lets work go on after the answer was given. */
  readonly background: (work: Promise<void>) => void;
  readonly log: Log;
}

interface Subscription {
  readonly id: string;
  readonly creator: string;
  readonly sealed: string;
}

/** Secrets in the clear, and why one of them could not be opened; null when all could. */
export interface Registered {
  readonly secrets: readonly string[];
  readonly failure: unknown;
}

interface Answer {
  readonly registering: boolean;
  readonly secrets: readonly Subscription[];
}

/** What one isolate of the function remembers between deliveries. */
export class Gate {
  readonly #effects: GateEffects;
  #known: Answer | null = null;
  #knownAtMs = -Infinity;
  #askedAtMs = -Infinity;
  #failure: unknown = null;
  #asking: Promise<void> | null = null;
  #isReporting = false;
  #refused: Counts = {};
  readonly #unopened = new Set<string>();
  readonly #opened = new Map<string, string>();

  constructor(effects: GateEffects) {
    this.#effects = effects;
  }

  /** Returns the registered secrets that may vouch for a creator, of all where none is named. */
  async secretsOf(creator: string | null): Promise<Registered> {
    const { secrets } = await this.#look(FRESH_MS);
    // A secret vouches for its own creator alone: one that leaks opens no other's books.
    const fitting = creator === null
      ? secrets
      : secrets.filter((one) => one.creator === creator);
    const found: string[] = [];
    let failure: unknown = null;
    if (fitting.length > MOST_TRIED) return { secrets: found, failure };
    for (const one of fitting) {
      try {
        found.push(await this.#open(one));
      } catch (error) {
        failure = error;
      }
    }
    return { secrets: found, failure };
  }

  /** Tells whether any webhook is registered. */
  async hasAny(): Promise<boolean> {
    return (await this.#look(FRESH_MS)).secrets.length > 0;
  }

  /** Asks again unless that was a moment ago; tells whether there is something new. */
  async renew(): Promise<boolean> {
    const before = this.#known;
    await this.#look(PAUSE_MS);
    return this.#known !== before;
  }

  /** Tells whether Fanvue is being asked for a subscription, and may call unsigned. */
  async isRegistering(): Promise<boolean> {
    return (await this.#look(PAUSE_MS)).registering;
  }

  /** Counts a refused delivery; the database hears of it a little later. */
  count(refusal: Refusal): void {
    this.#refused[refusal] = (this.#refused[refusal] ?? 0) + 1;
    if (this.#isReporting) return;
    this.#isReporting = true;
    this.#effects.background(this.#report());
  }

  async #report(): Promise<void> {
    const wait = this.#askedAtMs + PAUSE_MS - this.#effects.nowMs();
    if (wait > 0) await this.#effects.pause(wait);
    this.#isReporting = false;
    // Another question may have told it meanwhile.
    if (Object.keys(this.#refused).length === 0) return;
    await this.#ask().catch(() => {});
  }

  async #look(freshMs: number): Promise<Answer> {
    const now = this.#effects.nowMs();
    if (this.#known !== null && now - this.#knownAtMs < freshMs) {
      return this.#known;
    }
    if (this.#failure !== null && now - this.#askedAtMs < PAUSE_MS) {
      throw this.#failure;
    }
    await this.#ask();
    if (this.#known === null) throw this.#failure;
    return this.#known;
  }

  #ask(): Promise<void> {
    this.#asking ??= this.#exchange().finally(() => this.#asking = null);
    return this.#asking;
  }

  async #exchange(): Promise<void> {
    const refused = this.#refused;
    const unopened = [...this.#unopened];
    this.#refused = {};
    this.#unopened.clear();
    this.#askedAtMs = this.#effects.nowMs();
    try {
      this.#known = readAnswer(await this.#effects.ask(refused, unopened));
      this.#knownAtMs = this.#effects.nowMs();
      this.#failure = null;
      for (const sealed of this.#opened.keys()) {
        if (!this.#known.secrets.some((one) => one.sealed === sealed)) {
          this.#opened.delete(sealed);
        }
      }
    } catch (error) {
      this.#failure = error;
      for (const [name, count] of Object.entries(refused)) {
        this.#refused[name as Refusal] = (this.#refused[name as Refusal] ?? 0) +
          count;
      }
      for (const id of unopened) this.#unopened.add(id);
      throw error;
    }
  }

  async #open(one: Subscription): Promise<string> {
    const known = this.#opened.get(one.sealed);
    if (known !== undefined) return known;
    try {
      const secret = await this.#effects.open(
        one.sealed,
        webhookSecret(one.id),
      );
      this.#opened.set(one.sealed, secret);
      return secret;
    } catch (error) {
      this.#unopened.add(one.id);
      this.#effects.log("webhook_secret_not_opened", {
        subscription: one.id,
        error: describe(error),
      });
      throw error;
    }
  }
}

function readAnswer(answer: unknown): Answer {
  const { registering, secrets } = (answer ?? {}) as Partial<Answer>;
  if (typeof registering !== "boolean" || !Array.isArray(secrets)) {
    throw new TypeError("webhook_gate answered without secrets");
  }
  return { registering, secrets };
}
