// The places in Redis where figures are kept, and the lock of whoever fills one. The worker
// replaces values under the same keys, so the format is a contract between the two.
//
//   fanvue:stats:v1:<agency>:<from>:<to>       {"stamp", "stats"}; runs out after 10 to 15 minutes
//   fanvue:stats:v1:fill:<agency>:<from>:<to>  the owner of the lock; runs out after 5 seconds
//   fanvue:stats:v1:ranges:<agency>            sorted set of "<from>:<to>" by the last fill, in s

import { type Cache, CacheAway, type Command } from "../_shared/cache.ts";
import type { Question } from "./question.ts";
import { type Figures, isAbout } from "./source.ts";

const PREFIX = "fanvue:stats:v1";
const LOCK_MS = 5_000;
const RANGES_SECONDS = 86_400;
const SHORTEST_TTL_SECONDS = 600;
const LONGEST_TTL_SECONDS = 900;
// The smallest hosted plan takes requests of a megabyte; longer figures are computed each time.
const LONGEST_VALUE = 900_000;
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

  /** Without a cache, every call throws `CacheAway`. */
  constructor(cache: Cache | null, effects: ShelfEffects) {
    this.#cache = cache;
    this.#effects = effects;
  }

  /** Returns what is kept for a question, or null where nothing that answers it is. */
  async find(question: Question): Promise<Figures | null> {
    const text = await this.#redis.run(["GET", valueKey(question)]);
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
    const commands: Command[] = [];
    const text = JSON.stringify(figures);
    if (text.length <= LONGEST_VALUE) {
      const ranges = `${PREFIX}:ranges:${question.agencyId}`;
      const nowSeconds = Math.floor(this.#effects.nowMs() / 1000);
      const range = `${question.from}:${question.to}`;
      commands.push(
        ["SET", valueKey(question), text, "EX", this.#ttlSeconds()],
        ["ZADD", ranges, nowSeconds, range],
        ["EXPIRE", ranges, RANGES_SECONDS],
      );
    }
    if (owner !== null) commands.push(giveBack(question, owner));
    if (commands.length > 0) await this.#redis.runAll(commands);
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

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
