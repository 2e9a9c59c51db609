// The places in Redis where figures are kept, and the lock of whoever fills one. The worker
// replaces values under the same keys, so the format is a contract between the two.
//
//   fanvue:stats:v1:<agency>:<from>:<to>       {"stamp", "stats"}; runs out after 10 to 15 minutes
//   fanvue:stats:v1:fill:<agency>:<from>:<to>  the lock; runs out after 5 seconds
//   fanvue:stats:v1:ranges:<agency>            sorted set of "<from>:<to>" by the last fill, in s;
//                                             without those that no value can be left of
//
// Upstash is paid by the command, those inside a script included: hence no scripts, and a value that
// is there is replaced by one command, which leaves alone how long it lives.

import {
  type Cache,
  CacheAway,
  CacheRefused,
  type Command,
  type Reply,
} from "../_shared/cache.ts";
import { Misfits } from "./misfits.ts";
import type { Question } from "./question.ts";
import { type Figures, isAbout } from "./source.ts";

const PREFIX = "fanvue:stats:v1";
const LOCK_MS = 5_000;
const RANGES_SECONDS = 86_400;
const SHORTEST_TTL_SECONDS = 600;
const LONGEST_TTL_SECONDS = 900;
// Sooner than this before its end a lock is ours without a doubt: no request is under way for longer.
const LOCK_MARGIN_MS = 1_000;

/** The lock of a question, ours for a while. */
export interface Lock {
  readonly untilMs: number;
}

export interface ShelfEffects {
  readonly nowMs: () => number;
  /** A number from 0 to below 1. */
  readonly chance: () => number;
}

export class Shelf {
  readonly #cache: Cache | null;
  readonly #effects: ShelfEffects;
  readonly #misfits: Misfits;

  /** Without a cache, every call throws `CacheAway`. */
  constructor(cache: Cache | null, effects: ShelfEffects) {
    this.#cache = cache;
    this.#effects = effects;
    this.#misfits = new Misfits(effects.nowMs);
  }

  /** Tells whether figures for a question can be kept, as far as this process knows. */
  hasRoomFor(question: Question): boolean {
    return !this.#misfits.has(valueKey(question));
  }

  /** Returns what is kept for a question, or null where nothing that answers it is. */
  async find(question: Question): Promise<Figures | null> {
    const get: Command = ["GET", valueKey(question)];
    return figuresIn(
      await this.#redis.run(get).catch(passOverLength),
      question,
    );
  }

  /** Returns what is kept, and whether somebody has the lock, by one command. */
  async watch(
    question: Question,
  ): Promise<{ found: Figures | null; isLocked: boolean }> {
    const get: Command = ["MGET", valueKey(question), lockKey(question)];
    const reply = await this.#redis.run(get).catch(passOverLength);
    const [text, lock] = Array.isArray(reply) ? reply : [];
    // where nobody could say, the lock itself is asked for
    const isLocked = lock !== null && lock !== undefined;
    return { found: figuresIn(text, question), isLocked };
  }

  /** Takes the lock of a question; null when somebody else has it. */
  async reserve(question: Question): Promise<Lock | null> {
    const untilMs = this.#effects.nowMs() + LOCK_MS;
    const key = lockKey(question);
    const command: Command = ["SET", key, 1, "NX", "PX", LOCK_MS];
    return await this.#redis.run(command) === "OK" ? { untilMs } : null;
  }

  /** Keeps figures, in the place of older ones if there are, and gives the lock back. */
  async keep(
    question: Question,
    figures: Figures,
    lock: Lock | null,
    replaces: boolean,
  ): Promise<void> {
    const key = valueKey(question);
    const text = JSON.stringify(figures);
    if (this.#misfits.has(key, text.length)) {
      await this.release(question, lock);
      return;
    }
    const given = this.#givingBack(question, lock);
    const replacing: Command = ["SET", key, text, "XX", "KEEPTTL"];
    let kept = replaces && await this.#store([replacing, ...given]);
    // it ran out a moment ago, or was never there
    if (kept === null || kept === false) {
      const noting = this.#noting(question, text);
      kept = await this.#store(replaces ? noting : [...noting, ...given]);
    }
    if (kept === "too long") {
      this.#misfits.add(key, text.length);
      await this.release(question, lock);
      return;
    }
    this.#misfits.delete(key);
  }

  /** Runs commands, and returns what the first of them gave. */
  async #store(commands: Command[]): Promise<Reply> {
    const replies = await this.#redis.runAll(commands).catch(passOverLength);
    return replies === null ? "too long" : replies[0] ?? null;
  }

  #noting(question: Question, text: string): Command[] {
    const ranges = `${PREFIX}:ranges:${question.agencyId}`;
    const nowSeconds = Math.floor(this.#effects.nowMs() / 1000);
    const tooOld = nowSeconds - LONGEST_TTL_SECONDS;
    return [
      ["SET", valueKey(question), text, "EX", this.#ttlSeconds()],
      ["ZADD", ranges, nowSeconds, `${question.from}:${question.to}`],
      ["ZREMRANGEBYSCORE", ranges, "-inf", `(${tooOld}`],
      ["EXPIRE", ranges, RANGES_SECONDS],
    ];
  }

  /** Gives the lock back where nothing came of it. */
  async release(question: Question, lock: Lock | null): Promise<void> {
    const [command] = this.#givingBack(question, lock);
    if (command !== undefined) await this.#redis.run(command);
  }

  /** A lock that may be another's by now is left to run out. */
  #givingBack(question: Question, lock: Lock | null): Command[] {
    const isOurs = lock !== null &&
      this.#effects.nowMs() < lock.untilMs - LOCK_MARGIN_MS;
    return isOurs ? [["DEL", lockKey(question)]] : [];
  }

  get #redis(): Cache {
    if (this.#cache === null) throw new CacheAway("no Redis is set up");
    return this.#cache;
  }

  /** Spread, so that what was filled together does not run out together. */
  #ttlSeconds(): number {
    const span = LONGEST_TTL_SECONDS - SHORTEST_TTL_SECONDS + 1;
    return SHORTEST_TTL_SECONDS + Math.floor(this.#effects.chance() * span);
  }
}

/** The key of a question's value; the agency is in every key. */
export function valueKey({ agencyId, from, to }: Question): string {
  return `${PREFIX}:${agencyId}:${from}:${to}`;
}

export function lockKey({ agencyId, from, to }: Question): string {
  return `${PREFIX}:fill:${agencyId}:${from}:${to}`;
}

/** What is too long for Redis is as if it were not there. */
function passOverLength(error: unknown): null {
  if (error instanceof CacheRefused) return null;
  throw error;
}

function figuresIn(text: unknown, question: Question): Figures | null {
  const value = typeof text === "string" ? parse(text) : null;
  return isAbout(value, question) ? value : null;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
