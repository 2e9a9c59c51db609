// The places in Redis where figures are kept, and the lock of whoever fills one. The worker
// replaces values under the same keys, so the format is a contract between the two.
//
//   fanvue:stats:v1:<agency>:<from>:<to>       {"stamp", "stats"}; runs out after 10 to 15 minutes
//   fanvue:stats:v1:fill:<agency>:<from>:<to>  the owner of the lock; runs out after 5 seconds
//   fanvue:stats:v1:ranges:<agency>            sorted set of "<from>:<to>" by the last fill, in s;
//                                             without those that no value can be left of

import {
  type Cache,
  CacheAway,
  CacheRefused,
  type Command,
} from "../_shared/cache.ts";
import { Misfits } from "./misfits.ts";
import type { Question } from "./question.ts";
import { type Figures, isAbout } from "./source.ts";

const PREFIX = "fanvue:stats:v1";
const LOCK_MS = 5_000;
const RANGES_SECONDS = 86_400;
const SHORTEST_TTL_SECONDS = 600;
const LONGEST_TTL_SECONDS = 900;
const GIVE_BACK =
  "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0";

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
    const text = await this.#redis.run(get).catch(passOverLength);
    const value = typeof text === "string" ? parse(text) : null;
    return isAbout(value, question) ? value : null;
  }

  /** Takes the lock of a question; false when somebody else has it. */
  async reserve(question: Question, owner: string): Promise<boolean> {
    const command: Command = [
      "SET",
      lockKey(question),
      owner,
      "NX",
      "PX",
      LOCK_MS,
    ];
    return await this.#redis.run(command) === "OK";
  }

  /** Keeps figures, notes that they were asked for, and gives the lock back to nobody else. */
  async keep(
    question: Question,
    figures: Figures,
    owner: string | null,
  ): Promise<void> {
    const key = valueKey(question);
    const text = JSON.stringify(figures);
    if (!this.#misfits.has(key, text.length)) {
      const commands = this.#noting(question, text);
      if (owner !== null) commands.push(giveBack(question, owner));
      const isKept = await this.#redis.runAll(commands).catch(passOverLength);
      if (isKept !== null) {
        this.#misfits.delete(key);
        return;
      }
      this.#misfits.add(key, text.length);
    }
    if (owner !== null) await this.release(question, owner);
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
  async release(question: Question, owner: string): Promise<void> {
    await this.#redis.run(giveBack(question, owner));
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

function giveBack(question: Question, owner: string): Command {
  return ["EVAL", GIVE_BACK, 1, lockKey(question), owner];
}

/** What is too long for Redis is as if it were not there. */
function passOverLength(error: unknown): null {
  if (error instanceof CacheRefused) return null;
  throw error;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
