// What the function knows beyond its own settings: the secrets of webhooks that were registered over
// Fanvue's API, kept sealed in the database, and whether Fanvue is being asked for one. Asked for
// one creator at most once a minute, or every few seconds while deliveries fit nothing that is known.
// What was refused meanwhile is told apart from that, counted and every few seconds at most: a flood of
// forged requests costs the database a bounded number of calls, and no delivery waits for what it writes.

import { DatabaseAway } from "../_shared/errors.ts";
import { describe, type Log } from "../_shared/logs.ts";
import { webhookSecret } from "../_shared/sealing.ts";

export const FRESH_MS = 60_000;
export const PAUSE_MS = 3_000;
// A delivery that names nobody costs a comparison with every secret; with more than these it would
// be a way to make us work. Those of registered webhooks name their creator.
export const MOST_TRIED = 50;
// A flood that names another creator each time must neither fill the memory nor ask without end.
export const MOST_KNOWN = 1_000;
export const MOST_QUESTIONS = 100;
// How often a report is tried again, each time after twice the pause; then it waits for the next
// refusal, or for a question that finds the database again.
export const MOST_FAILED_REPORTS = 5;

export type Refusal =
  | "wrong_signature"
  | "too_old"
  | "not_configured"
  | "unsigned";
export type Counts = Partial<Record<Refusal, number>>;

/** What was refused and what did not open. Told again under its id, it counts once. */
export interface Report {
  readonly id: string;
  readonly refused: Counts;
  readonly unopened: readonly string[];
}

export interface GateEffects {
  /** Asks the database function webhook_gate, about one creator or about nobody. */
  readonly ask: (creator: string | null) => Promise<unknown>;
  /** Tells it what was refused and what did not open; nobody waits for its answer. */
  readonly tell: (report: Report) => Promise<unknown>;
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

interface Answer {
  /** Whether Fanvue is being asked for a subscription: anybody's, this creator's. */
  readonly registering: boolean;
  readonly awaited: boolean;
  /** Whether anybody has a registered webhook. */
  readonly any: boolean;
  readonly secrets: readonly Subscription[];
}

interface Known extends Answer {
  readonly askedAtMs: number;
  readonly opened: Map<string, string>;
}

/** Secrets in the clear, each with its creator, and why one of them could not be opened. */
export interface Registered {
  readonly secrets: readonly { creator: string; secret: string }[];
  readonly failure: unknown;
  readonly hasAny: boolean;
  /** Whether there may be a secret that is not known yet to who asked before this moment. */
  readonly mayMissOne: (arrivedMs: number) => boolean;
}

/** What one isolate of the function remembers between deliveries. */
export class Gate {
  readonly #effects: GateEffects;
  /** By creator, those used last at the end. */
  readonly #known = new Map<string | null, Known>();
  readonly #asking = new Map<string | null, Promise<Known>>();
  /** When questions were asked within the last pause. */
  #questions: number[] = [];
  #askedAtMs = -Infinity;
  #failure: unknown = null;
  #isReporting = false;
  #refused: Counts = {};
  readonly #unopened = new Set<string>();
  /** What was told and not answered: it is told again as it is, since only its answer may be lost. */
  #unanswered: Report | null = null;

  constructor(effects: GateEffects) {
    this.#effects = effects;
  }

  /** Returns the registered secrets that may vouch for a creator, of all where none is named. */
  async secretsOf(
    creator: string | null,
    freshMs: number = FRESH_MS,
  ): Promise<Registered> {
    const known = await this.#look(creator, freshMs);
    const secrets: { creator: string; secret: string }[] = [];
    let failure: unknown = null;
    const isTooMuch = creator === null && known.secrets.length > MOST_TRIED;
    for (const one of isTooMuch ? [] : known.secrets) {
      try {
        const secret = await this.#open(one, known.opened);
        secrets.push({ creator: one.creator, secret });
      } catch (error) {
        failure = error;
      }
    }
    return {
      secrets,
      failure,
      hasAny: known.any,
      mayMissOne: (arrivedMs) =>
        creator !== null && (known.awaited ||
          (known.secrets.length > 0 && known.askedAtMs < arrivedMs)),
    };
  }

