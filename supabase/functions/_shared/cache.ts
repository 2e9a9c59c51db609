// Redis over HTTP, the way Upstash serves it. The cache is disposable: a call that fails, or takes
// longer than a reader would wait, throws `CacheAway`, and Redis is then left alone for a while.
// What is too long for a request or an answer says nothing about Redis, and stops nobody else.

import { type Bytes, encodeUtf8, readAtMost } from "./bytes.ts";
import type { Fetch } from "./database.ts";
import { type Environment, readAddress, readText } from "./environment.ts";
import { FunctionError } from "./errors.ts";
import type { Log } from "./logs.ts";

/** A command and its arguments. */
export type Command = readonly [string, ...(string | number)[]];

type Value = string | number | null;

/** What a command gave; a key that holds another kind of value gives nothing. */
export type Reply = Value | readonly Value[];

/** No usable answer of Redis: go on without it. */
export class CacheAway extends FunctionError {}

/** This request or its answer is too long; Redis is there for others. */
export class CacheRefused extends CacheAway {}

export interface CacheSettings {
  readonly url: string;
  readonly token: string;
}

export interface CacheEffects {
  readonly fetch: Fetch;
  readonly nowMs: () => number;
  readonly log: Log;
}

export const REST_MS = 5_000;
const TIMEOUT_MS = 300;
// The smallest hosted plan takes requests of a megabyte; what counts is the body as it is sent.
const LARGEST_REQUEST_BYTES = 1_000_000;
const LARGEST_ANSWER_BYTES = 4 * 1024 * 1024;
const WRONG_KIND = /^WRONGTYPE\b/;
// Of the request, record, key, field or member; a used up quota is another thing.
const TOO_LONG = /^ERR max [a-z ]*size exceeded/i;

/** Returns where Redis is, or null where none is set up. */
export function readCacheSettings(env: Environment): CacheSettings | null {
  const names = ["UPSTASH_REDIS_REST_URL", "UPSTASH_REDIS_REST_TOKEN"] as const;
  if (names.every((name) => !env(name)?.trim())) return null;
  return { url: readAddress(env, names[0]), token: readText(env, names[1]) };
}

export class Cache {
  readonly #settings: CacheSettings;
  readonly #effects: CacheEffects;
  readonly #timeoutMs: number;
  /** Null while all is well, else when Redis may be asked again. */
  #restsUntilMs: number | null = null;

  constructor(
    settings: CacheSettings,
    effects: CacheEffects,
    timeoutMs: number = TIMEOUT_MS,
  ) {
    this.#settings = settings;
    this.#effects = effects;
    this.#timeoutMs = timeoutMs;
  }

  /** Runs one command. */
  async run(command: Command): Promise<Reply> {
    return await this.#ask("", command, replyOf);
  }

  /** Runs several commands in one request, in this order, none waiting for an answer. */
  async runAll(commands: readonly Command[]): Promise<Reply[]> {
    return await this.#ask("/pipeline", commands, (answers) => {
      if (!Array.isArray(answers)) replyOf(answers);
      if (!Array.isArray(answers) || answers.length !== commands.length) {
        throw new CacheAway("Redis answered something else than a list");
      }
      return answers.map(replyOf);
    });
  }

  async #ask<Result>(
    path: string,
    content: unknown,
    read: (answer: unknown) => Result,
  ): Promise<Result> {
    const body = encodeUtf8(JSON.stringify(content));
    if (body.length > LARGEST_REQUEST_BYTES) {
      throw new CacheRefused(`a request of ${body.length} bytes is too long`);
    }
    return await this.#guard(async () => read(await this.#post(path, body)));
  }

  async #guard<Result>(action: () => Promise<Result>): Promise<Result> {
    const nowMs = this.#effects.nowMs();
    if (this.#restsUntilMs !== null) {
      if (nowMs < this.#restsUntilMs) throw new CacheAway("Redis rests");
      // One request tries; the others do without until it is answered.
      this.#restsUntilMs = nowMs + REST_MS;
    }
    try {
      const result = await action();
      this.#wakeUp();
      return result;
    } catch (error) {
      if (error instanceof CacheRefused) {
        this.#wakeUp();
        throw error;
      }
      const why = error instanceof CacheAway
        ? error
        : new CacheAway(`no answer of Redis (${nameOf(error)})`);
      if (this.#restsUntilMs === null) {
        this.#effects.log("cache_away", { error: why.message });
      }
      this.#restsUntilMs = this.#effects.nowMs() + REST_MS;
      throw why;
    }
  }

  #wakeUp(): void {
    if (this.#restsUntilMs !== null) this.#effects.log("cache_back", {});
    this.#restsUntilMs = null;
  }

  async #post(path: string, body: Bytes): Promise<unknown> {
    const request = new Request(`${this.#settings.url}${path}`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${this.#settings.token}`,
        "content-type": "application/json",
      },
      body,
      redirect: "error",
      signal: AbortSignal.timeout(this.#timeoutMs),
    });
    const response = await this.#effects.fetch(request);
    const bytes = await readAtMost(response.body, LARGEST_ANSWER_BYTES);
    if (response.status === 413 || (response.ok && bytes === null)) {
      throw new CacheRefused("a request or its answer is too long for Redis");
    }
    const answer = parse(new TextDecoder().decode(bytes ?? undefined));
    // An error of the command itself comes as 400 and is judged by its words.
    if (!response.ok && response.status !== 400) {
      throw new CacheAway(`Redis answered ${response.status}`);
    }
    return answer;
  }
}

function replyOf(answer: unknown): Reply {
  if (typeof answer === "object" && answer !== null) {
    if ("result" in answer) {
      const { result } = answer;
      if (isValue(result)) return result;
      if (Array.isArray(result) && result.every(isValue)) return result;
    }
    if ("error" in answer) {
      const error = String(answer.error);
      if (WRONG_KIND.test(error)) return null;
      if (TOO_LONG.test(error)) {
        throw new CacheRefused("a command is too long for Redis");
      }
      // Only its first word: what follows may repeat arguments.
      const [word] = error.split(" ", 1);
      throw new CacheAway(`Redis refused a command (${word})`);
    }
  }
  throw new CacheAway("Redis answered nothing that can be read");
}

function isValue(value: unknown): value is Value {
  return value === null || typeof value === "string" ||
    typeof value === "number";
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : "unknown";
}
