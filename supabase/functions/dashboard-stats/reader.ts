// Answers a question from the cache where that is exact, and fills it where it is not.
//
// Always first comes the head, as the caller: it decides whether he may know, and says under which
// stamp the figures go now. Kept figures of that stamp are what SQL would give. One filler at a
// time works on a question: in this process requests share it, among processes a lock in Redis
// chooses it. Whatever happens to Redis, the database is asked instead.

import { CacheAway } from "../_shared/cache.ts";
import { DatabaseRefused } from "../_shared/errors.ts";
import { type Question } from "./question.ts";
import { type Lock, type Shelf, valueKey } from "./shelf.ts";
import type { Figures, Head, Json, Moment, Source } from "./source.ts";

export type CacheWord = "hit" | "miss" | "bypass" | "unchanged";

export interface Answer {
  readonly stats: Json;
  readonly cache: CacheWord;
}

export interface ReaderEffects {
  readonly nowMs: () => number;
  readonly pause: (ms: number) => Promise<void>;
}

// Who waits looks again, each time after twice the pause: Redis is paid by the command.
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 200;
const PATIENCE_MS = 1_000;

/** Figures, and the turn at which the query was sent that proves them. */
interface Proven {
  readonly figures: Figures;
  readonly moment: Moment;
  readonly turn: number;
}

interface Filled extends Proven {
  readonly cache: "miss" | "bypass";
}

/** One request: its head, and the turn before the head was asked for. */
interface Visit {
  readonly source: Source;
  readonly question: Question;
  readonly head: Head;
  readonly turn: number;
}

export class Reader {
  readonly #shelf: Shelf;
  readonly #effects: ReaderEffects;
  readonly #fills = new Map<string, Promise<Filled>>();
  #turn = 0;

  constructor(shelf: Shelf, effects: ReaderEffects) {
    this.#shelf = shelf;
    this.#effects = effects;
  }

  /** Returns what SQL says of a question at some moment of this call. */
  async read(source: Source, question: Question): Promise<Answer> {
    const turn = ++this.#turn;
    const head = await source.head(question.agencyId);
    if (head.stamp === question.known) {
      const stats = { unchanged: true, stamp: head.stamp, ...head.moment };
      return { stats, cache: "unchanged" };
    }
    const visit = { source, question, head, turn };
    // Noted before looking: a fill that ends meanwhile may keep its figures just after the look.
    const under = this.#fills.get(valueKey(question));
    const found = await this.#look(question);
    if (found !== "away" && found?.stamp === head.stamp) {
      return { stats: { ...found.stats, ...head.moment }, cache: "hit" };
    }
    return await this.#share(visit, found, under);
  }

  /** Joins fills under way while they serve, and otherwise fills. */
  async #share(
    visit: Visit,
    found: Figures | null | "away",
    under: Promise<Filled> | undefined,
  ): Promise<Answer> {
    const key = valueKey(visit.question);
    for (
      let fill = this.#fills.get(key) ?? under;
      fill !== undefined;
      fill = this.#fills.get(key)
    ) {
      const filled = await fill.catch(passOver);
      if (filled !== null && proves(filled, visit)) {
        return answer(filled, visit);
      }
    }
    const own = this.#fill(visit, found).finally(() => {
      if (this.#fills.get(key) === own) this.#fills.delete(key);
    });
    this.#fills.set(key, own);
    return answer(await own, visit);
  }

  async #fill(
    visit: Visit,
    found: Figures | null | "away",
  ): Promise<Filled> {
    if (found === "away") return await this.#bypass(visit);
    const { question } = visit;
    const isShared = this.#shelf.hasRoomFor(question);
    let lock: Lock | null = null;
    try {
      if (isShared) lock = await this.#shelf.reserve(question);
      if (isShared && lock === null) {
        const waited = await this.#wait(visit, found?.stamp ?? null);
        if ("figures" in waited) return { ...waited, cache: "miss" };
        lock = waited.lock;
      }
    } catch (error) {
      if (!(error instanceof CacheAway)) throw error;
      return await this.#bypass(visit);
    }
    const proven = await this.#compute(visit).catch(async (error) => {
      await this.#try(this.#shelf.release(question, lock));
      throw error;
    });
    const isKept = await this.#try(
      this.#shelf.keep(question, proven.figures, lock, found !== null),
    );
    return { ...proven, cache: isKept ? "miss" : "bypass" };
  }

  /** Waits for another filler's figures; a lock when theirs fell to us, null without either. */
  async #wait(
    { source, question, head, turn }: Visit,
    stale: string | null,
  ): Promise<Proven | { readonly lock: Lock | null }> {
    const endMs = this.#effects.nowMs() + PATIENCE_MS;
    let refused = stale;
    let wanted = { head, turn };
    let pauseMs = FIRST_PAUSE_MS;
    while (this.#effects.nowMs() < endMs) {
      const leftMs = endMs - this.#effects.nowMs();
      await this.#effects.pause(Math.min(pauseMs, leftMs));
      pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS);
      const { found, isLocked } = await this.#shelf.watch(question);
      if (found !== null && found.stamp !== refused) {
        if (found.stamp !== wanted.head.stamp) {
          // Newer than our head, or filled by somebody slow: only the database can tell.
          const again = ++this.#turn;
          wanted = { head: await source.head(question.agencyId), turn: again };
        }
        if (found.stamp === wanted.head.stamp) return proven(found, wanted);
        refused = found.stamp;
      }
      if (isLocked) continue;
      // The lock came back without figures: too long for Redis, or none at all.
      const lock = await this.#shelf.reserve(question);
      if (lock === null) continue;
      // Or with them, between the look and the lock.
      const last = await this.#shelf.find(question);
      if (last?.stamp !== wanted.head.stamp) return { lock };
      await this.#try(this.#shelf.release(question, lock));
      return proven(last, wanted);
    }
    return { lock: null };
  }

  async #bypass(visit: Visit): Promise<Filled> {
    return { ...await this.#compute(visit), cache: "bypass" };
  }

  async #compute({ source, question }: Visit): Promise<Proven> {
    const turn = ++this.#turn;
    const [figures, moment] = await source.figures(question);
    return { figures, moment, turn };
  }

  async #look(question: Question): Promise<Figures | null | "away"> {
    try {
      return await this.#shelf.find(question);
    } catch (error) {
      if (error instanceof CacheAway) return "away";
      throw error;
    }
  }

  async #try(step: Promise<void>): Promise<boolean> {
    try {
      await step;
      return true;
    } catch (error) {
      if (error instanceof CacheAway) return false;
      throw error;
    }
  }
}

/** Figures under the stamp of a head are proven by that head. */
function proven(
  figures: Figures,
  { head, turn }: Pick<Visit, "head" | "turn">,
): Proven {
  return { figures, moment: head.moment, turn };
}

/** Figures hold for a request by its own stamp, or when proven by a query sent after it began. */
function proves(filled: Filled, { head, turn }: Visit): boolean {
  return filled.figures.stamp === head.stamp || filled.turn > turn;
}

function answer(filled: Filled, { head, turn }: Visit): Answer {
  const moment = filled.turn >= turn ? filled.moment : head.moment;
  return {
    stats: { ...filled.figures.stats, ...moment },
    cache: filled.cache,
  };
}

/** A refusal of another caller says nothing about this one; a database that is away does. */
function passOver(error: unknown): null {
  if (error instanceof DatabaseRefused) return null;
  throw error;
}