  /** Tells whether Fanvue is being asked for a subscription, and may call unsigned. */
  async isRegistering(): Promise<boolean> {
    return (await this.#look(null, PAUSE_MS)).registering;
  }

  /** Counts a refused delivery; the database hears of it a little later. */
  count(refusal: Refusal): void {
    this.#refused[refusal] = (this.#refused[refusal] ?? 0) + 1;
    this.#reportSoon();
  }

  #reportSoon(): void {
    if (this.#isReporting) return;
    this.#isReporting = true;
    this.#effects.background(this.#report());
  }

  async #report(): Promise<void> {
    let failed = 0;
    while (this.#isUntold && failed < MOST_FAILED_REPORTS) {
      await this.#effects.pause(PAUSE_MS * 2 ** failed);
      await this.#tell().then(() => failed = 0, () => failed++);
    }
    this.#isReporting = false;
  }

  async #tell(): Promise<void> {
    if (this.#unanswered === null) {
      this.#unanswered = {
        id: crypto.randomUUID(),
        refused: this.#refused,
        unopened: [...this.#unopened],
      };
      this.#refused = {};
      this.#unopened.clear();
    }
    await this.#effects.tell(this.#unanswered);
    this.#unanswered = null;
  }

  get #isUntold(): boolean {
    return this.#unanswered !== null || this.#unopened.size > 0 ||
      Object.keys(this.#refused).length > 0;
  }

  async #look(creator: string | null, freshMs: number): Promise<Known> {
    const now = this.#effects.nowMs();
    const known = this.#known.get(creator);
    if (known !== undefined && now - known.askedAtMs < freshMs) {
      this.#remember(creator, known);
      return known;
    }
    if (this.#failure !== null && now - this.#askedAtMs < PAUSE_MS) {
      throw this.#failure;
    }
    return await this.#ask(creator);
  }

  #ask(creator: string | null): Promise<Known> {
    const underWay = this.#asking.get(creator);
    if (underWay !== undefined) return underWay;
    const asked = this.#exchange(creator).finally(() =>
      this.#asking.delete(creator)
    );
    this.#asking.set(creator, asked);
    return asked;
  }

  async #exchange(creator: string | null): Promise<Known> {
    const askedAtMs = this.#effects.nowMs();
    this.#questions = this.#questions.filter((at) => askedAtMs - at < PAUSE_MS);
    // About nobody it is asked every few seconds at most, whatever comes in.
    if (creator !== null && this.#questions.length >= MOST_QUESTIONS) {
      throw new DatabaseAway("asked for too many creators in a moment");
    }
    this.#questions.push(askedAtMs);
    this.#askedAtMs = askedAtMs;
    try {
      const answer = readAnswer(await this.#effects.ask(creator));
      this.#failure = null;
      if (this.#isUntold) this.#reportSoon();
      const opened = new Map(
        [...this.#known.get(creator)?.opened ?? []].filter(([sealed]) =>
          answer.secrets.some((one) => one.sealed === sealed)
        ),
      );
      const known = { ...answer, askedAtMs, opened };
      this.#remember(creator, known);
      return known;
    } catch (error) {
      this.#failure = error;
      throw error;
    }
  }

  #remember(creator: string | null, known: Known): void {
    this.#known.delete(creator);
    this.#known.set(creator, known);
    const [oldest] = this.#known.keys();
    if (this.#known.size > MOST_KNOWN && oldest !== undefined) {
      this.#known.delete(oldest);
    }
  }

  async #open(
    one: Subscription,
    opened: Map<string, string>,
  ): Promise<string> {
    const known = opened.get(one.sealed);
    if (known !== undefined) return known;
    try {
      const secret = await this.#effects.open(
        one.sealed,
        webhookSecret(one.id),
      );
      opened.set(one.sealed, secret);
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
  const { registering, awaited, any, secrets } = (answer ?? {}) as Partial<
    Answer
  >;
  if (typeof registering !== "boolean" || !Array.isArray(secrets)) {
    throw new TypeError("webhook_gate answered without secrets");
  }
  return { registering, awaited: awaited === true, any: any === true, secrets };
}
